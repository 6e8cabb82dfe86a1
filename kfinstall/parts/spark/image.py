"""spark.image: Spark's image is in the cluster's own registry, so that executors start fast and without the internet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight.runtime_files import RuntimeFiles
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.registry import files as registry_files
from kfinstall.parts.registry.facts import RegistryFacts
from kfinstall.parts.spark import limits
from kfinstall.parts.spark import place as spark_place
from kfinstall.secrets import Secret
from kfinstall.text import sha256

_RECORD: Final = f"{prepare_files.PROOFS}/spark.image.json"


class SparkImage(Step):
    """A copy of the pinned image; nothing is built (docs/adr/0013-spark-image.md)."""

    id: ClassVar[str] = "spark.image"
    title: ClassVar[str] = "Put Spark's image into the registry"
    scope: ClassVar[Scope] = Scope.REGISTRY_NODE
    script: ClassVar[str] = "spark-image"
    reads = (RegistryFacts, RuntimeFiles)
    timeout_seconds: ClassVar[float] = limits.SPARK_IMAGE_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 120

    def applies(self, answers: Answers) -> bool:
        """Where Spark and a registry are wanted; otherwise pods use the publisher's image."""
        return answers.spark.enabled and answers.registry.enabled

    @override
    def watch(self, view: View) -> NodeQuery:
        """The record of the copy."""
        return NodeQuery(files=frozenset({_RECORD}))

    def _record(self, view: View) -> str:
        place = spark_place.place_of(view.answers, view.release)
        inputs = {"source": place.upstream, "target": place.image, "ca": registry_files.ca_sha256(view)}
        return json.dumps(inputs, sort_keys=True) + "\n"

    def parameters(self, view: View) -> Mapping[str, str]:
        """From where to where."""
        answers = view.answers
        place = spark_place.place_of(answers, view.release)
        return {
            "RUNTIME": answers.cluster.runtime,
            "SOURCE": place.upstream,
            "TARGET": place.image,
            "HOST": answers.registry_host,
            "FOLDER": registry_files.certs_folder(view),
            "SECURED": "yes" if registry_files.secured(answers) else "no",
            "USER": answers.registry.user,
            "RECORD_PATH": _RECORD,
            "RECORD": self._record(view),
        }

    def check(self, view: View) -> Check:
        """The record says that this image was copied to this registry."""
        place = spark_place.place_of(view.answers, view.release)
        if view.facts.has_file(_RECORD, sha256(self._record(view))):
            return Satisfied(f"{place.image} is a copy of {place.upstream}")
        return Needed((f"copy {place.upstream} to {place.image}",))

    async def stdin(self, context: ApplyContext) -> Secret | None:
        """The registry's password."""
        return await context.secret(registry_files.PASSWORD) if registry_files.secured(context.view.answers) else None

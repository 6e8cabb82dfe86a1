"""spark.submit-script: a spark-submit that works on this cluster, on the first control plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Check, Needed, Satisfied, Scope, Step, View
from kfinstall.facts.model import Watch
from kfinstall.parts.spark import place, submit
from kfinstall.text import sha256


class SparkSubmitScript(Step):
    """Needs no Spark on the node: without one, a pod of Spark's image runs spark-submit."""

    id: ClassVar[str] = "spark.submit-script"
    title: ClassVar[str] = "Write the spark-submit script"
    scope: ClassVar[Scope] = Scope.FIRST_CONTROL_PLANE
    script: ClassVar[str] = "spark-submit-script"
    estimate_seconds: ClassVar[float] = 1

    def applies(self, answers: Answers) -> bool:
        """Where it is wanted."""
        return answers.spark.enabled and answers.spark.submit

    def watch(self, view: View) -> Watch:  # noqa: ARG002
        """The script."""
        return Watch(files=frozenset({place.SUBMIT_PATH}))

    def parameters(self, view: View) -> Mapping[str, str]:
        """Where it goes and what it says."""
        text = submit.render(place.site(view.answers, view.release))
        return {"PATH_NAME": place.SUBMIT_PATH, "CONTENT": text}

    def check(self, view: View) -> Check:
        """It is there, word for word, and can be run."""
        if view.facts.has_file(place.SUBMIT_PATH, sha256(self.parameters(view)["CONTENT"]), mode=0o755):
            return Satisfied(f"{place.SUBMIT_PATH} submits to namespace {view.answers.spark_namespace}")
        return Needed((f"write {place.SUBMIT_PATH}",))

"""spark.submit-script: a spark-submit that works on this cluster, on the first control plane."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import Check, Scope, View
from kfinstall.engine.wanted import File, Wanted
from kfinstall.parts.spark import place, submit


class SparkSubmitScript(NodeStep):
    """Needs no Spark on the node: without one, a pod of Spark's image runs spark-submit."""

    id: ClassVar[str] = "spark.submit-script"
    title: ClassVar[str] = "Write the spark-submit script"
    scope: ClassVar[Scope] = Scope.FIRST_CONTROL_PLANE
    script: ClassVar[str] = "spark-submit-script"
    estimate_seconds: ClassVar[float] = 1
    hashes_wanted = False

    def applies(self, answers: Answers) -> bool:
        """Where it is wanted."""
        return answers.spark.enabled and answers.spark.submit

    @override
    def wanted(self, view: View) -> Wanted:
        """The script, which can be run."""
        text = submit.render(place.place_of(view.answers, view.release))
        return Wanted(files=(File(place.SUBMIT_PATH, text, mode=0o755, path_as="PATH_NAME", content_as="CONTENT"),))

    @override
    def check(self, view: View) -> Check:
        """It is there, word for word, and can be run."""
        return self.compare(view, evidence=f"{place.SUBMIT_PATH} submits to namespace {view.answers.spark_namespace}")

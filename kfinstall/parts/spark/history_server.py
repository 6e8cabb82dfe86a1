"""spark.history-server: finished applications can be looked at, through Kubeflow's gateway and login."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.engine.step import View
from kfinstall.kube.base import Document
from kfinstall.parts.spark import limits, objects
from kfinstall.parts.spark import place as spark_place


class SparkHistoryServer(ObjectsStep):
    """No NodePort: the AuthorizationPolicy only lets the gateway in, and only for the profile's user."""

    id: ClassVar[str] = "spark.history-server"
    title: ClassVar[str] = "Run Spark's history server"
    timeout_seconds: ClassVar[float] = limits.SPARK_READY_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60

    @override
    def applies(self, answers: Answers) -> bool:
        """Where it is wanted."""
        return answers.spark.enabled and answers.spark.history_server

    @override
    def documents(self, view: View) -> Sequence[Document]:
        """Policies first, then the server."""
        place = spark_place.place_of(view.answers, view.release)
        return [*objects.history_redirects(place), *objects.history(place)]

    @override
    def evidence(self, view: View) -> str:
        """Where it is."""
        place = spark_place.place_of(view.answers, view.release)
        where = f"at {place.history_base}/ behind the gateway, for {place.user_email}" if place.mesh else "inside the cluster"
        return f"{spark_place.HISTORY} is available {where}"

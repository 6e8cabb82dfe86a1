"""spark.history-server: finished applications can be looked at, through Kubeflow's gateway and login."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.diagnose.reasons import workload_waiting
from kfinstall.engine import pods
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import Document, Ref, Want
from kfinstall.parts.spark import limits, objects
from kfinstall.parts.spark import place as spark_place


class SparkHistoryServer(Step):
    """No NodePort: the AuthorizationPolicy only lets the gateway in, and only for the profile's user."""

    id: ClassVar[str] = "spark.history-server"
    title: ClassVar[str] = "Run Spark's history server"
    scope: ClassVar[Scope] = Scope.CLUSTER
    timeout_seconds: ClassVar[float] = limits.SPARK_READY_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60

    def applies(self, answers: Answers) -> bool:
        """Where it is wanted."""
        return answers.spark.enabled and answers.spark.history_server

    def _plain(self, view: View) -> list[Document]:
        place = spark_place.site(view.answers, view.release)
        return [*objects.history_redirects(place), *objects.history(place)]

    def wants(self, view: View) -> tuple[Want, ...]:
        """The kinds of its objects, in Spark's namespace."""
        kinds = {(str(item["apiVersion"]), str(item["kind"])) for item in self._plain(view)}
        return tuple(Want(version, kind, view.answers.spark_namespace) for version, kind in sorted(kinds))

    def parameters(self, view: View) -> Mapping[str, str]:
        """The hashes of its objects, for the fingerprint."""
        return {"OBJECTS": " ".join(stamp.content(item) for item in self._plain(view))}

    def documents(self, view: View) -> Sequence[Document]:
        """Everything of the history server."""
        return self._plain(view)

    def check(self, view: View) -> Check:
        """Every object is as it would be written, and the server is available."""
        changes = stamp.outdated(view.cluster, self._plain(view))
        if changes or view.cluster is None:
            return Needed(changes or ("apply the history server",))
        place = spark_place.site(view.answers, view.release)
        if workload_waiting(view.cluster.get("apps/v1", "Deployment", spark_place.HISTORY, place.namespace)):
            return Needed((f"wait until {place.namespace}/{spark_place.HISTORY} is available",))
        where = f"at {place.history_base}/ behind the gateway, for {place.user_email}" if place.mesh else "inside the cluster"
        return Satisfied(f"{spark_place.HISTORY} is available {where}")

    async def apply(self, context: ApplyContext) -> None:
        """Policies first, then the server; wait until it is available."""
        place = spark_place.site(context.view.answers, context.view.release)
        cluster = await context.cluster()
        for document in self._plain(context.view):
            await cluster.apply(stamp.stamped(document))
        ref = Ref("apps/v1", "Deployment", spark_place.HISTORY, place.namespace)
        selector = f"app.kubernetes.io/name={spark_place.HISTORY}"
        await pods.wait_deployment(context, cluster, ref, selector, timeout_seconds=self.timeout_seconds)

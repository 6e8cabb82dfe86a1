"""spark.access: what drivers may do, who may talk to them, and the login that their images are pulled with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import Document, Want
from kfinstall.parts.registry import files as registry_files
from kfinstall.parts.registry import pull_secret_objects
from kfinstall.parts.spark import objects
from kfinstall.parts.spark import place as spark_place


class SparkAccess(Step):
    """A Role in Spark's namespace only; nothing of it reaches beyond."""

    id: ClassVar[str] = "spark.access"
    title: ClassVar[str] = "Let Spark's drivers make executors"
    scope: ClassVar[Scope] = Scope.CLUSTER
    estimate_seconds: ClassVar[float] = 3

    def applies(self, answers: Answers) -> bool:
        """Where Spark is wanted."""
        return answers.spark.enabled

    def _documents(self, view: View) -> list[Document]:
        return [stamp.stamped(item) for item in self._plain(view)]

    def _plain(self, view: View) -> list[Document]:
        return objects.access(spark_place.site(view.answers, view.release))

    def wants(self, view: View) -> tuple[Want, ...]:
        """Its own objects, and the pull secret's."""
        namespace = view.answers.spark_namespace
        kinds = {(str(item["apiVersion"]), str(item["kind"])) for item in self._plain(view)}
        own = tuple(Want(version, kind, namespace) for version, kind in sorted(kinds))
        return tuple(dict.fromkeys((*own, *pull_secret_objects.wants((namespace,)))))

    def parameters(self, view: View) -> Mapping[str, str]:
        """The hashes of its objects, for the fingerprint."""
        login = registry_files.login_fingerprint(view) if pull_secret_objects.needed(view.answers) else ""
        return {"OBJECTS": " ".join(stamp.content(item) for item in self._plain(view)), "LOGIN": login}

    def documents(self, view: View) -> Sequence[Document]:
        """Roles, bindings and policies."""
        return self._plain(view)

    def check(self, view: View) -> Check:
        """Every object is as it would be written."""
        place = spark_place.site(view.answers, view.release)
        changes = stamp.outdated(view.cluster, self._plain(view)) + pull_secret_objects.missing(
            view, place.namespace, place.accounts
        )
        if changes:
            return Needed(changes)
        return Satisfied(f"{place.namespace}/{place.account} may run drivers; only pods of {place.namespace} reach them")

    async def apply(self, context: ApplyContext) -> None:
        """Apply them, and the pull secret."""
        place = spark_place.site(context.view.answers, context.view.release)
        cluster = await context.cluster()
        for document in self._documents(context.view):
            await cluster.apply(document)
        await pull_secret_objects.ensure(context, cluster, place.namespace, place.accounts)

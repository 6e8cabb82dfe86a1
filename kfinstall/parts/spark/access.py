"""spark.access: what drivers may do, who may talk to them, and the login that their images are pulled with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import Document, ListQuery
from kfinstall.parts.registry import files as registry_files
from kfinstall.parts.registry import pull_secret_objects
from kfinstall.parts.spark import objects
from kfinstall.parts.spark import place as spark_place


class SparkAccess(ObjectsStep):
    """A Role in Spark's namespace only; nothing of it reaches beyond."""

    id: ClassVar[str] = "spark.access"
    title: ClassVar[str] = "Let Spark's drivers make executors"
    estimate_seconds: ClassVar[float] = 3

    @override
    def applies(self, answers: Answers) -> bool:
        """Where Spark is wanted."""
        return answers.spark.enabled

    @override
    def documents(self, view: View) -> Sequence[Document]:
        """Roles, bindings and policies."""
        return objects.access(spark_place.place_of(view.answers, view.release))

    @override
    def wants(self, view: View) -> tuple[ListQuery, ...]:
        """Also what the pull secret and the accounts are looked for in."""
        return tuple(dict.fromkeys((*super().wants(view), *pull_secret_objects.wants((view.answers.spark_namespace,)))))

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """Also the registry's login."""
        login = registry_files.login_fingerprint(view) if pull_secret_objects.needed(view.answers) else ""
        return {**super().inputs(view), "LOGIN": login}

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """Also of the pull secret."""
        place = spark_place.place_of(view.answers, view.release)
        return super().changes(view) + pull_secret_objects.missing(view, place.namespace, place.accounts)

    @override
    def evidence(self, view: View) -> str:
        """Who may do what."""
        place = spark_place.place_of(view.answers, view.release)
        return f"{place.namespace}/{place.account} may run drivers; only pods of {place.namespace} reach them"

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Also the pull secret."""
        await super().apply(context)
        place = spark_place.place_of(context.view.answers, context.view.release)
        await pull_secret_objects.ensure(context, await context.cluster(), place.namespace, place.accounts)

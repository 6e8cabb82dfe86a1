"""registry.pull-secret: pods can pull from the registry without a password on any disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.engine import secret_store
from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import ListQuery
from kfinstall.parts.registry import files, pull_secret_objects


class RegistryPullSecret(ObjectsStep):
    """In namespace kfinstall, and in those of the user's profile and of Spark once they are there."""

    id: ClassVar[str] = "registry.pull-secret"
    title: ClassVar[str] = "Give pods the registry's login"
    estimate_seconds: ClassVar[float] = 2

    @override
    def applies(self, answers: Answers) -> bool:
        """Where the registry asks for a login."""
        return pull_secret_objects.needed(answers)

    @override
    def wants(self, view: View) -> tuple[ListQuery, ...]:
        """Namespaces, and in those that matter the secrets' metadata and the service accounts."""
        return (ListQuery("v1", "Namespace"), *pull_secret_objects.wants(_possible(view.answers)))

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """The registry and the login's origin."""
        return {"HOST": view.answers.registry_host, "LOGIN": files.login_fingerprint(view)}

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """The secret is there, made from this login, and attached."""
        return tuple(line for namespace in _present(view) for line in pull_secret_objects.missing(view, namespace))

    @override
    def evidence(self, view: View) -> str:
        """Where pods pull with it."""
        return f"{pull_secret_objects.NAME} is attached in {', '.join(_present(view))}"

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Make and attach it where it is missing."""
        cluster = await context.cluster()
        await cluster.apply(secret_store.namespace())
        for namespace in _present(context.view):
            await pull_secret_objects.ensure(context, cluster, namespace)


def _possible(answers: Answers) -> tuple[str, ...]:
    names = [secret_store.NAMESPACE]
    if answers.kubeflow.enabled:
        names.append(answers.profile_namespace)
    if answers.spark.enabled:
        names.append(answers.spark_namespace)
    return tuple(dict.fromkeys(names))


def _present(view: View) -> tuple[str, ...]:
    """Those that exist; the installer's own is made where it does not."""
    own, *others = _possible(view.answers)
    return (own, *(name for name in others if view.cluster and view.cluster.get("v1", "Namespace", name) is not None))

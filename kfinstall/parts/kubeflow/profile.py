"""kubeflow.profile: the user's profile, whose namespace Kubeflow makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.apply.stamp import LABELS
from kfinstall.diagnose.workloads import wait_explained
from kfinstall.engine.step import ApplyContext, Conflict, View
from kfinstall.kube.base import Document, ListQuery, NotReady, Ref
from kfinstall.parts.kubeflow import limits
from kfinstall.parts.registry import pull_secret_objects

_API: Final = "kubeflow.org/v1beta1"
_POD_SECURITY: Final = "pod-security.kubernetes.io/enforce"
_EDITOR: Final = "default-editor"
_CONTROLLER: Final = Ref("apps/v1", "Deployment", "profiles-deployment", "kubeflow")
_PULLING: Final = ("default", _EDITOR)
"""Accounts whose pods pull from the own registry."""


class KubeflowProfile(ObjectsStep):
    """The namespace is waited for, never made here: the profile controller takes over only one that was this owner's before."""

    id: ClassVar[str] = "kubeflow.profile"
    title: ClassVar[str] = "Make the user's profile"
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_PROFILE_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 10
    lists: ClassVar[tuple[ListQuery, ...]] = (ListQuery("v1", "Namespace"),)

    @override
    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted."""
        return answers.kubeflow.enabled

    @override
    def wants(self, view: View) -> tuple[ListQuery, ...]:
        """Also the pull secret and the service accounts of the profile."""
        return (*super().wants(view), *pull_secret_objects.wants((view.answers.profile_namespace,)))

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """Who it is for."""
        return {"NAME": view.answers.profile_namespace, "OWNER": view.answers.kubeflow.user.email}

    @override
    def documents(self, view: View) -> Sequence[Document]:
        """The profile."""
        return (document(view.answers),)

    @override
    def conflict(self, view: View) -> Conflict | None:
        """The profile controller would not take the namespace over."""
        name, cluster = view.answers.profile_namespace, view.cluster
        namespace = cluster.get("v1", "Namespace", name) if cluster else None
        profile = cluster.get(_API, "Profile", name) if cluster else None
        if not namespace or profile or _owner(namespace) == view.answers.kubeflow.user.email:
            return None
        return Conflict(
            f"namespace {name} exists without a profile; the profile controller will not take it over",
            f"if nothing in it is needed: kubectl delete namespace {name}",
        )

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """The profile is there for this user, and its namespace is complete."""
        name, cluster = view.answers.profile_namespace, view.cluster
        if super().changes(view):
            return (f"make profile {name} for {view.answers.kubeflow.user.email}", f"wait for namespace {name}")
        namespace = cluster.get("v1", "Namespace", name) if cluster else None
        if not namespace or not cluster or not cluster.get("v1", "ServiceAccount", _EDITOR, name):
            return (f"wait for namespace {name} and its service account {_EDITOR}",)
        if _POD_SECURITY not in ((namespace.get("metadata") or {}).get("labels") or {}):
            return (f"label namespace {name} {_POD_SECURITY}=baseline",)
        return pull_secret_objects.missing(view, name, _PULLING)

    @override
    def evidence(self, view: View) -> str:
        """Whose it is."""
        name = view.answers.profile_namespace
        return f"profile {name} belongs to {view.answers.kubeflow.user.email}; its namespace has {_EDITOR}"

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Make it, and wait for what the controller makes of it."""
        await super().apply(context)
        cluster, name = await context.cluster(), context.view.answers.profile_namespace
        limit = limits.KUBEFLOW_PROFILE_TIMEOUT_SECONDS / 2
        made = partial(wait_explained, cluster, timeout_seconds=limit, say=context.say, maker=_CONTROLLER)
        namespace = await made(Ref("v1", "Namespace", name), _made)
        await made(Ref("v1", "ServiceAccount", _EDITOR, name), _made)
        if _POD_SECURITY not in (((namespace or {}).get("metadata") or {}).get("labels") or {}):
            await cluster.apply(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {_POD_SECURITY: "baseline"}}}
            )
        if pull_secret_objects.needed(context.view.answers):
            await pull_secret_objects.ensure(context, cluster, name, _PULLING)


def _owner(namespace: Document) -> str:
    """Whose profile's namespace it was: the profile controller takes that one over again, and no other."""
    return str(((namespace.get("metadata") or {}).get("annotations") or {}).get("owner") or "")


def _made(found: Document | None) -> NotReady | None:
    if found is not None:
        return None
    return NotReady(
        "the profile controller has not made it yet", "kubectl -n kubeflow rollout restart deployment profiles-deployment"
    )


def document(answers: Answers) -> Document:
    """The profile."""
    owner = {"kind": "User", "name": answers.kubeflow.user.email}
    return {
        "apiVersion": _API,
        "kind": "Profile",
        "metadata": {"name": answers.profile_namespace, "labels": dict(LABELS)},
        "spec": {"owner": owner},
    }

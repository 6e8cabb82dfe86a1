"""What the steps of rotate share: the new value is written beside the old one before anything changes, and takes its place at the end.

Killed anywhere it goes on with the same new value: every part can be done twice, and the old value is forgotten only when nothing reads it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall import invocation
from kfinstall.answers.model import Answers
from kfinstall.diagnose.workloads import wait_available
from kfinstall.engine import limits as engine_limits
from kfinstall.engine import secret_store
from kfinstall.engine.step import ApplyContext, Check, Conflict, Needed, Satisfied, Scope, Step, View
from kfinstall.errors import StepTimeoutError
from kfinstall.kube.base import Cluster, Document, ListQuery, Ref
from kfinstall.parts.kubeflow import limits, secret_values
from kfinstall.parts.kubeflow.proofs import signed_in
from kfinstall.parts.kubeflow.rotate import secrets
from kfinstall.parts.kubeflow.rotate.secrets import Rotation
from kfinstall.secrets import Secret
from kfinstall.text import kubectl


class RotateStep(Step):
    """Base of the steps; each names what it replaces."""

    scope: ClassVar[Scope] = Scope.CLUSTER
    timeout_seconds: ClassVar[float] = limits.ROTATE_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60
    name: ClassVar[str]
    """In kfinstall.parts.kubeflow.rotate.secrets.ROTATIONS."""
    signs_in: ClassVar[bool] = False
    """A login proves it at the end."""

    @property
    def rotation(self) -> Rotation:
        """What it replaces."""
        return secrets.ROTATIONS[self.name]

    @override
    def applies(self, answers: Answers) -> bool:
        """Where there is such a secret."""
        return self.name in secrets.possible(answers)

    @override
    def wants(self, view: View) -> tuple[ListQuery, ...]:
        """The record."""
        return (secrets.RECORDS,)

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """What is replaced where: never a value."""
        item = self.rotation
        return {"SECRET": item.secret, "WRITTEN": "\n".join(map(str, item.written))}

    @override
    def check(self, view: View) -> Check:
        """What was asked for last is done."""
        if view.cluster is None:
            return Conflict(
                "the cluster does not answer, so nothing in it can be replaced", f"see why: {invocation.command('doctor')}"
            )
        at = secrets.done_at(view.cluster, self.name)
        return Satisfied(f"{self.rotation.what} was replaced at {at}") if at else Needed(tuple(_changes(self.rotation)))

    async def teach(self, context: ApplyContext, old: Secret, new: Secret) -> None:
        """Let the running server take the new value; it may have it already."""

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Beside the old one, into the server, into the Secrets, into what reads them; then in its place."""
        cluster, item = await context.cluster(), self.rotation
        old, new = await context.secret(item.secret), await context.next_value(item.secret)
        if item.server is not None:
            await self.teach(context, old, new)

        async def source(name: str) -> Secret:
            return new if name == item.secret else await context.secret(name)

        mark = secret_values.mark(context.view.answers)
        for ref in item.written:
            held, _changed = await secret_values.values(source, ref, await cluster.get(ref))
            await cluster.apply(secret_values.document(ref, held, mark))
            context.say(f"{ref} holds the new value")
        for ref in item.readers:
            await restart(context, cluster, ref)
        await context.commit(item.secret)
        if self.signs_in:
            await signed_in.request(context, "login", {}, timeout_seconds=limits.KUBEFLOW_PROOF_TIMEOUT_SECONDS)
        await cluster.apply(secret_store.namespace())
        await cluster.apply(secrets.finished(await cluster.get(secrets.RECORD), self.name))


def _changes(item: Rotation) -> list[str]:
    lines = [f"write a new value beside the old one into Secret {secret_store.NAMESPACE}/{secret_store.GENERATED.name}"]
    if item.server is not None:
        lines.append(f"let the server in {item.server.namespace}/{item.server.name} take it")
    lines += [f"write it into {ref}" for ref in item.written]
    names = [f"{ref.namespace}/{ref.name}" for ref in item.readers]
    note = f"; {item.note}" if item.note else ""
    return [*lines, f"start {', then '.join(names)} anew{note}", "forget the old value"]


async def restart(context: ApplyContext, cluster: Cluster, ref: Ref) -> None:
    """Start a Deployment's pods anew, and wait until new ones serve in their place. Nothing where it is not there.

    Raises:
        StepTimeoutError: they do not become ready; with the reason.
    """
    deployment = await cluster.get(ref)
    replicas = int(((deployment or {}).get("spec") or {}).get("replicas", 1) or 0)
    if deployment is None or not replicas:
        context.say(f"{ref} is not there, or stopped: nothing to start anew")
        return
    labels = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    want = ListQuery("v1", "Pod", ref.namespace)
    before = {
        _uid(pod): Ref("v1", "Pod", Ref.of(pod).name, ref.namespace) for pod in await cluster.list(want, label_selector=selector)
    }
    limit = limits.ROTATE_RESTART_SECONDS
    await asyncio.gather(*(cluster.delete(pod, timeout_seconds=limit) for pod in before.values()))
    deadline = asyncio.get_running_loop().time() + limit
    while True:
        await wait_available(cluster, [ref], timeout_seconds=limit, say=lambda _text: None)
        pods = await cluster.list(want, label_selector=selector)
        if sum(_ready(pod) and _uid(pod) not in before for pod in pods) >= replicas:
            context.say(f"{ref} runs with the new value")
            return
        if asyncio.get_running_loop().time() > deadline:
            raise StepTimeoutError(
                f"{ref} did not start anew within {limit:.0f} s",
                why="\n".join(f"{Ref.of(pod).name} is still there" for pod in pods if _uid(pod) in before),
                hint=f"{kubectl('describe', 'deployment', names=[ref.name], namespace=ref.namespace)}; then: {invocation.again()}",
            )
        await asyncio.sleep(engine_limits.VERIFY_INTERVAL_SECONDS / 4)


def _uid(pod: Document) -> str:
    return str((pod.get("metadata") or {}).get("uid") or "")


def _ready(pod: Document) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)

"""What the proofs of Kubeflow's components have in common: what worked is removed, what failed is kept, and the error says why."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall import invocation, releases
from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.apply.proof_step import ProofStep
from kfinstall.diagnose.roots import Root
from kfinstall.diagnose.workloads import Telling, too_late, why_not
from kfinstall.engine.step import ApplyContext, View
from kfinstall.errors import KfError, StepTimeoutError
from kfinstall.kube.base import Cluster, Document, ListQuery, Probe, Ref
from kfinstall.parts.kubeflow import choice, limits
from kfinstall.parts.kubeflow.proofs import proofs, signed_in
from kfinstall.text import kubectl

_LOOK_SECONDS: Final = 5.0


class ComponentProof(ProofStep):
    """As the user, in the user's profile. Subclasses say what is made and when it has worked; what they made may stay, `apply` removes it."""

    estimate_seconds: ClassVar[float] = 60
    component: ClassVar[str]
    """The component of the release that it proves."""
    use: ClassVar[str]
    """What it does, in the imperative, without where."""

    @override
    def applies(self, answers: Answers) -> bool:
        """Where the component is chosen and its proof is wanted."""
        return self.component in proofs.wanted(answers, releases.load(answers.cluster.release))

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """Who proves it with what on which rendering."""
        made = " ".join(stamp.content(document) for document in self.documents(view))
        return {**signed_in.parameters(view), "RENDERING": choice.key(view), "OBJECTS": made}

    @override
    def intent(self, view: View) -> str:
        """Its use, and in which profile."""
        return f"{self.use} in {view.answers.profile_namespace}"

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Remove what an earlier try left, prove it, record it, remove it again. What failed is kept to be looked at."""
        view, cluster = context.view, await context.cluster()
        await self._remove(cluster, view)
        try:
            await super().apply(context)
        except KfError as error:
            raise self._kept(error, view) from None
        await self._remove(cluster, view)

    async def _remove(self, cluster: Cluster, view: View) -> None:
        for document in self.documents(view):
            await cluster.delete(Ref.of(document))

    def _kept(self, error: KfError, view: View) -> KfError:
        kept = [Ref.of(document) for document in self.documents(view)]
        look = [kubectl("describe", ref.kind.lower(), names=[ref.name], namespace=ref.namespace) for ref in kept]
        hints = [error.hint, *(f"it is kept: {line}" for line in look), f"then: {invocation.again()}"]
        error.hint = "\n".join(dict.fromkeys(hint for hint in hints if hint))
        return error


async def until(
    context: ApplyContext, cluster: Cluster, ref: Ref, probe: Probe, *, selector: str, timeout_seconds: float
) -> Document | None:
    """Wait until the probe is content with an object; meanwhile each new root cause is said, also of the pods with a label.

    Raises:
        StepTimeoutError: out of time, or a cause that waiting never ends stays; with the causes and the first remedy.
    """
    telling = Telling(context.say, limits.KUBEFLOW_PROOF_HOPELESS_SECONDS)

    async def causes() -> list[Root]:
        pods = await cluster.list(ListQuery("v1", "Pod", ref.namespace), label_selector=selector)
        named = [Ref("v1", "Pod", Ref.of(pod).name, ref.namespace) for pod in pods]
        return [root for root in await why_not(cluster, (ref, *named)) if not root.vague]

    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                found = await causes()
            except KfError:  # it only explains; what is waited for decides
                continue
            telling.tell(found)
            if telling.lost:
                raise too_late(f"{ref} will not become what it should", found)

    waiter = asyncio.ensure_future(cluster.wait(ref, probe, timeout_seconds=timeout_seconds, say=context.say))
    looker = asyncio.ensure_future(look())
    try:
        await asyncio.wait((waiter, looker), return_when=asyncio.FIRST_COMPLETED)
        if not waiter.done():
            looker.result()
        return await waiter
    except StepTimeoutError as error:
        found = await causes() if waiter.done() else []
        if not found:
            raise
        raise too_late(error.message, found) from error
    finally:
        for task in (waiter, looker):
            task.cancel()
        await asyncio.gather(waiter, looker, return_exceptions=True)


async def last_words(cluster: Cluster, namespace: str, selector: str, container: str) -> str:
    """The last lines that a container of a failed pod of that label said; empty where there is none."""
    for pod in await cluster.list(ListQuery("v1", "Pod", namespace), label_selector=selector):
        if (pod.get("status") or {}).get("phase") != "Failed":
            continue
        try:
            lines = await cluster.logs(namespace, Ref.of(pod).name, container=container, tail_lines=limits.KUBEFLOW_PROOF_LOG_LINES)
        except KfError:  # it explains; the failure itself is told without it
            continue
        if lines:
            return "\n".join(lines[-5:])
    return ""

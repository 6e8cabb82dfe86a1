"""What the proofs of Kubeflow's components have in common: what worked is removed, what failed is kept, and the error says why."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

from kfinstall import limits, releases, secret_store, stamp
from kfinstall.answers.model import Answers
from kfinstall.cluster.base import Cluster, Document, Probe, Ref, Waiting, Want
from kfinstall.cluster.reasons import pod_waiting, roots
from kfinstall.cluster.workloads import why_not
from kfinstall.errors import KfError, ProofError, StepTimeoutError
from kfinstall.kubeflow import choice, proofs, signed_in
from kfinstall.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View

_LOOK_SECONDS = 3.0
Why = Callable[[], Awaitable[Waiting | None]]
"""Looks for the root reason why something is not there yet; None where none is found."""


class ComponentProof(Step):
    """As the user, in the user's profile. Subclasses say what is made and when it has worked."""

    scope: ClassVar[Scope] = Scope.CLUSTER
    estimate_seconds: ClassVar[float] = 60
    proof: ClassVar[bool] = True
    component: ClassVar[str]
    """The component of the release that it proves."""
    record: ClassVar[str]
    """ConfigMap kfinstall/proof-<record> holds the evidence."""
    intent: ClassVar[str]
    """What it does, in the imperative."""

    def applies(self, answers: Answers) -> bool:
        """Where the component is chosen and its proof is wanted."""
        return self.component in proofs.wanted(answers, releases.load(answers.cluster.release))

    def wants(self, view: View) -> tuple[Want, ...]:  # noqa: ARG002
        """The record."""
        return (Want("v1", "ConfigMap", stamp.PROOFS_NAMESPACE),)

    def parameters(self, view: View) -> Mapping[str, str]:
        """Who proves it with what on which rendering."""
        made = " ".join(stamp.content(document) for document in self.documents(view))
        return {**signed_in.parameters(view), "RENDERING": choice.key(view), "OBJECTS": made}

    def check(self, view: View) -> Check:
        """A proof from these inputs is on record."""
        evidence = stamp.proven(view.cluster, self.record, self.fingerprint(view))
        return Satisfied(evidence) if evidence else Needed((f"{self.intent} in {view.answers.profile_namespace}",))

    async def prove(self, context: ApplyContext, cluster: Cluster) -> str:
        """Make it, wait for it, use it; gives the evidence. What it made may stay: `apply` removes it.

        Raises:
            KfError: it did not work.
        """
        raise NotImplementedError

    async def apply(self, context: ApplyContext) -> None:
        """Remove what an earlier try left, prove it, record it, remove it again. What failed is kept to be looked at."""
        view, cluster = context.view, await context.cluster()
        await self._remove(cluster, view)
        try:
            evidence = await self.prove(context, cluster)
        except KfError as error:
            raise self._kept(error, view) from None
        await cluster.apply(secret_store.namespace())
        await cluster.apply(stamp.proof(self.record, self.fingerprint(view), evidence))
        await self._remove(cluster, view)

    async def _remove(self, cluster: Cluster, view: View) -> None:
        for document in self.documents(view):
            await cluster.delete(Ref.of(document))

    def _kept(self, error: KfError, view: View) -> KfError:
        kept = [Ref.of(document) for document in self.documents(view)]
        look = [f"kubectl -n {ref.namespace} describe {ref.kind.lower()} {ref.name}" for ref in kept]
        hints = [error.hint, *(f"it is kept: {line}" for line in look), "then: kfinstall resume"]
        error.hint = "\n".join(dict.fromkeys(hint for hint in hints if hint))
        return error


async def until(
    context: ApplyContext, cluster: Cluster, ref: Ref, probe: Probe, why: Why, *, timeout_seconds: float
) -> Document | None:
    """Wait until the probe is content with an object; meanwhile look for the root reason and say each new one.

    Raises:
        ProofError: out of time, or a reason that waiting never ends stays; with that reason and its remedy.
    """
    newest = Waiting("")

    async def look() -> None:
        nonlocal newest
        hopeless_since: dict[str, float] = {}
        loop = asyncio.get_running_loop()
        while True:
            try:
                found = await why()
            except KfError as error:  # it explains; the wait itself goes on
                found = Waiting(error.message)
            if found and found.reason != newest.reason:
                context.say(f"{found.reason}{f'; {found.remedy}' if found.remedy else ''}")
            newest = found or newest
            if found and found.hopeless:
                since = hopeless_since.setdefault(found.reason, loop.time())
                if loop.time() - since >= limits.KUBEFLOW_PROOF_HOPELESS_SECONDS:
                    raise ProofError(f"{ref} will not become ready", why=found.reason, hint=found.remedy)
            else:
                hopeless_since.clear()
            await asyncio.sleep(_LOOK_SECONDS)

    waiter = asyncio.ensure_future(cluster.wait(ref, probe, timeout_seconds=timeout_seconds, say=context.say))
    looker = asyncio.ensure_future(look())
    try:
        await asyncio.wait((waiter, looker), return_when=asyncio.FIRST_COMPLETED)
        if not waiter.done():
            looker.result()
        return waiter.result()
    except StepTimeoutError as error:
        why_text = "\n".join(dict.fromkeys(text for text in (newest.reason, error.why) if text))
        raise ProofError(error.message, why=why_text, hint=newest.remedy or error.hint) from None
    finally:
        for task in (waiter, looker):
            task.cancel()
        await asyncio.gather(waiter, looker, return_exceptions=True)


async def root_reason(
    cluster: Cluster, namespace: str, selector: str, kinds: Sequence[tuple[str, str]], *, named: Sequence[Ref] = ()
) -> Waiting | None:
    """The root reason why workloads (by label, or by name) or pods of that label are not ready."""
    refs = [ref for ref in named if await cluster.get(ref) is not None]
    for api_version, kind in kinds:
        refs += [Ref.of(found) for found in await cluster.list(Want(api_version, kind, namespace), label_selector=selector)]
    found = roots(await why_not(cluster, refs)) if refs else []
    return found[0][0] if found else await pods_reason(cluster, namespace, selector)


async def pods_reason(cluster: Cluster, namespace: str, selector: str) -> Waiting | None:
    """The root reason of the first pod of that label that is not ready."""
    for pod in await cluster.list(Want("v1", "Pod", namespace), label_selector=selector):
        events = [event for event in await cluster.list(Want("v1", "Event", namespace)) if _about(event, pod)]
        found = pod_waiting(pod, events=events)
        if found:
            return found
    return None


def _about(event: Document, pod: Document) -> bool:
    return (event.get("involvedObject") or {}).get("uid") == (pod.get("metadata") or {}).get("uid")


async def last_words(cluster: Cluster, namespace: str, selector: str, container: str = "") -> str:
    """The last lines that a failed pod of that label said; empty where there is none."""
    for pod in await cluster.list(Want("v1", "Pod", namespace), label_selector=selector):
        if (pod.get("status") or {}).get("phase") != "Failed":
            continue
        try:
            lines = await cluster.logs(namespace, Ref.of(pod).name, container=container, tail_lines=limits.KUBEFLOW_PROOF_LOG_LINES)
        except KfError:  # it explains; the failure itself is told without it
            continue
        if lines:
            return "\n".join(lines[-5:])
    return ""

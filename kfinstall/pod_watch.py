"""Waiting for pods, with the reason why they are not there yet and what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from kfinstall.cluster.base import Cluster, Document, Ref, Waiting, Want
from kfinstall.errors import CommandError, KfError
from kfinstall.step import ApplyContext

_POLL_SECONDS: Final = 3.0
_REMEDIES: Final = (
    ("insufficient", "give the nodes more CPU or memory, or add a node"),
    ("unbound", "look at the claim: kubectl describe pvc; is there a default StorageClass with ReadWriteMany?"),
    ("errimagepull", "can the node reach the image's registry? kubectl describe pod"),
    ("imagepullbackoff", "can the node reach the image's registry? kubectl describe pod"),
    ("failedmount", "is nfs-common on the node, and the NFS server reachable?"),
    ("taint", "add a worker, or let the control plane take pods"),
)


@dataclass(slots=True)
class PodReason:
    """Why the watched pods are not there yet; the newest thing known."""

    text: str = ""
    pods: list[Document] = field(default_factory=list)

    @property
    def waiting(self) -> Waiting:
        """As a probe gives it."""
        low = self.text.lower()
        return Waiting(self.text or "no pod yet", next((fix for word, fix in _REMEDIES if word in low), ""))


def reason(pod: Document) -> str:
    """Why a pod does not run (or failed), in one line; empty where it does."""
    status: dict[str, Any] = pod.get("status") or {}
    name = (pod.get("metadata") or {}).get("name", "pod")
    for state in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (state.get("state") or {}).get("waiting") or {}
        ended = (state.get("state") or {}).get("terminated") or {}
        if waiting.get("reason"):
            return f"{name}: {waiting['reason']} {waiting.get('message', '')}".strip()
        if ended.get("exitCode"):
            return f"{name}: {state.get('name')} ended with {ended['exitCode']} {ended.get('message', '')}".strip()
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{name}: {condition.get('reason', 'not scheduled')}: {condition.get('message', '')}"
    return "" if status.get("phase") in ("Running", "Succeeded") else f"{name}: {status.get('phase') or 'not there yet'}"


@contextlib.asynccontextmanager
async def pods(cluster: Cluster, namespace: str, selector: str) -> AsyncIterator[PodReason]:
    """Keep looking at some pods while a wait goes on."""
    found = PodReason()

    async def look() -> None:
        while True:
            try:
                found.pods = await cluster.list(Want("v1", "Pod", namespace), label_selector=selector)
                found.text = next((text for pod in found.pods if (text := reason(pod))), "")
            except KfError as error:
                found.text = error.message
            await asyncio.sleep(_POLL_SECONDS)

    task = asyncio.create_task(look())
    try:
        yield found
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _condition(job: Document | None, kind: str) -> Document | None:
    conditions = ((job or {}).get("status") or {}).get("conditions") or []
    return next((item for item in conditions if item.get("type") == kind and item.get("status") == "True"), None)


async def run_job(context: ApplyContext, cluster: Cluster, job: Document, *, timeout_seconds: float) -> tuple[str, ...]:
    """Run a Job anew to its end, and give its log's last lines. It stays in the cluster where it failed.

    Raises:
        CommandError: it failed.
        StepTimeoutError: it ran out of time; with the reason.
    """
    ref = Ref.of(job)
    await cluster.delete(ref)
    await cluster.apply(job)
    selector = f"batch.kubernetes.io/job-name={ref.name}"
    async with pods(cluster, ref.namespace, selector) as found:

        def probe(document: Document | None) -> Waiting | None:
            ended = _condition(document, "Complete") or _condition(document, "Failed")
            return None if ended else found.waiting

        ended = await cluster.wait(ref, probe, timeout_seconds=timeout_seconds, say=context.say)
    lines = await _log(cluster, ref.namespace, selector)
    failed = _condition(ended, "Failed")
    if failed is not None:
        raise CommandError(
            f"{ref} failed: {failed.get('reason', 'unknown reason')}",
            why="\n".join(lines[-5:]) or found.text,
            hint=f"look at it: kubectl -n {ref.namespace} logs job/{ref.name}",
            tail=lines[-20:],
        )
    return lines


async def _log(cluster: Cluster, namespace: str, selector: str) -> tuple[str, ...]:
    """The log of the youngest pod."""
    found = await cluster.list(Want("v1", "Pod", namespace), label_selector=selector)
    youngest = sorted(found, key=lambda pod: str((pod.get("metadata") or {}).get("creationTimestamp", "")))[-1:]
    return await cluster.logs(namespace, youngest[0]["metadata"]["name"]) if youngest else ()


async def wait_deployment(context: ApplyContext, cluster: Cluster, ref: Ref, selector: str, *, timeout_seconds: float) -> None:
    """Wait until a Deployment is available in its current generation.

    Raises:
        StepTimeoutError: with the reason of its pods.
    """
    async with pods(cluster, ref.namespace, selector) as found:

        def probe(document: Document | None) -> Waiting | None:
            return None if available(document) else found.waiting

        await cluster.wait(ref, probe, timeout_seconds=timeout_seconds, say=context.say)


def available(deployment: Document | None) -> bool:
    """Whether a Deployment's current generation has all its replicas available."""
    status = (deployment or {}).get("status") or {}
    spec = (deployment or {}).get("spec") or {}
    current = status.get("observedGeneration", 0) >= ((deployment or {}).get("metadata") or {}).get("generation", 0)
    wanted = spec.get("replicas", 1)
    return bool(current and status.get("updatedReplicas", 0) >= wanted and status.get("availableReplicas", 0) >= wanted)

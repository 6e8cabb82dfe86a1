"""Waiting for pods, with the reason why they are not there yet and what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from kfinstall.diagnose import roots
from kfinstall.diagnose.known import Known, explained
from kfinstall.diagnose.walk_workloads import current
from kfinstall.engine.step import ApplyContext
from kfinstall.errors import CommandError, KfError
from kfinstall.kube.base import Cluster, Document, ListQuery, NotReady, Ref
from kfinstall.text import kubectl

_POLL_SECONDS: Final = 3.0


@dataclass(slots=True)
class PodReason:
    """Why the watched pods are not there yet; the newest thing known."""

    text: str = ""
    hint: str = ""
    pods: list[Document] = field(default_factory=list)

    @property
    def waiting(self) -> NotReady:
        """As a probe gives it."""
        return NotReady(self.text or "no pod yet", self.hint)


def _ref(pod: Document, namespace: str = "") -> Ref:
    metadata = pod.get("metadata") or {}
    return Ref("v1", "Pod", str(metadata.get("name") or "pod"), namespace or str(metadata.get("namespace") or ""))


def _cause(known: Known, pods: Sequence[Document], namespace: str, owner: Ref | None) -> tuple[str, NotReady] | None:
    """The name of the first pod that does not run (or of what owns them, where there is none), and why."""
    refs = [_ref(pod, namespace) for pod in current(pods)] or ([owner] if owner else [])
    for ref in refs:
        found = roots.cause(known, ref)
        if found and not (found.symptom.vague and _runs(pods, ref)):
            return ref.name, found.waiting
    return None


def _runs(pods: Sequence[Document], ref: Ref) -> bool:
    return any(_ref(pod).name == ref.name and (pod.get("status") or {}).get("phase") in ("Running", "Succeeded") for pod in pods)


def reason(pod: Document) -> str:
    """Why a pod does not run (or failed), by itself, in one line; empty where it does."""
    known = Known()
    known.put(ListQuery("v1", "Pod", _ref(pod).namespace), [pod])
    cause = _cause(known, [pod], "", None)
    return f"{cause[0]}: {cause[1].reason}" if cause else ""


@contextlib.asynccontextmanager
async def pods(cluster: Cluster, namespace: str, selector: str, owner: Ref | None = None) -> AsyncIterator[PodReason]:
    """Keep looking at some pods while a wait goes on; `owner` is looked at where there are none."""
    found = PodReason()

    def take(cause: tuple[str, NotReady] | None) -> None:
        found.text, found.hint = (f"{cause[0]}: {cause[1].reason}", cause[1].hint) if cause else ("", "")

    async def look() -> None:
        while True:
            try:
                seen = await cluster.list(ListQuery("v1", "Pod", namespace), label_selector=selector)
                found.pods, known = seen, Known()
                known.put(ListQuery("v1", "Pod", namespace), seen)
                take(_cause(known, seen, namespace, owner))
                take(await explained(cluster, lambda now: _cause(now, seen, namespace, owner), known))  # noqa: B023 (awaited here)
            except KfError as error:
                found.text, found.hint = error.message, ""
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
    async with pods(cluster, ref.namespace, selector, ref) as found:

        def probe(document: Document | None) -> NotReady | None:
            ended = _condition(document, "Complete") or _condition(document, "Failed")
            return None if ended else found.waiting

        ended = await cluster.wait(ref, probe, timeout_seconds=timeout_seconds, say=context.say)
    # Named, for a namespace's sidecar injection may have put others beside it.
    container = str(job["spec"]["template"]["spec"]["containers"][0]["name"])
    lines = await _log(cluster, ref.namespace, selector, container)
    failed = _condition(ended, "Failed")
    if failed is not None:
        raise CommandError(
            f"{ref} failed: {failed.get('reason', 'unknown reason')}",
            why="\n".join(lines[-5:]) or found.text,
            hint=f"look at it: {kubectl('logs', f'job/{ref.name}', namespace=ref.namespace)}",
            tail=lines[-20:],
        )
    return lines


async def _log(cluster: Cluster, namespace: str, selector: str, container: str) -> tuple[str, ...]:
    """The log of a container of the youngest pod."""
    found = await cluster.list(ListQuery("v1", "Pod", namespace), label_selector=selector)
    youngest = sorted(found, key=lambda pod: str((pod.get("metadata") or {}).get("creationTimestamp", "")))[-1:]
    return await cluster.logs(namespace, youngest[0]["metadata"]["name"], container=container) if youngest else ()

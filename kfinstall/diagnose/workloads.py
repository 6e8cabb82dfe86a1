"""Waits for many workloads at once, and says why those that are not ready are not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from kfinstall.diagnose import roots
from kfinstall.diagnose.known import explained
from kfinstall.diagnose.reasons import workload_waiting
from kfinstall.diagnose.roots import Root
from kfinstall.errors import KfError, StepTimeoutError
from kfinstall.kube.base import Cluster, Document, ListQuery, Probe, Ref

_LOOK_SECONDS: Final = 2.0
EXPLAIN_EVERY_SECONDS: Final = 10.0
_SHOWN_ROOTS: Final = 5
_SHOWN_LATE: Final = 8
_AILING: Final = (
    *(ListQuery("apps/v1", kind) for kind in ("Deployment", "StatefulSet", "DaemonSet")),
    *(ListQuery("v1", kind) for kind in ("Node", "PersistentVolumeClaim")),
    ListQuery("cert-manager.io/v1", "Certificate"),
)
Count = Callable[[Sequence[Ref], Sequence[str]], None]
"""(those that are not available, why the first few are not)."""
HOPELESS_SECONDS: Final = 120.0
"""How long a reason that waiting never ends is looked at, in case a registry or mirror is just being filled."""


async def _lists(cluster: Cluster, refs: Iterable[Ref]) -> dict[Ref, Document]:
    wants = sorted({(ref.api_version, ref.kind) for ref in refs})
    found = await asyncio.gather(*(cluster.list(ListQuery(version, kind)) for version, kind in wants))
    return {Ref.of(document): document for documents in found for document in documents}


async def why_not(cluster: Cluster, refs: Iterable[Ref]) -> list[Root]:
    """The root causes of those that are not ready."""
    wanted = tuple(refs)
    return await explained(cluster, lambda known: roots.find(known, wanted))


async def ailing(cluster: Cluster) -> list[Root]:
    """The root causes of everything in the cluster that is not ready: nodes, workloads, claims, certificates."""
    lists = await asyncio.gather(*(cluster.list(want) for want in _AILING))
    refs = [Ref.of(item) for items in lists for item in items if item.get("kind") == "Node" or workload_waiting(item)]
    return await why_not(cluster, refs)


class Telling:
    """Says each root cause once, and knows since when one that waiting never ends stays."""

    def __init__(self, say: Callable[[str], None], hopeless_seconds: float = HOPELESS_SECONDS) -> None:
        """`say`: where each cause is told; `hopeless_seconds`: how long one that waiting never ends is looked at."""
        self._say = say
        self._reported: set[tuple[str, ...]] = set()
        self._hopeless: dict[tuple[str, ...], float] = {}
        self._begin = time.monotonic()
        self._seconds = hopeless_seconds

    @property
    def seconds(self) -> float:
        """How long it has gone on."""
        return time.monotonic() - self._begin

    def tell(self, found: Sequence[Root]) -> list[str]:
        """Say what is new; the first few causes in short."""
        now = time.monotonic()
        for root in found:
            if root.key not in self._reported:
                self._reported.add(root.key)
                self._say(root.line(f" since {self.seconds:.0f} s"))
        self._hopeless = {root.key: self._hopeless.get(root.key, now) for root in found if root.waiting.hopeless}
        return [root.brief() for root in found[:_SHOWN_ROOTS]]

    @property
    def lost(self) -> bool:
        """Whether going on makes no sense."""
        return any(time.monotonic() - since >= self._seconds for since in self._hopeless.values())


async def wait_available(
    cluster: Cluster,
    refs: Iterable[Ref],
    *,
    timeout_seconds: float,
    say: Callable[[str], None],
    hopeless_seconds: float = HOPELESS_SECONDS,
    count: Count | None = None,
) -> None:
    """Wait until all workloads are available; each root cause is said once, with what it holds up and since when.

    Raises:
        StepTimeoutError: with the reasons, the most blocking one first, and its remedy; before its time where a reason
            that waiting never ends stays for `hopeless_seconds`.
    """
    wanted = tuple(refs)
    telling = Telling(say, hopeless_seconds)
    explained_at, available = 0.0, -1
    while True:
        live = await _lists(cluster, wanted)
        open_ = [ref for ref in wanted if workload_waiting(live.get(ref)) is not None]
        if len(wanted) - len(open_) != available:
            available = len(wanted) - len(open_)
            say(f"{available} of {len(wanted)} workloads are available ({telling.seconds:.0f} s)")
            if count is not None:
                count(open_, ())
        if not open_:
            return
        late = telling.seconds >= timeout_seconds
        if late or telling.seconds - explained_at >= min(EXPLAIN_EVERY_SECONDS, hopeless_seconds):
            explained_at = telling.seconds
            found = await why_not(cluster, open_)
            lines = telling.tell(found)
            if count is not None:
                count(open_, lines)
            if late or telling.lost:
                many = f"{len(open_)} workload{'s' if len(open_) > 1 else ''}"
                what = (
                    f"{many} not available within {telling.seconds:.0f} s" if late else f"{many} can't become available by waiting"
                )
                raise too_late(what, found)
        await asyncio.sleep(min(_LOOK_SECONDS, max(timeout_seconds - telling.seconds, 0.0)))


def too_late(message: str, found: Sequence[Root]) -> StepTimeoutError:
    """The error of a wait that ended without success: causes first, and the remedy of the first that has one."""
    lines = [f"{roots.names(root.direct)}: {root.waiting.reason}{_waiting_behind(root)}" for root in found[:_SHOWN_LATE]]
    hint = next((root.waiting.hint for root in found if root.waiting.hint), "kubectl get pods -A | grep -v Running")
    return StepTimeoutError(message, why="\n".join(lines), hint=hint)


def _waiting_behind(root: Root) -> str:
    return f" ({len(root.behind)} wait behind it: {roots.names(root.behind)})" if root.behind else ""


async def wait_explained(
    cluster: Cluster, ref: Ref, probe: Probe, *, timeout_seconds: float, say: Callable[[str], None], maker: Ref | None = None
) -> Document | None:
    """Like `Cluster.wait`, and the root cause is said now and then, and stands in the error.

    `maker`: the workload that makes it, where no reference leads there.

    Raises:
        StepTimeoutError: with the root cause, where one was found.
    """
    telling, refs = Telling(say), [maker or ref]

    async def explain() -> None:
        while True:
            await asyncio.sleep(EXPLAIN_EVERY_SECONDS)
            try:
                telling.tell([root for root in await why_not(cluster, refs) if not root.vague])
            except KfError:  # it only explains; what is waited for decides
                continue

    task = asyncio.create_task(explain())
    try:
        return await cluster.wait(ref, probe, timeout_seconds=timeout_seconds, say=say)
    except StepTimeoutError as error:
        found = [root for root in await why_not(cluster, refs) if not root.vague]
        if not found:
            raise
        raise too_late(error.message, found) from error
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

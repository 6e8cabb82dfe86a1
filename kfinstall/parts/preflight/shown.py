"""What is told of a path between two nodes: one event, in words and figures."""

from __future__ import annotations

from typing import Final

from kfinstall.events import FindingLevel, NodePath
from kfinstall.parts.preflight import limits
from kfinstall.parts.preflight.reach import Blocked, Fault, Path

_ENDS: Final = {
    Fault.SENDER: "dropped by the packet filter of {source}",
    Fault.RECEIVER: "dropped by the packet filter of {target}",
    Fault.REJECTED: "refused by the packet filter of {target}",
    Fault.BETWEEN: "lost between {source} and {target}",
    Fault.ROUTER: "refused between {source} and {target}",
    Fault.ANSWER_RECEIVER: "the answer is dropped by the packet filter of {target}",
    Fault.ANSWER_BETWEEN: "the answer is lost between {target} and {source}",
    Fault.ANSWER_SENDER: "the answer is dropped by the packet filter of {source}",
    Fault.NO_ROUTE: "{source} has no route",
    Fault.NO_NEIGHBOUR: "nobody has that address in the network of {source}",
    Fault.NOBODY: "nothing listens on {target}",
    Fault.NAME: "the name of {target} does not resolve on {source}",
    Fault.LOOPBACK: "the name of {target} stands for {source} itself there",
    Fault.REVERSE_PATH: "dropped by the kernel of {target}, whose way back is another one (rp_filter)",
    Fault.FOREIGN: "something else answers",
    Fault.UNKNOWN: "no answer; why is not known yet",
}


def ends(blocked: Blocked) -> str:
    """A port and where it ends: TCP 10250 (kubelet): dropped by the packet filter of cp1."""
    way = blocked.way
    return f"{way.port.text}: {_ENDS[blocked.fault].format(source=way.source, target=way.target or way.host)}"


def path_event(path: Path) -> NodePath:
    """A path for everybody who looks on."""
    return NodePath(
        source=path.source,
        target=path.target,
        level=_level(path),
        tried=path.tried,
        blocked=tuple(ends(item) for item in path.blocked),
        round_trip_milliseconds=-1.0 if path.round_trip_microseconds is None else path.round_trip_microseconds / 1000,
        mtu_bytes=path.mtu_bytes or -1,
        megabits_per_second=-1.0 if path.bits_per_second is None else round(path.bits_per_second / 1e6, 1),
    )


def _level(path: Path) -> FindingLevel:
    if path.blocked or (path.mtu_bytes and path.local_mtu_bytes and path.mtu_bytes < path.local_mtu_bytes):
        return "error"
    far = (path.round_trip_microseconds or 0) > limits.REACH_ROUND_TRIP_MILLISECONDS * 1000
    slow = path.bits_per_second is not None and path.bits_per_second < limits.REACH_MEGABITS_PER_SECOND * 1e6
    return "warning" if far or slow else "ok"

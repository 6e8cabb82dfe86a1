"""What groups and role words of other tools mean here."""

from __future__ import annotations

import re
from typing import Final

CONTROL_PLANE: Final = "control-plane"
WORKER: Final = "worker"
BASTION: Final = "bastion"

_CONTROL: Final = (
    "control-plane control-planes controlplane controlplanes control control-node control-nodes control-plane-node control-plane-nodes "
    "controlplane-node controlplane-nodes cp controller controllers master masters master-node master-nodes manager managers server k3s-server"
)
_WORK: Final = "worker workers worker-node worker-nodes minion minions agent agents compute computes compute-node compute-nodes"
_ALONE: Final = "both single single-node all-in-one allinone aio controller-worker master-worker control-plane-worker"
_WAY: Final = (
    "bastion bastions bastion-host bastion-hosts bastion-server jump jumps jump-host jump-hosts jumphost jumphosts jumpbox jump-box jumpserver "
    "jump-server ssh-bastion ssh-gateway"
)
_OTHER: Final = (
    "etcd etcds external-etcd lb lbs loadbalancer loadbalancers load-balancer load-balancers ex-lb haproxy keepalived nfs nfs-server "
    "nfs-servers storage registry image-registry harbor monitoring calico-rr chrony ntp dns database databases db proxy proxies gateway backup "
    "router deployer ansible"
)
_MEANINGS: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(_CONTROL.split(), frozenset({CONTROL_PLANE})),
    **dict.fromkeys(_WORK.split(), frozenset({WORKER})),
    **dict.fromkeys(_ALONE.split(), frozenset({CONTROL_PLANE, WORKER})),
    **dict.fromkeys(_WAY.split(), frozenset({BASTION})),
}
_WEAK: Final = {"node": WORKER, "nodes": WORKER, "server": CONTROL_PLANE, "servers": CONTROL_PLANE}
"""What also is anybody's word for all servers."""
_MAKERS: Final = re.compile(r"(?:kube|k8s|kubernetes|k3s|rke2?|kubespray)-")
_WHICH: Final = (
    "additional other others extra first second primary secondary initial init leader main join joining new ha gpu gpus cpu nvidia amd64 "
    "arm64 x86 prod production dev staging rest remaining"
)
_WHICH_WORDS: Final = frozenset(_WHICH.split())
"""Words of a group's name that say which of its kind, not what kind: additional_master, gpu_workers."""
_FURTHER_NODES: Final = re.compile(r"(?:gpus?|nvidia|additional|extra|other|rest|remaining|join|joining|new)-nodes?")
_BETWEEN_ROLES: Final = re.compile(r"\s*(?:[,+&/;|]|\band\b)\s*")
_BETWEEN: Final = re.compile(r"[,+&/;| ]+|\band\b")
_OF_A_CONTROL_PLANE: Final = re.compile(r"(?:.*[-.])?(?:master|control-?plane|controller|cp)[-.]?\d*")
_OF_A_WORKER: Final = re.compile(r"(?:.*[-.])?(?:worker|node|agent|minion|compute|gpu)[-.]?\d*")
_OF_A_BASTION: Final = re.compile(r"(?:.*[-.])?(?:bastion|jump-?(?:host|box|server)?)[-.]?\d*")


def _plain(word: str) -> str:
    return re.sub(r"[_\s]+", "-", word.strip().lower())


def of_word(word: str) -> frozenset[str]:
    """The roles that a role column or a role word names; none where it is no role's name."""
    plain = _plain(word)
    known = _MEANINGS.get(plain) or _MEANINGS.get(_MAKERS.sub("", plain, count=1))
    if known:
        return known
    if plain in _WEAK:
        return frozenset({_WEAK[plain]})
    for between in (_BETWEEN_ROLES, _BETWEEN):
        parts = [part for part in between.split(word.strip().lower()) if part]
        found = [of_word(part) for part in parts] if len(parts) > 1 else []
        if found and all(found):
            return frozenset().union(*found)
    return frozenset()


def _kind(plain: str) -> str:
    """A group's name without the words that say which of its kind."""
    return "-".join(part for part in plain.split("-") if part not in _WHICH_WORDS and not part.isdecimal())


def of_group(name: str) -> frozenset[str]:
    """The roles that a group's name gives, whatever other groups there are."""
    plain = _plain(name)
    bare = _MAKERS.sub("", plain, count=1)
    if bare != plain and bare in _WEAK:
        return frozenset({_WEAK[bare]})
    if bare in _WEAK:
        return frozenset()
    if _FURTHER_NODES.fullmatch(bare):
        return frozenset({WORKER})
    return _MEANINGS.get(plain) or _MEANINGS.get(bare) or _MEANINGS.get(_kind(bare)) or frozenset()


def of_weak_group(name: str) -> frozenset[str]:
    """The role that a group's name gives where other groups give the other one: `nodes` beside `masters`, `server` beside `agent`."""
    role = _WEAK.get(_plain(name))
    return frozenset({role}) if role else frozenset()


def is_other(name: str) -> bool:
    """Whether a group or role is known, and is none of Kubernetes' nodes."""
    plain = _plain(name)
    return (_MAKERS.sub("", plain, count=1) in _OTHER_WORDS) or plain in _OTHER_WORDS


def of_name(name: str) -> str:
    """The role that a server's own name tells: control-plane, worker, bastion or nothing."""
    first = name.lower().partition(".")[0]
    if _OF_A_BASTION.fullmatch(first):
        return BASTION
    if _OF_A_CONTROL_PLANE.fullmatch(first):
        return CONTROL_PLANE
    return WORKER if _OF_A_WORKER.fullmatch(first) else ""


_OTHER_WORDS: Final = frozenset(_OTHER.split())

"""Why a volume can't be mounted, by what the kubelet, CSI drivers and mount say. Pure."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.diagnose.saying import Symptom, line, symptom, vague
from kfinstall.text import kubectl

_VOLUME: Final = re.compile(r'for volume "([^"]+)"')
_PASSING: Final = re.compile(
    r"failed to sync \w+ cache|\bnot registered\b|no relationship found between node|failed to fetch token", re.IGNORECASE
)
_KEY: Final = re.compile(r"references non-existent (config|secret) key: (\S+)")
_DRIVER: Final = re.compile(r"driver name (\S+) not found in the list of registered CSI drivers")
_NFS: Final = re.compile(r"\bmount\.nfs4?\b|-t nfs4?\b|\bnfs server\b", re.IGNORECASE)
_NO_CLIENT: Final = re.compile(
    r"need a /sbin/mount|mount\.nfs4?: (?:command )?not found|unknown filesystem type 'nfs", re.IGNORECASE
)
_EXPORT: Final = re.compile(
    r"access denied by server|no such file or directory|permission denied|operation not permitted|failed, reason given by server"
    r"|read-only file system",
    re.IGNORECASE,
)
_SILENT: Final = re.compile(
    r"timed out|connection refused|no route to host|network is unreachable|host is down|deadline exceeded|failed to resolve server"
    r"|name or service not known|rpc(?:bind|\.statd)|stale file handle|program not registered",
    re.IGNORECASE,
)


def driver(message: str) -> str:
    """The CSI driver that a node lacks; empty where none is named."""
    found = _DRIVER.search(message)
    return found[1] if found else ""


def nfs(message: str, what: str) -> Symptom | None:
    """What is wrong between a node and an NFS server, where a text speaks of one; `what`: 'volume x can't be mounted'."""
    if _NO_CLIENT.search(message):
        hint = "nfs-common is not on that node: kfinstall --answers FILE --only storage"
        return symptom(("mount", "nfs client"), f"{what}: the node can't mount NFS", hint, cause="nfs-client")
    if not _NFS.search(message) and "failed to make subdirectory" not in message:
        return None
    said = line(message.rpartition("Output: ")[2])
    if _EXPORT.search(said):
        hint = (
            "its export: does it hold that directory, for these nodes, with rw and no_root_squash? sudo exportfs -v on the server"
        )
        return symptom(("mount", "nfs export", said), f"{what}: the NFS server refuses it ({said})", hint, cause="nfs-export")
    if _SILENT.search(said):
        hint = "is the NFS server on, and does the node reach it by TCP 2049? systemctl status nfs-server on it; kfinstall check --answers FILE"
        return symptom(("mount", "nfs server", said), f"{what}: the NFS server does not answer ({said})", hint, cause="nfs-server")
    return symptom(("mount", "nfs", said), f"{what}: NFS says {said}", "sudo exportfs -v on the NFS server; df -h on that node")


def mount(message: str, at: str, sources: str = "") -> Symptom | None:
    """Why a volume is not there for a pod; None where a text says nothing of one.

    `at`: the pod; `sources`: the ConfigMaps and Secrets that the volume is made of, where they are known.
    """
    low = message.lower()
    found = _VOLUME.search(message)
    what = f"volume {line(found[1])} can't be mounted" if found else "a volume can't be mounted"
    if low.startswith("multi-attach error"):
        rest = line(message.partition('" ')[2])
        hint = "it may be on one node at a time: kubectl get volumeattachments; the pod that has it must end first, also on a node that is off"
        return symptom(
            ("mount", at), f"{what.replace('mounted', 'attached')}: {rest or 'another node has it'}", hint, cause="volume-in-use"
        )
    if "unable to attach or mount volumes" in low or "node has reached its volume attachment limit" in low:
        return vague(f"its volumes are not there yet, and it is not known why: {line(message)}", "kubectl describe pod")
    if "mountvolume." not in low and "mapvolume." not in low and "attachvolume." not in low:
        return None
    if _PASSING.search(message):
        return vague(
            f"{what} yet: its node waits for the API server, which passes ({line(message.partition(' : ')[2])})",
            cause="mount-passing",
        )
    if key := _KEY.search(message):
        kind = "ConfigMap" if key[1] == "config" else "Secret"
        who = f"{sources} has no key" if sources.startswith(kind) and "," not in sources else f"its {kind} has no key"
        hint = f"kubectl describe pod names the {kind}; if it is Kubeflow's, make it anew: kfinstall --answers FILE"
        return symptom(("mount", at), f"{what}: {who} {line(key[2])}", hint, cause="mount-key")
    return _by_driver(message, what) or nfs(message, what) or _on_the_node(message, what, at)


def _by_driver(message: str, what: str) -> Symptom | None:
    if not (name := driver(message)):
        return None
    where = kubectl("get", "csinode", "-o", "wide")
    hint = f"is the driver's pod on that node running? {where}; kubectl get pods -A -o wide | grep -i csi"
    return symptom(("mount", "driver", name), f"{what}: CSI driver {line(name)} is not on its node", hint, cause="csi-driver")


def _on_the_node(message: str, what: str, at: str) -> Symptom:
    low = message.lower()
    if "hostpath type check failed" in low:
        said = line(message.rpartition("check failed: ")[2])
        return symptom(
            ("mount", at),
            f"{what}: {said} on its node",
            "kubectl describe pod names the hostPath and its type",
            cause="mount-hostpath",
        )
    if re.search(r'path "[^"]+" does not exist', message):
        said = line(message.rpartition(" : ")[2])
        hint = "the directory of a local volume is gone from its node: bring it back there, or delete the claim and make it anew"
        return symptom(("mount", at), f"{what}: {said}", hint, cause="mount-local")
    reason = f"{what}, and it is not known why: {line(message.partition(' : ')[2] or message)}"
    return symptom(("mount", at), reason, "kubectl describe pod; on its node: journalctl -u kubelet -n 50")

"""Why a pod's sandbox can't be made, by what runtime, runc and network plugins say. Pure."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.diagnose.pulls import pull
from kfinstall.diagnose.saying import Symptom, line, symptom, vague
from kfinstall.text import shell

_SANDBOX_IMAGE: Final = re.compile(r'failed to get sandbox image "([^"]+)"')
_SERVICE: Final = re.compile(r"dial tcp ([0-9a-f.:\[\]]+):443: (?:i/o timeout|connect: )", re.IGNORECASE)
ISTIO_AGENT: Final = "istio-cni-node"
CALICO_AGENT: Final = "calico-node"
_CALICO: Final = re.compile(r"calico|\bcali[0-9a-f]{11}\b|error getting ClusterInformation", re.IGNORECASE)
_SILENT: Final = re.compile(r"transport is closing|containerd\.sock|connection error: desc|runtime is down", re.IGNORECASE)
_SLOW: Final = re.compile(r"desc = (?:context deadline exceeded|stream terminated)|code = DeadlineExceeded", re.IGNORECASE)


def agent(message: str) -> str:
    """The label (k8s-app) of the pod of a node that makes its sandboxes' network; empty where a text names none."""
    if re.search(r"istio-cni", message):
        return ISTIO_AGENT
    return CALICO_AGENT if _CALICO.search(message) else ""


def is_sandbox(message: str) -> bool:
    """Whether a text tells of a pod's sandbox or of its network."""
    low = message.lower()
    return "failed to create pod sandbox" in low or low.startswith(("network is not ready", "failed create pod sandbox"))


def service_address(message: str) -> str:
    """The address, port 443, that a connection could not be made to; empty where there is none."""
    found = _SERVICE.search(message)
    return found[1].strip("[]") if found else ""


def sandbox(message: str, at: str) -> Symptom:
    """Why a pod's sandbox can't be made, by whose words they are. `at`: the pod."""
    low, said = message.lower(), line(message.rpartition("desc = ")[2])
    if image := _SANDBOX_IMAGE.search(message):
        return pull(image[1], message[image.end() :])
    if "no space left on device" in low:
        return symptom(
            ("disk", at),
            "its sandbox can't be made: the node's disk is full",
            "on that node: df -h; sudo crictl rmi --prune",
            cause="node-disk",
        )
    if "is reserved for" in low:
        hint = "a slow disk or runtime: on its node: journalctl -u containerd -n 50"
        return vague("its sandbox is still being made by an earlier try", hint, cause="sandbox-reserved")
    return (
        _runtime(message, said)
        or _istio(message, said)
        or _runc(low, said, at)
        or _plugins(low, said)
        or _calico(low, said)
        or _unknown(said, at)
    )


def _runtime(message: str, said: str) -> Symptom | None:
    """A runtime that does not answer the kubelet, or not in time."""
    if _SILENT.search(message):
        hint = "on its node: systemctl status containerd; journalctl -u containerd -n 50"
        return symptom(("runtime",), f"the container runtime of its node does not answer: {said}", hint, cause="runtime-down")
    if _SLOW.search(message):
        hint = "a slow disk, or a network plugin that does not come back: on its node: journalctl -u containerd -n 50; uptime"
        return vague("the container runtime of its node takes too long to make its sandbox", hint, cause="runtime-slow")
    return None


def _istio(message: str, said: str) -> Symptom | None:
    if agent(message) != ISTIO_AGENT:
        return None
    hint = "kubectl get pods -A -l k8s-app=istio-cni-node -o wide, and its log on that node"
    return symptom(("sandbox", "istio-cni"), f"Istio's CNI does not do its part on its node: {said}", hint, cause="istio-cni")


def _runc(low: str, said: str, at: str) -> Symptom | None:
    if "expected cgroupspath to be of format" in low:
        hint = "containerd and kubelet disagree on the cgroup driver: kfinstall --answers FILE --only prepare"
        return symptom(("sandbox", "cgroups"), f"runc can't make its sandbox: {said}", hint, cause="runc-cgroups")
    if re.search(r'exec: "?runc"?: .*(?:executable file not found|no such file)', low):
        return symptom(
            ("sandbox", "runc"), "runc is not on its node", "kfinstall --answers FILE --only prepare", cause="runc-missing"
        )
    if "runc" not in low and "oci runtime" not in low:
        return None
    hint = "on its node: journalctl -u containerd -n 50"
    return symptom(("sandbox", "runc", at), f"runc can't make its sandbox: {said}", hint, cause="runc")


def _plugins(low: str, said: str) -> Symptom | None:
    """What a node without its network's programs or configuration says."""
    if found := re.search(r'failed to find plugin "([^"]+)"', said):
        hint = "kfinstall --answers FILE --only prepare; kfinstall --answers FILE --only cluster"
        return symptom(
            ("sandbox", "plugin", found[1]), f"CNI plugin {line(found[1])} is not on its node", hint, cause="cni-missing"
        )
    if "cni plugin not initialized" in low or "no networks found in" in low or "no network config found" in low:
        hint = "is Calico's pod on that node running? kubectl get pods -n calico-system -o wide"
        return symptom(("sandbox", "network"), "the pod network is not set up on its node yet", hint, cause="network-missing")
    return None


def _unknown(said: str, at: str) -> Symptom:
    reason = f"its sandbox can't be made, and it is not known why: {said}"
    return symptom(("sandbox", at), reason, "kubectl describe pod; on its node: journalctl -u kubelet -u containerd -n 50")


def _calico(low: str, said: str) -> Symptom | None:
    if not _CALICO.search(low):
        return None
    if re.search(r"no more free affine blocks|no ips available|no configured calico pools|assigned 0 out of", low):
        hint = "cluster.podCIDR is too small, or addresses were never given back: kubectl get ippools,blockaffinities -o wide"
        return symptom(("sandbox", "addresses"), f"Calico has no address left for it: {said}", hint, cause="calico-addresses")
    if "unauthorized" in low or "x509" in low:
        hint = "kubectl -n calico-system rollout restart daemonset calico-node writes new ones"
        return symptom(
            ("sandbox", "calico token"), f"Calico's credentials on its node are not accepted: {said}", hint, cause="calico-token"
        )
    hint = "kubectl get pods -n calico-system -o wide, and the log of calico-node on that node"
    if address := service_address(said):
        reason = f"its node does not reach the API server by its Service address {line(address)}: {said}"
        where = shell("kubectl", "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-proxy", "-o", "wide")
        return symptom(("service network",), reason, f"is kube-proxy running on it? {where}", cause="service-network")
    return symptom(("sandbox", "calico"), f"Calico does not do its part on its node: {said}", hint, cause="calico")

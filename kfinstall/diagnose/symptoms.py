"""What registries, kubelets, containers and the API server say, as a cause in the user's words with its remedy. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kfinstall.invocation import spoken
from kfinstall.kube.base import NotReady, Ref
from kfinstall.text import clean, kubectl, shell

_TEXT_LIMIT_CHARACTERS: Final = 240
MADE: Final = "if it is Kubeflow's, make it: kfinstall --answers FILE"
"""What to do about an object that is not there."""
_TOO_MANY_FILES: Final = "too many open files"
PULL_REASONS: Final = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_TELLING: Final = re.compile(
    r"panic:|fatal|error|fail|exception|denied|refused|not permitted|incompatible|not compatible", re.IGNORECASE
)
_UNREACHABLE: Final = (
    "no such host",
    "i/o timeout",
    "connection refused",
    "network is unreachable",
    "dial tcp",
    "tls handshake timeout",
)


@dataclass(frozen=True, slots=True)
class Symptom:
    """A cause at one object."""

    key: tuple[str, ...]
    """What makes two causes one and the same."""
    waiting: NotReady
    vague: bool = False
    """A state that passes rather than a cause."""
    about: Ref | None = None
    """The object that the reason itself speaks of, where its chain need not say so again."""
    requested: Mapping[str, float] | None = None
    """What a pod asks for that no node has free: resource to amount (bytes, CPUs, pods)."""


def line(message: object) -> str:
    """Remote text as part of one line: cleaned, its end kept, since that is where the cause stands."""
    text = clean(str(message or "").replace("\r", " ").replace("\n", " ")).strip()
    return text if len(text) <= _TEXT_LIMIT_CHARACTERS else f"…{text[-_TEXT_LIMIT_CHARACTERS:]}"


def symptom(key: Sequence[str], reason: str, hint: str = "", *, hopeless: bool = False) -> Symptom:
    """A symptom in short."""
    return Symptom(tuple(key), NotReady(reason, spoken(hint), hopeless))


def about(ref: Ref, reason: str, hint: str = "") -> Symptom:
    """A symptom that speaks of an object itself: 'it does not exist'."""
    return Symptom((str(ref), reason), NotReady(reason, spoken(hint)), about=ref)


def vague(reason: str, hint: str = "") -> Symptom:
    """A state that passes, or of which nothing more is known."""
    return Symptom(("vague", reason), NotReady(reason, spoken(hint)), vague=True)


def registry_of(image: str) -> str:
    """The registry that an image's name means; docker.io where it names none."""
    head, separator, _rest = image.partition("/")
    return head if separator and ("." in head or ":" in head or head == "localhost") else "docker.io"


def pull(image: str, message: str) -> Symptom:
    """Why an image can't be pulled; what its registry as a whole is at fault for is one cause for all its images."""
    image, low, registry = line(image), message.lower(), registry_of(line(image))
    answer = line(message.rpartition(": failed to")[2])
    if "toomanyrequests" in low or "429" in low:
        return symptom(
            ("registry", registry, "limit"),
            f"registry {registry} limits anonymous pulls (image {image})",
            f"registry.mirrors in the answers: a mirror of {registry}; or log in to it",
        )
    if "unauthorized" in low or "denied" in low or "authentication required" in low:
        return symptom(
            ("image", image),
            f"image {image}: the registry refuses the login ({answer})",
            "does the image exist? does its pull secret fit?",
        )
    if "no matching manifest" in low or "exec format error" in low:
        hint = "Kubeflow's images are amd64 only: use amd64 nodes"
        return symptom(("image", image), f"image {image} is not built for this processor", hint, hopeless=True)
    if any(text in low for text in _UNREACHABLE):  # before 'not found', which a resolver may say too
        return symptom(
            ("registry", registry, "unreachable"),
            f"registry {registry} can't be reached ({answer}; image {image})",
            "check DNS, proxy and firewall of that node: kfinstall check --answers FILE",
        )
    if "not found" in low or "manifest unknown" in low:
        hint = (
            f"does a mirror lack it (registry.mirrors)? {shell('sudo', 'crictl', 'pull', image)}; "
            "if it is gone for good: another cluster.release"
        )
        return symptom(("image", image), f"image {image} is not in its registry", hint, hopeless=True)
    if "x509" in low or "certificate" in low:
        return symptom(
            ("registry", registry, "certificate"),
            f"registry {registry}: its certificate is not trusted (image {image})",
            "put its CA on every node: kfinstall --answers FILE --only registry",
        )
    if "no space left" in low:
        return symptom(
            ("image", image), f"image {image} can't be unpacked: the node's disk is full", "sudo crictl rmi --prune; df -h"
        )
    return symptom(
        ("image", image),
        f"image {image} can't be pulled: {answer or 'no reason given'}",
        "kubectl describe pod shows the registry's answer",
    )


def telling(lines: Sequence[str]) -> str:
    """The line of a log that says why a program ended: one that we know, the last that sounds like an error, or the last."""
    kept = [text for text in lines if text.strip()]
    known = next((text for text in reversed(kept) if _known_end("", text)), "")
    return known or next((text for text in reversed(kept) if _TELLING.search(text)), kept[-1] if kept else "")


def crash(name: str, ended: Mapping[str, Any], lines: Sequence[str], at: str) -> Symptom:
    """Why a container ends again and again; `at` names its pod's owner, since each crashes for itself."""
    last_line = line(telling(lines) or telling(str(ended.get("message") or "").splitlines()))
    found = _known_end(line(name), last_line)
    if found is not None:
        return found if found.key[0] != "crash" else Symptom((*found.key, at), found.waiting)
    if ended.get("reason") == "OOMKilled" or ended.get("exitCode") == 137:
        return symptom(
            ("crash", at, "memory"),
            f"container {line(name)} was killed: out of memory",
            "raise its memory limit, or give the node more memory",
        )
    why = last_line or f"exit status {ended.get('exitCode')}"
    return symptom(("crash", at, why), f"container {line(name)} ends again and again: {why}", "kubectl logs --previous shows more")


_ENDS: Final = (
    (
        (_TOO_MANY_FILES, "inotify"),
        "limits",
        "container {name} ends: too many open files",
        "fs.inotify limits are too low: kfinstall --answers FILE --only prepare",
    ),
    (("x86-64-v2",), "cpu", "container {name}: the processor lacks x86-64-v2", "set the virtual machine's CPU type to host"),
    (
        ("unable to initialize table", "can't initialize iptables", "tables-restore"),
        "modules",
        "container {name} ends: {said}",
        "kernel modules of iptables are missing: kfinstall --answers FILE --only prepare",
    ),
    (
        ("data directory has files in it", "--initialize specified"),
        "crash",
        "container {name} ends: its volume holds what an earlier database left ({said})",
        "if that is not needed: delete the claim, and its directory on the server; then make it anew: kfinstall --answers FILE",
    ),
    (
        ("operation not permitted", "permission denied"),
        "crash",
        "container {name} ends: {said}",
        "does the volume let its user write? with NFS: no_root_squash for the nodes",
    ),
    (
        ("is not compatible, need at least",),
        "version",
        "container {name} ends: {said}",
        "give cluster.kubernetesVersion one that the release runs on: kfinstall answers check FILE",
    ),
    (
        ('strconv.atoi: parsing "tcp://',),
        "crash",
        "container {name} ends: a Service's address stands in a variable that it reads a port from ({said})",
        "delete its pod, or set enableServiceLinks: false in its template",
    ),
    (
        ("kubernetes service host", "kubernetes_service_host"),
        "crash",
        "container {name} ends: {said}",
        "is kube-proxy running on its node?",
    ),
    (
        ("no space left on device",),
        "disk",
        "container {name} ends: the disk or volume is full",
        "df -h on the node; kubectl get pvc -A",
    ),
    (
        ("exec format error",),
        "image",
        "container {name} is not built for this processor",
        "Kubeflow's images are amd64 only: use amd64 nodes",
    ),
)


def _known_end(name: str, last_line: str) -> Symptom | None:
    low = last_line.lower()
    for texts, key, reason, hint in _ENDS:
        if any(text in low for text in texts):
            return symptom((key,) if key != "crash" else (key, hint), _filled(reason, name=name, said=line(last_line)), hint)
    return None


def _filled(template: str, **values: str) -> str:
    """Like format, but for texts that may hold braces themselves."""
    for key, value in values.items():
        template = template.replace(f"{{{key}}}", value)
    return template


_QUOTA: Final = re.compile(r"exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: (.+)$")
_DETAILS: Final = re.compile(r" \((?:pod|container|volume|host)[^()]*\)")
_MUST: Final = re.compile(r"failed quota: ([^:]+): must specify (.+)$")


def refused(message: str, namespace: str) -> Symptom | None:
    """Why the API server refuses a pod or a claim, where no webhook has to do with it."""
    low, details = message.lower(), line(message.rpartition("is forbidden:")[2] or message)
    if match := _QUOTA.search(line(message)):
        name, requested, used, limited = match.groups()
        return symptom(
            ("quota", namespace, name),
            f"ResourceQuota {namespace}/{name} is used up: {requested} asked, {used} of {limited} used",
            kubectl("edit", "resourcequota", names=[name], namespace=namespace),
        )
    if match := _MUST.search(line(message)):
        look = kubectl("describe", "resourcequota", names=[match[1]], namespace=namespace)
        hint = f"{look}; a LimitRange with defaults would give each pod one"
        return symptom(
            ("quota", namespace, match[1]), f"ResourceQuota {namespace}/{match[1]} wants every pod to name {match[2]}", hint
        )
    if "violates podsecurity" in low:
        label = kubectl("label", "--overwrite", "namespace", names=[namespace, "pod-security.kubernetes.io/enforce=baseline"])
        hint = f"{label}  # or privileged"
        rules = line(_DETAILS.sub("", message.rpartition("is forbidden:")[2] or message))
        reason = f"the pod security of namespace {namespace} refuses its pods: {rules}"
        return symptom(("pod security", namespace, rules), reason, hint)
    if "usage per container" in low or "usage per pod" in low or "usage per persistentvolumeclaim" in low:
        hint = kubectl("describe", "limitrange", namespace=namespace)
        return symptom(("limits", namespace, details), f"a LimitRange of namespace {namespace} refuses it: {details}", hint)
    if match := re.search(r'serviceaccount "?([\w./-]+)"? not found', message):
        return symptom(
            ("account", namespace, match[1]),
            f"service account {match[1]} does not exist",
            MADE,
        )
    if "because it is being terminated" in low:
        return symptom(
            ("leaving", namespace),
            f"namespace {namespace} still goes away",
            f"{kubectl('get', 'namespace', names=[namespace], options=('-o', 'yaml'))} shows what holds it",
        )
    return None


_HAPPENED: Final = (
    (_TOO_MANY_FILES, "limits", "too many open files", "fs.inotify limits are too low: kfinstall --answers FILE --only prepare"),
    (
        "failed to create pod sandbox",
        "sandbox",
        "the pod network does not work on its node: {}",
        "kubectl get pods -n calico-system -o wide",
    ),
    (
        "mountvolume.",
        "mount",
        "a volume can't be mounted: {}",
        "does the NFS server answer? is nfs-common on the node (kfinstall --answers FILE --only storage)?",
    ),
    ("failedattachvolume", "mount", "a volume can't be attached: {}", "kubectl describe pod"),
    ("unable to attach or mount volumes", "mount", "a volume can't be mounted: {}", "kubectl describe pod"),
)


def happened(message: str, at: str) -> Symptom | None:
    """What an event of a pod tells, where it tells a cause."""
    low = message.lower()
    for text, key, reason, hint in _HAPPENED:
        if text in low:
            return symptom((key,) if key == "limits" else (key, at), reason.replace("{}", line(message)), hint)
    return None

"""Why a container ends again and again: by how it ended, by what the kubelet did to it, by the line of its log that tells it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kfinstall.diagnose.saying import Symptom, filled, line, symptom
from kfinstall.kube.base import Document, NotReady
from kfinstall.text import clean

_PREPARE: Final = "kfinstall --answers FILE --only prepare"
_RIGHTS: Final = r"(?:operation not permitted|permission denied|errcode: 13\b)"
_VALIDATION: Final = "istio-validation"
"""The init container that looks whether Istio's CNI has done its part, and says nothing else."""
_SOFT: Final = re.compile(
    r"^[IW]\d{4}\b|\bignor(?:ed|ing)\b|\bretry(?:ing)?\b|\blevel=(?:warn\w*|info|debug)\b|\"level\":\s*\"(?:warn\w*|info|debug)\""
    r"|(?:\[|\s|^)(?:WARN(?:ING)?|INFO|DEBUG|NOTICE)(?:\]|:|\s)|\b(?:warn(?:ing)?|note)\b",
    re.IGNORECASE,
)
"""What a program says and goes on after."""
_FATAL: Final = re.compile(r"\bpanic:|\bfatal\b|^F\d{4}\b|^(?:[\w.]+\.)?\w+(?:Error|Exception)\b", re.IGNORECASE)
_GENERIC: Final = re.compile(r"\babort|\bexiting\b|\bexit (?:status|code)|shutting down|shutdown|terminat|goodbye", re.IGNORECASE)
_ERROR: Final = re.compile(r"^E\d{4}\b|\berror\b|\bfailed\b", re.IGNORECASE)
_NEAR_LINES: Final = 2
"""How far before the last fatal line an error may stand that it is taken for the outcome of."""
_TELLING: Final = re.compile(
    r"panic:|fatal|error|fail|exception|denied|refused|not permitted|incompatible|not compatible", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _End:
    """A line that a program ends with, and what it means."""

    pattern: re.Pattern[str]
    cause: str
    reason: str
    hint: str
    shared: bool = False
    """The same cause for all who say it."""


def _end(cause: str, pattern: str, reason: str, hint: str, *, shared: bool = False) -> _End:
    return _End(re.compile(pattern, re.IGNORECASE), cause, reason, hint, shared)


_ENDS: Final = (
    _end(
        "open-files",
        r"too many open files|\bEMFILE\b|number of (?:file|inotify) watch\w* reached|inotify.{0,60}no space left on device",
        "container {name} ends: too many open files",
        f"fs.inotify limits are too low: {_PREPARE}",
        shared=True,
    ),
    _end(
        "cpu-level",
        r"x86-64-v[234]",
        "container {name}: the processor lacks x86-64-v2",
        "set the virtual machine's CPU type to host",
        shared=True,
    ),
    _end(
        "iptables-modules",
        r"unable to initialize table|can.t initialize iptables(?!.*(?:permission denied|not permitted|must be root))"
        r"|tables-restore(?!.*(?:permission denied|not permitted|must be root))",
        "container {name} ends: {said}",
        f"kernel modules of iptables are missing: {_PREPARE}",
        shared=True,
    ),
    _end(
        "iptables-rights",
        r"(?:ip6?tables|nf_tables|nft\b).*(?:permission denied|not permitted|must be root)",
        "container {name} may not change iptables: {said}",
        "with Istio's CNI its pods need no right to: is istio-cni-node running on that node? else the namespace's pod security or the "
        "node's runtime keeps NET_ADMIN from it",
    ),
    _end(
        "data-directory",
        r"data directory has files in it|--initialize specified",
        "container {name} ends: its volume holds what an earlier database left ({said})",
        "if that is not needed: delete the claim, and its directory on the server; then make it anew: kfinstall --answers FILE",
    ),
    _end(
        "version",
        r"is not compatible, need at least",
        "container {name} ends: {said}",
        "give cluster.kubernetesVersion one that the release runs on: kfinstall answers check FILE",
        shared=True,
    ),
    _end(
        "service-variable",
        r"strconv\.(?:atoi|parse\w+): parsing \"tcp://",
        "container {name} ends: a Service's address stands in a variable that it reads a port from ({said})",
        "delete its pod, or set enableServiceLinks: false in its template",
    ),
    _end(
        "rbac",
        r"is forbidden: User \"[^\"]*\" cannot|forbidden: .*cannot \w+ resource",
        "container {name} may not do in the cluster what it needs to ({said})",
        "its service account lacks a role; if it is Kubeflow's, make it anew: kfinstall --answers FILE",
    ),
    _end(
        "disk-full",
        r"no space left on device",
        "container {name} ends: the disk or volume is full",
        "df -h on the node; kubectl get pvc -A",
    ),
    _end(
        "image-platform",
        r"exec format error",
        "container {name} is not built for this processor",
        "Kubeflow's images are amd64 only: use amd64 nodes",
    ),
    _end(
        "port-in-use",
        r"address already in use|EADDRINUSE",
        "container {name} ends: its port is taken ({said})",
        "another container of its pod, or, with hostNetwork, another program of its node has it: sudo ss -ltnp",
    ),
    _end(
        "port-rights",
        rf"\bbind\b.*{_RIGHTS}",
        "container {name} may not open its port: {said}",
        "a port from 1024 on, or the capability NET_BIND_SERVICE",
    ),
    _end(
        "database-login",
        r"access denied for user|password authentication failed|authentication failed for user",
        "container {name} ends: the database refuses its login ({said})",
        "was the password changed after the database was made? it keeps the one that it was made with",
    ),
    _end(
        "file-rights",
        rf"(?:^|[\s'\"(:])/(?:proc|sys|dev|etc|usr|bin|sbin|lib|tmp|run|var/run)\b.*{_RIGHTS}",
        "container {name} ends: {said}",
        "its user may not do that in its own image: runAsUser and fsGroup in its securityContext",
    ),
    _end(
        "volume-rights",
        rf"(?:\bch(?:own|mod|grp)\b|\bmkdir\b|\bopen|\bcreate|\bwrit|\btouch\b|\brename\b|\bremove|[\s'\"(:]/\w).*{_RIGHTS}",
        "container {name} ends: {said}",
        "does the volume let its user write? with NFS: no_root_squash for the nodes",
    ),
    _end(
        "dns-loop",
        r"plugin/loop: Loop",
        "CoreDNS sends its questions to itself, sees the loop and ends: {said}",
        "the nodes' /etc/resolv.conf names 127.0.0.1 or 127.0.0.53: resolvConf: /run/systemd/resolve/resolv.conf in "
        "/var/lib/kubelet/config.yaml; then kubectl -n kube-system rollout restart deployment coredns",
        shared=True,
    ),
    _end(
        "service-network",
        r"kubernetes[ _]service[ _]host",
        "container {name} ends: {said}",
        "is kube-proxy running on its node?",
    ),
)


def telling(lines: Sequence[str]) -> str:
    """The line of a log that says why a program ended.

    One that we know, unless the program went on after it and ended by another; else the last fatal one, the last that sounds like an
    error, or the last. What a program only warns of counts where it says nothing else.
    """
    kept = [clean(text) for text in lines if text.strip()]
    hard = [text for text in kept if not _SOFT.search(text)] or kept
    known = max((place for place, text in enumerate(hard) if _known(text)), default=-1)
    fatal = max((place for place, text in enumerate(hard) if _FATAL.search(text) and not _GENERIC.search(text)), default=-1)
    if known >= 0 and (fatal <= known or (fatal - known <= _NEAR_LINES and _ERROR.search(hard[known]))):
        return hard[known]
    if fatal >= 0:
        return hard[fatal]
    return next((text for text in reversed(hard) if _TELLING.search(text)), hard[-1] if hard else "")


def deciding(text: str) -> bool:
    """Whether a line says by itself why a program ended, so that nothing before it counts."""
    return bool(_known(text) or _FATAL.search(text))


def _known(text: str) -> _End | None:
    return next((end for end in _ENDS if end.pattern.search(text)), None)


def crash(name: str, ended: Mapping[str, Any], lines: Sequence[str], at: str, events: Iterable[Document] = ()) -> Symptom:
    """Why a container ends again and again.

    `ended`: its last end, as the kubelet reports it; `at` names its pod's owner, since each crashes for itself; `events`: those of
    its pod, the newest first.
    """
    name, code = line(name), ended.get("exitCode")
    if ended.get("reason") == "OOMKilled":
        return symptom(
            ("crash", at, "memory"),
            f"container {name} was killed: out of memory",
            "raise its memory limit, or give the node more memory",
            cause="out-of-memory",
        )
    if ended.get("reason") in ("StartError", "ContainerCannotRun"):
        why = line(ended.get("message")) or f"exit status {code}"
        return symptom(("crash", at, "start"), f"container {name} can't be started: {why}", "kubectl describe pod", cause="start")
    found = _by_kubelet(name, at, events) if code else None
    if found:
        return found
    said = telling(lines) or telling(str(ended.get("message") or "").splitlines())
    end = _known(said)
    if end is not None:
        key = (end.cause,) if end.shared else ("crash", at, end.cause)
        return symptom(key, filled(end.reason, name=name, said=line(said)), end.hint, cause=end.cause)
    if code == 137 and not _FATAL.search(said):
        reason = f"container {name} was killed (exit status 137), and it is not known by whom: it is not said that memory ran out"
        hint = "on its node: sudo journalctl -k | grep -i oom; kubectl get events -A | grep -i oom; kubectl describe pod"
        return Symptom(("crash", at, "killed"), NotReady(reason, hint), vague=True, cause="killed")
    why = line(said) or f"exit status {code}"
    if name == _VALIDATION:
        hint = "is istio-cni-node running on its node? kubectl get pods -A -l k8s-app=istio-cni-node -o wide; then delete the pod"
        reason = f"Istio's CNI has not set up the traffic of this pod (container {name}: {why})"
        return symptom(("crash", at, "istio-cni"), reason, hint, cause="iptables-redirect")
    return symptom(
        ("crash", at, why), f"container {name} ends again and again: {why}", "kubectl logs --previous shows more", cause="exit"
    )


_PROBE: Final = re.compile(r"^(?:Container|Init container) (\S+) failed (liveness|startup) probe")
_UNHEALTHY: Final = re.compile(r"^(Liveness|Startup) probe (?:failed|errored)\S*:?\s*(.*)", re.DOTALL)


def _by_kubelet(name: str, at: str, events: Iterable[Document]) -> Symptom | None:
    """A container that the kubelet ended: it says so in events."""
    told = [event for event in events if _of(event, name)]
    answers = [found for event in told if (found := _UNHEALTHY.match(_text(event)))]
    for event in told:
        if event.get("reason") == "FailedPostStartHook":
            return symptom(
                ("crash", at, "hook"),
                f"container {name} is killed because its postStart hook fails: {line(_text(event))}",
                "kubectl describe pod names the hook (lifecycle.postStart)",
                cause="start-hook",
            )
        killed = _PROBE.match(_text(event)) if event.get("reason") == "Killing" else None
        if killed and killed[1] == name:
            kind = killed[2]
            answer = next((line(found[2]) for found in answers if found[1].lower() == kind and found[2].strip()), "")
            reason = f"its {kind} probe killed container {name}{f' ({answer})' if answer else ''}: it does not answer in time"
            hint = (
                "a slow disk, too little CPU, or something that it waits for: kubectl logs --previous shows it; "
                f"else raise failureThreshold of its {kind} probe"
            )
            return symptom(("crash", at, "probe"), reason, hint, cause="probe")
    return None


def _of(event: Document, name: str) -> bool:
    """Whether an event of a pod is about a container; about which one is not always said."""
    path = str((event.get("involvedObject") or {}).get("fieldPath") or "")
    return not path or path.endswith(f"{{{name}}}")


def _text(event: Document) -> str:
    return str(event.get("message") or "")

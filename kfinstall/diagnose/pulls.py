"""Why an image can't be pulled, by what the registry, the way to it and containerd say. Pure.

Words count where they mean it: image names and URLs are taken out first, since a digest may hold 429 and a name may hold 'denied'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kfinstall.diagnose.saying import Symptom, filled, line, registry_of, symptom, vague
from kfinstall.text import shell

PULL_REASONS: Final = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "ImageInspectError",
)
_PUBLIC: Final = re.compile(
    r"(?:^|\.)(?:docker\.io|docker\.com|quay\.io|gcr\.io|ghcr\.io|k8s\.io|pkg\.dev|mcr\.microsoft\.com|nvcr\.io|public\.ecr\.aws|gitlab\.com|redhat\.(?:io|com))$"
)
"""Registries whose certificates every machine trusts: one that is not trusted there is somebody else's."""
_NAMES: Final = re.compile(r"https?://\S+|\"[^\" ]*[/:@][^\" ]*\"|\bsha256:\w+")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a text may say of a pull. {image}, {registry}, {answer}, {pull} and {lookup} (commands) are filled in."""

    cause: str
    pattern: re.Pattern[str]
    reason: str
    hint: str
    scope: str
    """Whose fault it is, and so what is one cause: 'image', 'registry', or 'way' for what lies between."""
    hopeless: bool = False


def _said(cause: str, scope: str, pattern: str, reason: str, hint: str, *, hopeless: bool = False) -> _Answer:
    return _Answer(cause, re.compile(pattern, re.IGNORECASE), reason, hint, scope, hopeless)


_UNKNOWN_AUTHORITY: Final = r"x509: certificate signed by unknown authority|unable to get local issuer|self[- ]signed certificate"
_ANSWERS: Final = (
    _said(
        "image-name",
        "image",
        r"couldn't parse image|invalid reference format|invalidimagename",
        "{image} is no name of an image ({answer})",
        "mend the image's name in the workload",
        hopeless=True,
    ),
    _said(
        "image-never-pulled",
        "image",
        r"pull policy of never",
        "image {image} is not on its node, and the workload forbids to pull it (imagePullPolicy: Never)",
        "imagePullPolicy: IfNotPresent; or bring it to that node: sudo ctr -n k8s.io images import ARCHIVE",
        hopeless=True,
    ),
    _said(
        "image-signature",
        "image",
        r"signature validation failed",
        "image {image}: the node's policy wants a signature that it does not have ({answer})",
        "sign it, or change the policy of the node's runtime",
    ),
    _said(
        "registry-rate-limit",
        "registry",
        r"toomanyrequests|\btoo many requests\b|\bpull rate limit\b|\bstatus(?: code)?:? 429\b",
        "registry {registry} limits anonymous pulls (image {image})",
        "registry.mirrors in the answers: a mirror of {registry}; or log in to it",
    ),
    _said(
        "registry-proxy",
        "way",
        r"proxyconnect|proxy authentication required|\bstatus(?: code)?:? 407\b",
        "the proxy between the node and registry {registry} does not let it through ({answer}; image {image})",
        "proxy in the answers: its address, its login, and what goes past it (noProxy); kfinstall check --answers FILE",
    ),
    _said(
        "registry-plain-http",
        "registry",
        r"server gave http response to https client|first record does not look like a tls handshake",
        "registry {registry} speaks plain HTTP, and the node asks by HTTPS (image {image})",
        "give the registry a certificate; or name it in registry.mirrors of the answers with http://",
    ),
    _said(
        "registry-clock",
        "registry",
        r"not yet valid: current time \S+ is before",
        "the clock of the node is wrong: registry {registry}'s certificate is not valid yet by it ({answer}; image {image})",
        "on that node: timedatectl; then kfinstall check --answers FILE",
    ),
    _said(
        "registry-certificate-expired",
        "registry",
        r"certificate has expired|\bis after \d{4}-",
        "registry {registry}: its certificate has expired, if the node's clock is right ({answer}; image {image})",
        "renew the registry's certificate; the clock: timedatectl on that node",
    ),
    _said(
        "registry-certificate-name",
        "registry",
        r"certificate is (?:not )?valid for|contain any ip sans|legacy common name|not valid for any names",
        "registry {registry}: its certificate is for another name ({answer}; image {image})",
        "give it a certificate that has this name or address (subjectAltName), or use the name that it has",
    ),
    _said(
        "registry-ca",
        "registry",
        _UNKNOWN_AUTHORITY,
        "registry {registry}: its certificate is not trusted, its authority is unknown to the node (image {image})",
        "put its CA on every node: kfinstall --answers FILE --only registry",
    ),
    _said(
        "registry-login",
        "image",
        r"\b401 unauthorized|\b403 forbidden|\bunauthorized\b|authentication required|pull access denied"
        r"|access to the resource is denied|\baccess denied\b|\bdenied: |authorization failed|no basic auth credentials|insufficient_scope",
        "image {image}: the registry refuses the login ({answer})",
        "does the image exist? does its pull secret fit?",
    ),
    _said(
        "image-platform",
        "image",
        r"no match for platform|no matching manifest|exec format error|does not match the specified platform",
        "image {image} is not built for this processor",
        "Kubeflow's images are amd64 only: use amd64 nodes",
        hopeless=True,
    ),
    _said(
        "registry-dns",
        "registry",
        r"\blookup \S+|no such host|server misbehaving|temporary failure in name resolution|name or service not known",
        "registry {registry} can't be reached: the node can't look its name up ({answer}; image {image})",
        "on that node: {lookup}; its DNS servers: resolvectl status; check DNS, proxy and firewall of that node: "
        "kfinstall check --answers FILE",
    ),
    _said(
        "node-disk",
        "image",
        r"no space left on device|disk quota exceeded",
        "image {image} can't be unpacked: the node's disk is full",
        "on that node: sudo crictl rmi --prune; df -h",
    ),
    _said(
        "image-damaged",
        "image",
        r"unexpected commit digest|failed size validation|gzip: invalid|invalid tar header|flate: corrupt|short read"
        r"|unexpected eof|checksum|failed to verify digest|digest mismatch",
        "image {image} arrives damaged ({answer})",
        "a proxy, mirror or cache in between (or a limit of the registry) cuts or changes it: empty that, or go past it; then on that "
        "node: {pull}",
    ),
    _said(
        "registry-error",
        "registry",
        r"\b(?:50[0-4]|40[05689]|416) [A-Z][a-z]+|\bstatus(?: code)?:? (?:50[0-4]|40[05689])\b",
        "registry {registry} (or a mirror or proxy before it) answers with an error of its own ({answer}; image {image})",
        "it is tried again; if it stays: the log of that registry, mirror or proxy",
    ),
    _said(
        "registry-unreachable",
        "registry",
        r"i/o timeout|connection refused|connection reset|network is unreachable|no route to host|dial tcp|tls handshake timeout"
        r"|deadline exceeded|client\.timeout|registry is unavailable|: eof\b",
        "registry {registry} can't be reached ({answer}; image {image})",
        "check DNS, proxy and firewall of that node: kfinstall check --answers FILE",
    ),
    _said(
        "image-missing",
        "image",
        r"not found|manifest unknown|name unknown|repository does not exist",
        "image {image} is not in its registry",
        "does a mirror lack it (registry.mirrors)? {pull}; if it is gone for good: another cluster.release",
        hopeless=True,
    ),
)
_OF_A_PROXY: Final = _said(
    "registry-ca-proxy",
    "registry",
    _UNKNOWN_AUTHORITY,
    "registry {registry}: a certificate of an unknown authority is shown in its place, which is not trusted (image {image}): "
    "by a proxy that opens TLS, or by a mirror",
    "a proxy: put its CA on every node (/usr/local/share/ca-certificates, sudo update-ca-certificates) and restart containerd; "
    "your own mirror: kfinstall --answers FILE --only registry",
)


def _symptom(answer: _Answer, image: str, registry: str, said: str) -> Symptom:
    commands = {
        "pull": shell("sudo", "crictl", "pull", image),
        "lookup": shell("getent", "hosts", registry.partition(":")[0]),
    }
    keys = {"image": ("image", image), "registry": ("registry", registry, answer.cause), "way": (answer.cause,)}
    reason = filled(answer.reason, image=image, registry=registry, answer=said)
    hint = filled(answer.hint, registry=registry, **commands)
    return symptom(keys[answer.scope], reason, hint, hopeless=answer.hopeless, cause=answer.cause)


def pull(image: str, message: str) -> Symptom:
    """Why an image can't be pulled; what its registry as a whole is at fault for is one cause for all its images."""
    name = line(image)
    registry = registry_of(name)
    said = _NAMES.sub(" ", message.replace(image, " ") if image else message)
    answer = line(_end(message)) or "no reason given"
    found = next((each for each in _ANSWERS if each.pattern.search(said)), None)
    if found is not None:
        foreign = found.cause == "registry-ca" and _PUBLIC.search(registry)
        return _symptom(_OF_A_PROXY if foreign else found, name, registry, answer)
    if "pull qps exceeded" in said.lower():
        return vague(f"image {name} waits for others that its node pulls", cause="pull-passing")
    if re.fullmatch(r"\s*(?:back-off pulling image.*)?\s*", said, re.IGNORECASE):
        return symptom(
            ("image", name),
            f"image {name} can't be pulled, and it is not known why: the registry's answer is not there any more",
            f"on that node: {shell('sudo', 'crictl', 'pull', name)}",
        )
    reason = f"image {name} can't be pulled: {answer} (why is not known)"
    return symptom(("image", name), reason, "kubectl describe pod shows the registry's answer")


def _end(message: str) -> str:
    """The end of a message, without what containerd puts before it."""
    rest = message.rpartition(": failed to ")[2]
    return rest.partition('": ')[2] or rest if rest.startswith(("do request", "resolve reference")) else rest

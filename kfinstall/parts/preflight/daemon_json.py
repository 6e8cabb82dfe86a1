"""Docker's daemon.json: single keys of it changed, with all that others wrote as it stands there, and what Kubernetes can't live with. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from kfinstall.parts.preflight import docker_runs
from kfinstall.parts.preflight.changes import Change
from kfinstall.parts.preflight.containerd_read import Refused
from kfinstall.parts.preflight.runtime_files import DOCKER_CONFIG, RuntimeFiles, option

_DRIVER: Final = "native.cgroupdriver="
_READABLE_LOGS: Final = "json-file"
"""The one log driver whose files cri-dockerd leads the kubelet to: with any other `kubectl logs` finds nothing."""
_ROTATION: Final = {"max-size": "100m", "max-file": "3"}
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "exec-opts": ("--exec-opt",),
    "log-driver": ("--log-driver",),
    "log-opts": ("--log-opt",),
    "registry-mirrors": ("--registry-mirror",),
    "insecure-registries": ("--insecure-registry",),
    "hosts": ("-H", "--host"),
    "data-root": ("--data-root", "-g", "--graph"),
    "storage-driver": ("-s", "--storage-driver"),
}
"""Options of dockerd that say the same as a key: it does not start with both."""
_LISTS: Final = ("exec-opts", "registry-mirrors", "insecure-registries", "hosts")
_VARIABLE: Final = re.compile(r"\$\{?\w+\}?", re.ASCII)
_COMMAND: Final = "dockerd -H fd://"
"""What the unit of every package starts, where there is none yet."""


def _look(path: str = DOCKER_CONFIG) -> str:
    return f"mend it there: sudo python3 -m json.tool {path}"


def loaded(found: RuntimeFiles) -> tuple[str | None, dict[str, Any]]:
    """daemon.json, its text and what it says; None where there is none.

    Raises:
        Refused: it is no JSON object, or has a value of another kind than Docker takes.
    """
    path = DOCKER_CONFIG
    if path in found.unread:
        raise Refused(f"{path} is too large to be looked at, or no file that can be read", f"sudo ls -l {path}")
    if path not in found.contents:
        return None, {}
    text = found.contents[path].decode("utf-8-sig", "replace")
    try:
        found.contents[path].decode()
        data = json.loads(text) if text.strip() else {}
    except UnicodeDecodeError:
        raise Refused(f"{path} is not UTF-8", _look()) from None
    except json.JSONDecodeError as error:
        raise Refused(f"{path} is not valid JSON: line {error.lineno}: {_why(text, error)}", _look()) from None
    except (RecursionError, ValueError) as error:
        raise Refused(f"{path} is not valid JSON: {error}", _look()) from None
    if not isinstance(data, dict):
        raise Refused(f"{path} is not a JSON object: it has to begin with {{", _look())
    for key in _LISTS:
        value = data.get(key)
        if value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise Refused(f"{key} in {path} is not a list of texts, as Docker takes it", _look())
    return found.contents[path].decode(), data


def _why(text: str, error: json.JSONDecodeError) -> str:
    line = text.split("\n")[error.lineno - 1] if error.lineno <= text.count("\n") + 1 else ""
    rest = line[error.colno - 1 :].lstrip()
    if rest.startswith(("//", "/*", "#")):
        return "JSON has no comments"
    before = text[: error.pos].rstrip()
    if before.endswith(",") and rest[:1] in ("}", "]"):
        return f"a comma before {rest[0]}"
    return f"{error.msg} (column {error.colno})"


def settings(data: Mapping[str, Any], mirrors: tuple[str, ...]) -> dict[str, Any]:
    """The keys that are to be set or changed, with their values."""
    wanted: dict[str, Any] = {}
    options = data.get("exec-opts") or []
    kept = [item for item in options if not item.startswith(_DRIVER)]
    if options != [*kept, f"{_DRIVER}systemd"]:
        wanted["exec-opts"] = [*kept, f"{_DRIVER}systemd"]
    if not data.get("log-driver"):
        wanted["log-driver"] = _READABLE_LOGS
    if not data.get("log-opts"):
        wanted["log-opts"] = dict(_ROTATION)
    there = data.get("registry-mirrors") or []
    known = {url.rstrip("/") for url in there}
    lacking = [url for url in mirrors if url.rstrip("/") not in known]
    if lacking:
        wanted["registry-mirrors"] = [*lacking, *there]
    return wanted


def refuse(found: RuntimeFiles, data: Mapping[str, Any], wanted: Mapping[str, Any], version: str) -> None:
    """Whether what stands there lets Kubernetes work, and Docker start. `version`: of Docker, empty where it is not there yet.

    Raises:
        Refused: it does not.
    """
    command = found.commands.get("docker.service", _COMMAND)
    if "$" in command:
        raise Refused(
            f"docker.service starts Docker with {', '.join(_VARIABLE.findall(command)) or '$'}, whose value can't be read: its options "
            f"are not known, and Docker does not start with an option that {DOCKER_CONFIG} says too",
            "see what it holds: systemctl cat docker; then write its options in ExecStart itself, without exec-opt, log-driver and log-opt "
            "(sudo systemctl edit docker)",
        )
    docker_runs.refuse(command, data, version)
    elsewhere = option(command, "--config-file")
    if elsewhere not in ("", DOCKER_CONFIG):
        raise Refused(
            f"Docker is started with the configuration {elsewhere}, which kfinstall does not change",
            f"start it with {DOCKER_CONFIG}: sudo systemctl edit docker",
        )
    driver = data.get("log-driver") or option(command, "--log-driver") or _READABLE_LOGS
    if driver != _READABLE_LOGS:
        raise Refused(
            f"Docker's log driver is {driver}: kubectl logs can't read it, only {_READABLE_LOGS} (cri-dockerd)",
            f'write "log-driver": "{_READABLE_LOGS}" in {DOCKER_CONFIG}, and ship logs from /var/log/pods; or write cluster: {{runtime: containerd}} into the answers',
        )
    if data.get("userns-remap") or option(command, "--userns-remap"):
        raise Refused(
            "userns-remap is on in Docker: containers that need the host's namespaces (kube-proxy, Calico) do not start under it",
            f"take userns-remap out of {DOCKER_CONFIG}, or write cluster: {{runtime: containerd}} into the answers",
        )
    if "graph" in data:
        raise Refused(
            f"graph in {DOCKER_CONFIG} is a key that Docker does not know any more", f'call it "data-root" there: {data["graph"]!r}'
        )
    for key, names in _OPTIONS.items():
        given = next((name for name in names if _given(command, name)), "")
        if given and (key in data or key in wanted):
            whose = f"{key} stands in {DOCKER_CONFIG}" if key in data else f"{key} has to stand in {DOCKER_CONFIG}"
            raise Refused(
                f"{whose}, and docker.service starts with {given}: Docker does not start with both",
                f"take {given} out of its ExecStart, or of the variable in it (sudo systemctl edit docker){', or ' + key + ' out of the file' if key in data else ''}",
            )


def _given(command: str, name: str) -> bool:
    return any(word.partition("=")[0] == name for word in command.split())


def changes(found: RuntimeFiles, mirrors: tuple[str, ...], version: str = "") -> tuple[Change, ...]:
    """What has to change in daemon.json; nothing where it is as Kubernetes needs it. `mirrors`: URLs for docker.io.

    `version`: Docker's, empty where it is not there yet.

    Raises:
        Refused: it can't be read, or says what Kubernetes can't live with.
    """
    text, data = loaded(found)
    wanted = settings(data, mirrors)
    refuse(found, data, wanted, version)
    if not wanted:
        return ()
    words = [_words(key, value, data) for key, value in wanted.items()]
    return (Change(DOCKER_CONFIG, text, edited(text or "", wanted), tuple(words)),)


def _words(key: str, value: object, data: Mapping[str, Any]) -> str:
    old = data.get(key)
    instead = f" instead of {json.dumps(old)}" if old else ""
    return f"set {key} to {json.dumps(value)} in {DOCKER_CONFIG}{instead}"


def edited(text: str, wanted: Mapping[str, Any]) -> str:
    """The text of a JSON object with these keys set: what stands around them keeps its form."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(mark)
    if not body.strip():
        return json.dumps(dict(wanted), indent=2) + "\n"
    spans, closing = _spans(body)
    indent = _indent(body) if "\n" in body.strip() else ""
    end = max((stop for _start, stop in spans.values()), default=closing)
    added = [f"{json.dumps(key)}: {_value_text(value, indent)}" for key, value in wanted.items() if key not in spans]
    if added:
        separator = f"\n{indent}" if indent else " "
        before = body[:end].rstrip() + ("," if spans else "") + (separator if spans or indent else "")
        behind = body[end:closing] if spans else ""
        body = before + f",{separator}".join(added) + (behind if "\n" in behind or not indent else "\n") + body[closing:]
    for key, (start, stop) in sorted(spans.items(), key=lambda item: -item[1][0]):
        if key in wanted:
            body = body[:start] + _value_text(wanted[key], indent) + body[stop:]
    return mark + (body if body.endswith("\n") else body + "\n")


def _spans(body: str) -> tuple[dict[str, tuple[int, int]], int]:
    """Where the value of each key begins and ends, and where the object ends. Of a key that stands there twice the last one counts."""
    decoder = json.JSONDecoder()
    spans: dict[str, tuple[int, int]] = {}
    at = _skip(body, body.index("{") + 1)
    while body[at] != "}":
        key, at = decoder.raw_decode(body, at)
        start = _skip(body, _skip(body, at) + 1)
        _value, end = decoder.raw_decode(body, start)
        spans[key] = (start, end)
        at = _skip(body, end)
        if body[at] == ",":
            at = _skip(body, at + 1)
    return spans, at


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _indent(body: str) -> str:
    match = re.search(r'\n([ \t]+)"', body)
    return match[1] if match else "  "


def _value_text(value: object, indent: str) -> str:
    """On one line, but an object of a file that has lines."""
    if not isinstance(value, dict) or not indent:
        return json.dumps(value)
    return json.dumps(value, indent=indent).replace("\n", f"\n{indent}")


def data_root(found: RuntimeFiles) -> str:
    """Where Docker keeps images and containers."""
    default = "/var/lib/docker"
    command = option(found.commands.get("docker.service", ""), "--data-root", "-g", "--graph")
    try:
        _text, data = loaded(found)
    except Refused:
        data = {}  # told by another check
    value = data.get("data-root") or command
    return value if isinstance(value, str) and value.startswith("/") else default

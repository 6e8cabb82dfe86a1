"""Answers that are no answers: cut off, of something in between, of a wrong shape. Asked again while that may help, and never a defect."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives import serialization

from kfinstall.errors import CommandError, StepTimeoutError
from kfinstall.kube.api import open_cluster
from kfinstall.kube.base import ListQuery, NotReady, Ref
from kfinstall.kube.credentials import parse_kubeconfig
from kfinstall.kube.refusal import UnreachableError, parse_refusal
from tests.fakes.api import make_certificates

CERTIFICATES = make_certificates()
REF = Ref("v1", "ConfigMap", "a", "default")
DOCUMENT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}, "data": {}}
LIST = {"kind": "ConfigMapList", "metadata": {"resourceVersion": "5"}, "items": [DOCUMENT]}
KINDS = {"kind": "APIResourceList", "resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
OPERATIONS = {
    "get": lambda cluster, seconds: cluster.get(REF),
    "list": lambda cluster, seconds: cluster.list(ListQuery("v1", "ConfigMap")),
    "apply": lambda cluster, seconds: cluster.apply(DOCUMENT, timeout_seconds=seconds),
    "delete": lambda cluster, seconds: cluster.delete(REF, timeout_seconds=seconds),
    "version": lambda cluster, seconds: cluster.version(),
    "wait": lambda cluster, seconds: cluster.wait(
        REF, lambda found: None if found else NotReady("it is not there"), timeout_seconds=seconds, say=lambda _text: None
    ),
}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def http(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def server(tmp_path, answer: Callable[[str], bytes], *, patience_seconds: float = 0.3):
    """What `answer` gives for a path and query; discovery and the first request for the version are as they should be."""
    file = tmp_path / "server.pem"
    file.write_text(CERTIFICATES.server + CERTIFICATES.server_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    asked = []

    async def handle(reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:  # the client has given up
            return
        length = next((int(line.partition(":")[2]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0)
        await reader.readexactly(length)
        path = head.split()[1]
        first = path == "/version" and "/version" not in asked
        asked.append(path)
        writer.write(http(encoded(KINDS)) if path == "/api/v1" else http(b'{"gitVersion": "v1"}') if first else answer(path))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with open_cluster(CERTIFICATES.kubeconfig(), port, patience_seconds=patience_seconds) as cluster:
            yield cluster


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "wait"])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>Blocked</html>",
        b"",
        b"[]",
        b"null",
        b'{"metadata": "x"}',
        b'{"items": {"a": 1}}',
        b'{"items": ["a"]}',
        b'{"items": [{"metadata": 1}]}',
        b'{"a":' + b"[" * 200_000,
    ],
    ids=["html", "empty", "list", "null", "metadata", "items", "item", "item-metadata", "deep"],
)
async def test_what_is_no_answer_is_told_and_no_success(tmp_path, operation, body):
    async with server(tmp_path, lambda _path: http(body)) as cluster:
        with pytest.raises(UnreachableError) as caught:
            await OPERATIONS[operation](cluster, 0.3)
    assert "can't be read" in caught.value.why
    assert "answers what can't be read" in caught.value.message


@pytest.mark.parametrize(
    ("operation", "good"),
    [("get", DOCUMENT), ("apply", DOCUMENT), ("list", LIST), ("wait", LIST), ("version", {"gitVersion": "v2"})],
)
async def test_one_that_was_cut_off_is_asked_for_again(tmp_path, operation, good):
    whole = encoded(good)
    answers = iter([whole[: len(whole) // 2]])
    async with server(tmp_path, lambda _path: http(next(answers, whole)), patience_seconds=60) as cluster:
        assert await OPERATIONS[operation](cluster, 60)


@pytest.mark.parametrize(
    "line", [b"<html>\n", b"[]\n", b"null\n", b'{"type": "ADDED", "object": "x"}\n', b'{"object": {"metadata": 1}}\n']
)
async def test_an_event_that_is_none_ends_the_watch_and_not_the_wait(tmp_path, line):
    empty = encoded({**LIST, "items": []})
    async with server(tmp_path, lambda path: http(line if "watch=1" in path else empty)) as cluster:
        with pytest.raises(StepTimeoutError) as caught:
            await OPERATIONS["wait"](cluster, 3)
    assert caught.value.why == "it is not there"


@pytest.mark.parametrize(
    "more", [{"details": "x"}, {"details": {"causes": 5}}, {"details": {"retryAfterSeconds": "²"}}, {"message": 5}]
)
def test_a_refusal_of_a_wrong_shape_is_a_refusal(more):
    found = parse_refusal(422, encoded({"kind": "Status", "message": "no", **more}), "²")
    assert found.message in ("no", "5")
    assert found.retry_after_seconds == 0


def encrypted(text: str) -> str:
    key = serialization.load_pem_private_key(CERTIFICATES.client_key.encode(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    )
    return text.replace(*(base64.b64encode(each).decode() for each in (CERTIFICATES.client_key.encode(), locked)))


def test_an_encrypted_key_is_told_and_nobody_is_asked_at_the_terminal(capfd):
    with pytest.raises(CommandError) as caught:
        parse_kubeconfig(encrypted(CERTIFICATES.kubeconfig())).ssl_context()
    assert "encrypted" in caught.value.why
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "odd",
    [
        lambda text: text.replace("contexts:", "contexts: 5\nothers:"),
        lambda text: text + "\nwhen: 2024-99-99\n",
        lambda text: text + "\nmore: " + "[" * 50_000,
    ],
    ids=["contexts", "date", "deep"],
)
def test_a_kubeconfig_of_a_wrong_shape_is_told(odd):
    with pytest.raises(CommandError) as caught:
        parse_kubeconfig(odd(CERTIFICATES.kubeconfig()))
    assert "kubeconfig can't be used" in caught.value.message


def test_line_breaks_in_base64_are_nobodys_trouble():
    text = CERTIFICATES.kubeconfig()
    value = base64.b64encode(CERTIFICATES.ca.encode()).decode()
    assert value in text
    wrapped = "\n".join(["|", *(f"      {value[place : place + 64]}" for place in range(0, len(value), 64))])
    parsed = parse_kubeconfig(text.replace(value, wrapped))
    assert parsed.authority == CERTIFICATES.ca


def test_a_token_with_a_line_break_is_taken_without_it(monkeypatch):
    text = CERTIFICATES.kubeconfig()
    start = text.index("client-certificate-data")
    end = text.index("\n", text.index("client-key-data"))
    assert parse_kubeconfig(text[:start] + 'token: "abc\\n"' + text[end:]).token == "abc"
    with pytest.raises(CommandError):
        parse_kubeconfig(text[:start] + 'token: "a\\nbc"' + text[end:])

"""The cluster facade against a small API server over TLS."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from kfinstall.errors import CommandError, StepTimeoutError
from kfinstall.kube.api import open_cluster
from kfinstall.kube.base import ListQuery, NotReady, Ref
from kfinstall.kube.credentials import parse_kubeconfig
from kfinstall.kube.raw import RawDocument
from kfinstall.kube.refusal import UnreachableError
from tests.fakes.api import FakeApi, make_certificates, serve

CERTIFICATES = make_certificates()


def config_map(name: str, namespace: str = "default", **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def crd(plural: str = "widgets", kind: str = "Widget", group: str = "example.com") -> dict:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": True, "storage": True}],
        },
    }


@pytest.fixture
async def api():
    fake = FakeApi()
    async with serve(fake, CERTIFICATES) as port, open_cluster(CERTIFICATES.kubeconfig(), port, patience_seconds=2) as cluster:
        yield fake, cluster


async def test_reads_lists_in_pages_and_says_the_version(api):
    fake, cluster = api
    for index in range(1203):
        fake.put(config_map(f"c{index:04}"))
    facts = await cluster.snapshot(
        [ListQuery("v1", "ConfigMap"), ListQuery("apps/v1", "Deployment"), ListQuery("nowhere.io/v1", "Thing")]
    )
    assert facts.version == "v1.34.2"
    assert len(facts.of_kind("ConfigMap")) == 1203
    assert facts.of_kind("Deployment") == []
    assert fake.sent("GET").count("/api/v1/configmaps") == 3


async def test_metadata_lists_hold_no_data_even_if_the_server_sends_it(api):
    fake, cluster = api
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "default"},
        "data": {"password": "aHVudGVyMg=="},
    }
    fake.put(secret)
    items = await cluster.list(ListQuery("v1", "Secret", metadata_only=True))
    assert [Ref.of(item) for item in items] == [Ref("v1", "Secret", "s", "default")]
    assert "aHVudGVyMg==" not in str(items)


async def test_null_items_are_an_empty_list(api):
    fake, cluster = api
    fake.plain_items = True
    assert await cluster.list(ListQuery("v1", "ConfigMap")) == []


async def test_apply_creates_changes_and_leaves_alone(api):
    _fake, cluster = api
    assert (await cluster.apply(config_map("a", x="1"))).changed
    assert not (await cluster.apply(config_map("a", x="1"))).changed
    assert (await cluster.apply(config_map("a", x="2"))).changed
    found = await cluster.get(Ref("v1", "ConfigMap", "a", "default"))
    assert found is not None
    assert found["data"] == {"x": "2"}


async def test_overridden_field_managers_are_reported(api):
    fake, cluster = api
    fake.put(config_map("a", x="1"))
    fake.owners["v1", "configmaps", "default", "a"] = "kubectl-edit"
    applied = await cluster.apply(config_map("a", x="2"))
    assert applied.conflicts == ("kubectl-edit",)
    forces = [query["force"] for method, _path, query in fake.requests if method == "PATCH"]
    assert forces == ["false", "true"]


async def test_what_passes_by_itself_is_tried_again(api):
    fake, cluster = api
    refused = (
        'Internal error occurred: failed calling webhook "w.example": Post "https://w.svc": dial tcp: connect: connection refused'
    )
    fake.refusals = [
        (429, {"message": "slow down"}, {"Retry-After": "1"}),
        (500, {"message": refused}, {}),
        (503, {"message": "x"}, {}),
    ]
    loop = asyncio.get_running_loop()
    begin = loop.time()
    assert (await cluster.apply(config_map("a"), timeout_seconds=20)).changed
    assert len(fake.sent("PATCH")) == 4
    assert loop.time() - begin >= 1  # Retry-After was honoured


async def test_a_dropped_connection_is_tried_again(api):
    fake, cluster = api
    fake.drop_next = 2
    assert (await cluster.apply(config_map("a"), timeout_seconds=20)).changed


async def test_an_api_server_that_has_not_read_its_roles_yet_is_asked_again(api):
    fake, cluster = api
    fake.drop_next, fake.forbidden = 2, [True, True]  # a first one on a kept connection is sent again below us
    assert (await cluster.apply(config_map("a"), timeout_seconds=20)).changed
    fake.drop_next, fake.forbidden = 2, [True]
    assert await cluster.get(Ref("v1", "ConfigMap", "a", "default"))


async def test_a_wait_survives_an_api_server_that_has_not_read_its_roles_yet(api):
    fake, cluster = api
    # The list that is not answered and then forbidden, the one that is, and a watch that is forbidden.
    await cluster.list(ListQuery("v1", "ConfigMap"))
    fake.drop_next, fake.forbidden = 2, [True, False, True]
    asyncio.get_running_loop().call_later(1.5, fake.put, config_map("a"))
    ref = Ref("v1", "ConfigMap", "a", "default")
    assert await cluster.wait(ref, lambda d: None if d else NotReady("not made"), timeout_seconds=20, say=lambda _t: None)
    assert fake.forbidden == []


async def test_a_lack_of_rights_is_told_at_once(api):
    fake, cluster = api
    fake.forbidden = [True] * 5
    with pytest.raises(CommandError) as caught:
        await cluster.list(ListQuery("v1", "ConfigMap"))
    assert "has no right" in caught.value.hint
    assert len(fake.forbidden) == 4


async def test_what_admission_forbids_after_a_restart_is_told_at_once(api):
    fake, cluster = api
    fake.drop_next, fake.refusals = 2, [(403, {"message": 'pods "p" is forbidden: violates PodSecurity "restricted:latest"'}, {})]
    with pytest.raises(CommandError, match="refused to apply"):
        await cluster.apply(config_map("a"), timeout_seconds=20)


async def test_a_lack_of_rights_that_stays_after_a_restart_is_told_in_the_end(api, monkeypatch):
    fake, cluster = api
    monkeypatch.setattr("kfinstall.kube.connection.ROLES_SECONDS", 0.5)
    fake.drop_next, fake.forbidden = 2, [True] * 50
    with pytest.raises(CommandError) as caught:
        await cluster.apply(config_map("a"), timeout_seconds=20)
    assert "has no right" in caught.value.hint
    assert len(fake.forbidden) > 40


async def test_a_webhook_that_never_comes_is_named_with_a_remedy(api):
    fake, cluster = api
    fake.admit = lambda _document: 'failed calling webhook "webhook.cert-manager.io": no endpoints available for service "w"'
    with pytest.raises(CommandError) as caught:
        await cluster.apply(config_map("a"), timeout_seconds=0.5)
    assert "webhook.cert-manager.io" in caught.value.hint
    assert "ConfigMap default/a" in caught.value.message


async def test_a_refusal_for_good_is_not_tried_again_and_shows_causes_only(api):
    fake, cluster = api
    cause = {"reason": "FieldValueInvalid", "field": "spec.replicas", "message": "must be positive"}
    fake.refusals = [(422, {"message": "is invalid", "reason": "Invalid", "details": {"causes": [cause]}}, {"X-Token": "hush"})]
    with pytest.raises(CommandError) as caught:
        await cluster.apply(config_map("a"), timeout_seconds=20)
    assert "spec.replicas: must be positive" in caught.value.why
    assert "hush" not in "\n".join(caught.value.lines())
    assert len(fake.sent("PATCH")) == 1


async def test_an_error_about_a_secret_never_quotes_the_server(api):
    fake, cluster = api
    fake.refusals = [(422, {"message": 'bad value "hunter22"', "reason": "Invalid"}, {})]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "default"},
        "stringData": {"p": "hunter22"},
    }
    with pytest.raises(CommandError) as caught:
        await cluster.apply(secret)
    assert "hunter22" not in "\n".join(caught.value.lines())


async def test_a_missing_namespace_is_an_error_at_once(api):
    fake, cluster = api
    with pytest.raises(CommandError, match="apply ConfigMap nowhere/a"):
        await cluster.apply(config_map("a", "nowhere"))
    assert len(fake.sent("PATCH")) == 1


async def test_a_new_kind_is_found_after_its_definition(api):
    fake, cluster = api
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "default"}}
    assert await cluster.get(Ref.of(widget)) is None
    fake.established = False
    await cluster.apply(crd())
    asyncio.get_running_loop().call_later(0.3, fake.serve_crd, crd())
    assert (await cluster.apply(widget, timeout_seconds=10)).changed


async def test_delete_waits_until_it_is_gone(api):
    fake, cluster = api
    fake.put(config_map("a"))
    assert await cluster.delete(Ref("v1", "ConfigMap", "a", "default"))
    assert not await cluster.delete(Ref("v1", "ConfigMap", "a", "default"))
    assert not await cluster.delete(Ref("nowhere.io/v1", "Thing", "a"))


async def test_wait_says_each_reason_once_and_sees_the_change(api):
    fake, cluster = api
    fake.put(config_map("a", state="slow"))
    lines: list[str] = []
    loop = asyncio.get_running_loop()
    loop.call_later(0.1, fake.put, config_map("a", state="slow", other="1"))
    loop.call_later(0.2, fake.put, config_map("a", state="ready"))

    def probe(document: dict | None) -> NotReady | None:
        return None if document and document["data"]["state"] == "ready" else NotReady("it is slow")

    found = await cluster.wait(Ref("v1", "ConfigMap", "a", "default"), probe, timeout_seconds=10, say=lines.append)
    assert found is not None
    assert len(lines) == 1
    assert "it is slow" in lines[0]


async def test_wait_ends_with_the_last_reason_and_its_remedy(api):
    _fake, cluster = api
    with pytest.raises(StepTimeoutError) as caught:
        await cluster.wait(
            Ref("v1", "ConfigMap", "a", "default"),
            lambda _d: NotReady("not made", "make it"),
            timeout_seconds=0.3,
            say=lambda _t: None,
        )
    assert (caught.value.why, caught.value.hint) == ("not made", "make it")


async def test_wait_survives_a_watch_that_breaks(api):
    fake, cluster = api
    loop = asyncio.get_running_loop()

    def restart() -> None:
        fake.drop_next = 2
        fake.put(config_map("a"))

    loop.call_later(0.2, restart)
    ref = Ref("v1", "ConfigMap", "a", "default")
    assert await cluster.wait(ref, lambda d: None if d else NotReady("not made"), timeout_seconds=20, say=lambda _t: None)


async def test_logs_are_cleaned(api):
    fake, cluster = api
    fake.logs["default", "p"] = "one\n\x1b[31mtwo\x1b[0m\n"
    assert await cluster.logs("default", "p") == ("one", "two")


@pytest.mark.parametrize(
    "message", ["waiting to start: PodInitializing", "waiting to start - no logs yet", "not available", "terminated"]
)
async def test_a_container_that_has_not_run_has_no_log(api, message):
    fake, cluster = api
    fake.no_log = f'container "main" in pod "p" is {message}'
    assert await cluster.logs("default", "p", container="main") == ()


@pytest.mark.parametrize(
    "message",
    [
        "a container name must be specified for pod p, choose one of: [istio-validation main collector]",
        "container main is not valid for pod p",
    ],
)
async def test_a_log_that_was_asked_for_wrongly_is_an_error(api, message):
    fake, cluster = api
    fake.no_log = message
    with pytest.raises(CommandError, match=r"refused to read the log of Pod default/p") as caught:
        await cluster.logs("default", "p")
    assert caught.value.why == message


async def test_a_server_that_is_not_the_clusters_is_refused():
    other = make_certificates()
    async with serve(FakeApi(), other) as port:
        with pytest.raises(UnreachableError):
            async with open_cluster(CERTIFICATES.kubeconfig(), port, patience_seconds=0.1):
                pass


async def test_a_server_of_another_name_is_refused():
    wrong = make_certificates("not-the-api")
    async with serve(FakeApi(), wrong) as port:
        with pytest.raises(UnreachableError, match="does not answer"):
            async with open_cluster(wrong.kubeconfig(), port, patience_seconds=0.1):
                pass


async def test_nobody_listens():
    with pytest.raises(UnreachableError):
        async with open_cluster(CERTIFICATES.kubeconfig(), 1, patience_seconds=0.1):
            pass


@pytest.mark.parametrize(
    "text",
    ["", "[]", "a: [", "apiVersion: v1", CERTIFICATES.kubeconfig().replace("client-key-data", "other")],
    ids=["empty", "list", "torn", "nothing", "no-key"],
)
def test_a_kubeconfig_that_can_not_be_used_says_so_without_quoting_it(text):
    with pytest.raises(CommandError) as caught:
        parse_kubeconfig(text)
    assert "kubeconfig" in caught.value.message
    assert CERTIFICATES.client_key.splitlines()[1] not in "\n".join(caught.value.lines())


def test_the_client_key_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    parse_kubeconfig(CERTIFICATES.kubeconfig()).ssl_context()
    monkeypatch.delattr("os.memfd_create", raising=False)
    parse_kubeconfig(CERTIFICATES.kubeconfig()).ssl_context()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
async def test_proxies_of_the_environment_are_not_used(monkeypatch, name):
    requests = []

    async def proxy(reader, writer):
        requests.append(await reader.readline())
        writer.close()

    for other in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(other, raising=False)
    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with serve(FakeApi(), CERTIFICATES) as port, open_cluster(CERTIFICATES.kubeconfig(), port) as cluster:
            assert await cluster.version() == "v1.34.2"
    assert requests == []


async def test_nobody_is_followed_elsewhere(api):
    fake, cluster = api
    other = FakeApi()
    async with serve(other, CERTIFICATES) as port:
        fake.elsewhere = f"https://127.0.0.1:{port}"
        with pytest.raises(CommandError, match="refused to list"):
            await cluster.list(ListQuery("v1", "ConfigMap"))
        with pytest.raises(CommandError, match="refused to apply"):
            await cluster.apply(config_map("a"), timeout_seconds=1)
    assert other.requests == []


async def test_an_endless_answer_is_not_taken_into_memory(api, monkeypatch):
    fake, cluster = api
    monkeypatch.setattr("kfinstall.kube.connection._ANSWER_LIMIT_BYTES", 2**20)
    fake.put(config_map("a", x="x" * 2**19))
    assert len(await cluster.list(ListQuery("v1", "ConfigMap"))) == 1
    fake.put(config_map("b", x="x" * 2**19))
    with pytest.raises(CommandError, match="does not answer") as caught:
        await cluster.list(ListQuery("v1", "ConfigMap"))
    assert "too large" in caught.value.why
    assert await cluster.get(Ref("v1", "ConfigMap", "b", "default"))


async def test_a_rendered_definition_is_sent_as_it_stands(api):
    _fake, cluster = api
    definition = crd()
    document = RawDocument({**definition, "spec": {"group": "example.com"}}, json.dumps(definition))
    assert (await cluster.apply(document)).changed
    found = await cluster.get(Ref("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.com"))
    assert found is not None
    assert found["spec"] == definition["spec"]


async def test_a_cluster_leaves_nothing_in_the_folder_for_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    async with serve(FakeApi(), CERTIFICATES) as port, open_cluster(CERTIFICATES.kubeconfig(), port) as cluster:
        await cluster.apply(crd())
        await cluster.list(ListQuery("example.com/v1", "Widget", metadata_only=True))
        await cluster.delete(Ref("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.com"))
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_does_not_import_kubernetes_or_aiohttp():
    code = "import sys, kfinstall.kube.api; sys.exit(bool({'aiohttp', 'kubernetes'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0

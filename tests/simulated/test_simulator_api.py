"""The simulated API server, asked by plain HTTP, by the official client and by kubectl."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from kfinstall.simulator.apiserver.status import StatusError
from tests.simulated.simulated_cluster import Client, client, crd, initialised, until, workload

MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_nothing_is_served_before_kubeadm_and_nobody_is_let_in_without_a_certificate(tmp_path: Path) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, cluster):
        async with client(fleet, tmp_path, login=False) as stranger:
            assert (await stranger("GET", "/version"))[1]["gitVersion"] == "v1.34.2"
            status, body = await stranger("GET", "/api/v1/nodes")
            assert (status, body["kind"], body["reason"]) == (403, "Status", "Forbidden")
        cluster.server.serving = False
        async with client(fleet, tmp_path) as admin:
            assert (await admin("GET", "/version"))[0] == 503


async def test_create_read_update_delete(tmp_path: Path) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, _cluster), client(fleet, tmp_path) as ask:
        status, made = await ask("POST", MAPS, config_map("a", x="1"))
        assert (status, made["data"]) == (201, {"x": "1"})
        assert (await ask("POST", MAPS, config_map("a")))[1]["reason"] == "AlreadyExists"
        status, changed = await ask("PUT", f"{MAPS}/a", {**made, "data": {"x": "2"}})
        assert (status, changed["data"]) == (200, {"x": "2"})
        assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
        status, body = await ask("PUT", f"{MAPS}/a", {**made, "data": {"x": "3"}})
        assert (status, body["reason"]) == (409, "Conflict")
        assert (await ask("DELETE", f"{MAPS}/a"))[1]["status"] == "Success"
        status, body = await ask("GET", f"{MAPS}/a")
        assert (status, body["message"]) == (404, 'configmaps "a" not found')


@pytest.mark.parametrize(
    ("path", "document", "code", "words"),
    [
        (MAPS, config_map("Not_A_Name"), 422, "metadata.name"),
        (MAPS, {"metadata": {}}, 422, "Required value"),
        ("/api/v1/namespaces/nowhere/configmaps", config_map("a"), 404, 'namespaces "nowhere" not found'),
        ("/apis/apps/v1/namespaces/default/deployments", {"metadata": {"name": "d"}, "spec": {}}, 422, "containers"),
        ("/apis/apps/v1/things", {"metadata": {"name": "d"}}, 404, "could not find"),
        (MAPS, {"metadata": {"name": "a", "annotations": {"long": "x" * 262_145}}}, 422, "Too long"),
    ],
)
async def test_bad_objects_are_refused(tmp_path: Path, path: str, document: Any, code: int, words: str) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, _cluster), client(fleet, tmp_path) as ask:
        status, body = await ask("POST", path, document)
        assert (status, body["code"], body["status"]) == (code, code, "Failure")
        assert words in body["message"]


async def test_claims_change_only_as_their_class_allows(tmp_path: Path) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, cluster), client(fleet, tmp_path) as ask:
        path = "/api/v1/namespaces/default/persistentvolumeclaims"
        for name, more in (("grows", {"allowVolumeExpansion": True}), ("fixed", {})):
            body = {"metadata": {"name": name}, "provisioner": "example.com/x", **more}
            assert (await ask("POST", "/apis/storage.k8s.io/v1/storageclasses", body))[0] == 201
            spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": name, "resources": {"requests": {"storage": "2Gi"}}}
            assert (await ask("POST", path, {"metadata": {"name": name}, "spec": spec}))[0] == 201

        async def resized(name: str, size: str) -> tuple[int, str]:
            status, claim = await ask("GET", f"{path}/{name}")
            claim["spec"]["resources"]["requests"]["storage"] = size
            status, body = await ask("PUT", f"{path}/{name}", claim)
            return status, str(body.get("message", ""))

        unbound = await resized("grows", "3Gi")
        assert unbound[0] == 422
        assert "spec is immutable after creation" in unbound[1]
        for name in ("grows", "fixed"):
            found = cluster.get("v1", "PersistentVolumeClaim", name, "default")
            cluster.put({**found, "status": {"phase": "Bound", "capacity": {"storage": "2Gi"}}})
        assert (await resized("fixed", "2048Mi"))[0] == 200
        status, words = await resized("fixed", "3Gi")
        assert status == 403
        assert 'persistentvolumeclaims "fixed" is forbidden: only dynamically provisioned pvc can be resized' in words
        status, words = await resized("fixed", "1Gi")
        assert status == 422
        assert "field can not be less than status.capacity" in words
        assert [(await resized("grows", size))[0] for size in ("4Gi", "3Gi", "2Gi")] == [200, 200, 422]


async def test_overload_is_told_with_a_time_to_wait(tmp_path: Path) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, cluster), client(fleet, tmp_path) as ask:
        cluster.server.refusals.append(StatusError(429, "too many requests"))
        async with ask.session.get(f"{ask.base}/api/v1/nodes") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert (await ask("GET", "/api/v1/nodes"))[0] == 200


async def test_server_side_apply_merges_and_knows_its_managers(tmp_path: Path) -> None:
    path = f"{MAPS}/a"
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, _cluster), client(fleet, tmp_path) as ask:
        status, first = await ask.apply(path, config_map("a", x="1", y="1"))
        assert status == 201
        _status, again = await ask.apply(path, config_map("a", x="1", y="1"))
        assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        status, body = await ask.apply(path, config_map("a", x="2"), "other", force=False)
        assert status == 409
        assert body["details"]["causes"] == [
            {"reason": "FieldManagerConflict", "message": 'conflict with "kfinstall"', "field": ".data.x"}
        ]
        _status, shared = await ask.apply(path, config_map("a", z="1"), "other", force=False)
        assert shared["data"] == {"x": "1", "y": "1", "z": "1"}
        _status, forced = await ask.apply(path, config_map("a", x="2", z="1"), "other")
        assert forced["data"]["x"] == "2"
        _status, less = await ask.apply(path, config_map("a", y="1"))
        assert less["data"] == {"x": "2", "y": "1", "z": "1"}
        _status, gone = await ask.apply(path, config_map("a"))
        assert gone["data"] == {"x": "2", "z": "1"}
        status, body = await ask("PATCH", path, config_map("a"), kind="application/apply-patch+yaml")
        assert (status, "fieldManager" in body["message"]) == (422, True)


async def test_apply_merges_lists_by_their_keys(tmp_path: Path) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments/d"
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, _cluster), client(fleet, tmp_path) as ask:
        _status, made = await ask.apply(path, workload("d"))
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
        sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "s"}]}}}}
        _status, merged = await ask.apply(path, body | sidecar, "injector")
        assert [item["name"] for item in merged["spec"]["template"]["spec"]["containers"]] == ["d", "side"]
        assert merged["metadata"]["generation"] == made["metadata"]["generation"] + 1
        _status, back = await ask.apply(path, body, "injector")
        assert [item["name"] for item in back["spec"]["template"]["spec"]["containers"]] == ["d"]


async def test_patches_of_other_kinds(tmp_path: Path) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, _cluster), client(fleet, tmp_path) as ask:
        await ask("POST", MAPS, config_map("a", x="1", y="1"))
        _status, body = await ask("PATCH", f"{MAPS}/a", {"data": {"x": None, "z": "1"}}, kind="application/merge-patch+json")
        assert body["data"] == {"y": "1", "z": "1"}
        change = [{"op": "test", "path": "/data/y", "value": "1"}, {"op": "replace", "path": "/data/y", "value": "2"}]
        _status, body = await ask("PATCH", f"{MAPS}/a", change, kind="application/json-patch+json")
        assert body["data"]["y"] == "2"
        assert (await ask("PATCH", f"{MAPS}/a", [{"op": "remove", "path": "/data/no"}], kind="application/json-patch+json"))[
            0
        ] == 422
        path = "/apis/apps/v1/namespaces/default/deployments/d"
        await ask.apply(path, workload("d"))
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "d", "env": [{"name": "A", "value": "1"}]}]}}}}
        _status, body = await ask("PATCH", path, patch, kind="application/strategic-merge-patch+json")
        container = body["spec"]["template"]["spec"]["containers"][0]
        assert (container["image"], container["env"]) == ("registry.example/d:1", [{"name": "A", "value": "1"}])


async def test_lists_in_pages_by_selectors_and_as_metadata(tmp_path: Path) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, _cluster), client(fleet, tmp_path) as ask:
        for index in range(5):
            document = config_map(f"m{index}")
            document["metadata"]["labels"] = {"odd": str(index % 2), "all": "yes"}
            await ask("POST", MAPS, document)
        names: list[str] = []
        token = ""
        while True:
            _status, page = await ask("GET", f"{MAPS}?labelSelector=all&limit=2&continue={token}")
            names += [item["metadata"]["name"] for item in page["items"]]
            token = page["metadata"].get("continue", "")
            if not token:
                break
        assert names == [f"m{index}" for index in range(5)]
        for selector, count in (("odd=1", 2), ("odd!=1,all", 3), ("odd in (0,1)", 5), ("odd notin (1),all", 3), ("!odd,all", 0)):
            _status, page = await ask("GET", f"{MAPS}?labelSelector={selector}")
            assert len(page["items"]) == count, selector
        _status, page = await ask("GET", f"{MAPS}?fieldSelector=metadata.name=m3")
        assert [item["metadata"]["name"] for item in page["items"]] == ["m3"]
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
        _status, page = await ask("GET", f"{MAPS}?labelSelector=all", accept=accept)
        assert page["kind"] == "PartialObjectMetadataList"
        assert "data" not in page["items"][0]
        assert (await ask("GET", f"{MAPS}?labelSelector=a b c"))[0] == 400


async def _watch(ask: Client, query: str, count: int) -> list[tuple[str, str]]:
    async with ask.session.get(f"{ask.base}{MAPS}?watch=1&{query}") as answer, asyncio.timeout(5):
        found = []
        async for line in answer.content:
            event = json.loads(line)
            found.append((event["type"], event["object"].get("metadata", {}).get("name", str(event["object"].get("code", "")))))
            if len(found) == count:
                break
        return found


async def test_watches(tmp_path: Path) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, cluster), client(fleet, tmp_path) as ask:
        await ask("POST", MAPS, config_map("a"))
        _status, page = await ask("GET", MAPS)
        version = page["metadata"]["resourceVersion"]
        watching = asyncio.create_task(_watch(ask, f"resourceVersion={version}&fieldSelector=metadata.name=a", 2))
        await ask("POST", MAPS, config_map("other"))
        await ask("PATCH", f"{MAPS}/a", {"data": {"x": "1"}}, kind="application/merge-patch+json")
        await ask("DELETE", f"{MAPS}/a")
        assert await watching == [("MODIFIED", "a"), ("DELETED", "a")]
        labelled = asyncio.create_task(_watch(ask, f"resourceVersion={cluster.store.revision}&labelSelector=on", 2))
        for labels in ({"on": "1"}, {"on": None}):
            await ask("PATCH", f"{MAPS}/other", {"metadata": {"labels": labels}}, kind="application/merge-patch+json")
        assert await labelled == [("ADDED", "other"), ("DELETED", "other")]
        cluster.store.first_revision = cluster.store.revision
        assert await _watch(ask, "resourceVersion=1", 1) == [("ERROR", "410")]
        first = await _watch(
            ask, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=none", 1
        )
        assert first[0][0] == "BOOKMARK"
        async with ask.session.get(f"{ask.base}{MAPS}?watch=1&timeoutSeconds=1&labelSelector=none") as answer:
            assert await answer.read() == b""


async def test_a_definition_brings_its_kind_after_a_moment(tmp_path: Path) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"
    async with initialised(tmp_path, nodes=1, network=False, pace=0.05) as (fleet, cluster), client(fleet, tmp_path) as ask:
        assert (await ask.apply(path, crd("widgets", "Widget")))[0] == 201
        assert (await ask("GET", "/apis/example.com/v1"))[0] == 404
        await until(lambda: cluster.kinds.by_kind("example.com/v1", "Widget"))
        _status, found = await ask("GET", "/apis/example.com/v1")
        assert [item["name"] for item in found["resources"]] == ["widgets"]
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
        assert (await ask.apply("/apis/example.com/v1/namespaces/default/widgets/w", widget))[0] == 201
        await ask("DELETE", path)
        await until(lambda: not cluster.store.list("widgets.example.com"))
        assert (await ask("GET", "/apis/example.com/v1"))[0] == 404


async def test_finalizers_hold_an_object(tmp_path: Path) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, _cluster), client(fleet, tmp_path) as ask:
        document = config_map("a")
        document["metadata"]["finalizers"] = ["example.com/hold"]
        await ask("POST", MAPS, document)
        _status, body = await ask("DELETE", f"{MAPS}/a")
        assert body["metadata"]["deletionTimestamp"]
        assert (await ask("GET", f"{MAPS}/a"))[0] == 200
        await ask("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}}, kind="application/merge-patch+json")
        assert (await ask("GET", f"{MAPS}/a"))[0] == 404


@pytest.mark.parametrize("what", ["owned", "orphan"])
async def test_deleting_an_owner(tmp_path: Path, what: str) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, cluster), client(fleet, tmp_path) as ask:
        _status, owner = await ask("POST", MAPS, config_map("owner"))
        await until(lambda: cluster.store.get("configmaps", "default", "owner"))
        document = config_map("child")
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
        document["metadata"]["ownerReferences"] = [reference]
        await ask("POST", MAPS, document)
        await ask("DELETE", f"{MAPS}/owner", {"propagationPolicy": "Orphan"} if what == "orphan" else None)
        if what == "owned":
            await until(lambda: cluster.store.get("configmaps", "default", "child") is None)
        else:
            assert (await ask("GET", f"{MAPS}/child"))[1]["metadata"].get("ownerReferences") == []


async def test_the_official_client(tmp_path: Path) -> None:
    pytest.importorskip("kubernetes")
    from kubernetes.aio import client as api
    from kubernetes.aio import config
    from kubernetes.aio.dynamic import DynamicClient

    async with initialised(tmp_path, nodes=1, network=False) as (fleet, cluster):
        text = yaml.safe_load(fleet.world.nodes["cp1"].files["/etc/kubernetes/admin.conf"].content or "")
        text["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{cluster.server.port}"
        settings = api.Configuration()
        await config.load_kube_config_from_dict(text, client_configuration=settings, temp_file_path=str(tmp_path))
        async with api.ApiClient(configuration=settings) as connection:
            dynamic = await DynamicClient(connection, cache_file=str(tmp_path / "discovery.json"))
            maps = await dynamic.resources.get(api_version="v1", kind="ConfigMap")
            done = await dynamic.server_side_apply(maps, body=config_map("a", x="1"), namespace="default", field_manager="me")
            assert done.data.x == "1"
            deployments = await dynamic.resources.get(api_version="apps/v1", kind="Deployment")
            listed = await dynamic.get(deployments, namespace="kube-system")
            assert [item.metadata.name for item in listed.items] == ["coredns"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl on this machine")
async def test_kubectl(tmp_path: Path) -> None:
    async with initialised(tmp_path, nodes=2) as (fleet, cluster):
        server = f"https://{fleet.world.nodes['cp1'].address}:6443"
        text = (fleet.world.nodes["cp1"].files["/etc/kubernetes/admin.conf"].content or "").replace(
            server, f"https://127.0.0.1:{cluster.server.port}"
        )
        path = tmp_path / "config"
        path.write_text(text)

        async def kubectl(*words: str, stdin: Any = None) -> str:
            process = await asyncio.create_subprocess_exec(
                "kubectl", f"--kubeconfig={path}", f"--cache-dir={tmp_path}/cache", *words,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            out, _none = await process.communicate(json.dumps(stdin).encode() if stdin else None)
            assert process.returncode == 0, out.decode()
            return out.decode()

        assert "worker1" in await kubectl("get", "nodes")
        await kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=10s")
        assert "serverside-applied" in await kubectl("apply", "--server-side", "-f", "-", stdin=workload("web", replicas=2))
        await kubectl("rollout", "status", "deployment/web", "--timeout=10s")
        assert (await kubectl("logs", "deployment/web")).endswith("simulated registry.example/web:1\n")
        await kubectl("apply", "-f", "-", stdin=config_map("plain", a="1"))
        assert "configured" in await kubectl("apply", "-f", "-", stdin=config_map("plain", a="2"))
        await kubectl("scale", "deployment/web", "--replicas=1")
        await kubectl("delete", "deployment/web", "--timeout=10s")
        assert "No resources" in await kubectl("get", "deployments")


async def test_many_watches_end_with_the_server(tmp_path: Path) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, _cluster), client(fleet, tmp_path) as ask:
        answers = [await ask.session.get(f"{ask.base}{MAPS}?watch=1") for _index in range(20)]
        assert {answer.status for answer in answers} == {200}
        for answer in answers:
            answer.close()

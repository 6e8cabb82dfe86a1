"""The cluster client against a real kube-apiserver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from kfinstall.apply.send import Limits, apply_waves
from kfinstall.errors import CommandError, StepTimeoutError
from kfinstall.kube.api import ApiCluster, open_cluster
from kfinstall.kube.base import Document, ListQuery, NotReady, Ref
from kfinstall.simulator.apiserver.pki import Pki
from tests.apiserver.planes import config_map, there
from tests.differential.scenarios.documents import definition
from tests.fakes.apiserver import ControlPlane, control_plane, needs_control_plane

pytestmark = [
    needs_control_plane("kube-controller-manager"),
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]


def quiet(_text: str) -> None:
    pass


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    async with control_plane(tmp_path_factory.mktemp("plane")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def client(plane: ControlPlane) -> AsyncIterator[ApiCluster]:
    async with open_cluster(plane.kubeconfig, plane.port) as found:
        await found.wait(Ref("v1", "ServiceAccount", "default", "default"), there, timeout_seconds=60, say=quiet)
        yield found


async def test_an_apply_tells_whether_it_changed_anything(client: ApiCluster) -> None:
    assert (await client.apply(config_map("a", x="1"))).changed
    assert not (await client.apply(config_map("a", x="1"))).changed
    assert (await client.apply(config_map("a", x="2"))).changed


async def test_what_another_manager_owns_is_taken_over_and_told(client: ApiCluster, plane: ControlPlane) -> None:
    first = await client.apply(config_map("b", x="1", y="1"))
    async with open_cluster(plane.kubeconfig, plane.port) as other:
        # As kubectl edit does: somebody changes one field.
        await other._connection.request(
            "PATCH",
            "/api/v1/namespaces/default/configmaps/b",
            query={"fieldManager": "kubectl-edit"},
            body={"data": {"x": "9"}},
            content_type="application/merge-patch+json",
        )
    (listed,) = [item for item in await client.list(ListQuery("v1", "ConfigMap", "default")) if item["metadata"]["name"] == "b"]
    assert listed["metadata"]["managedFields"][0]["hash"] != first.fields
    again = await client.apply(config_map("b", x="1", y="1"))
    assert (again.conflicts, again.changed, again.fields) == (("kubectl-edit",), True, first.fields)


async def test_a_kind_is_applied_as_soon_as_its_definition_is(client: ApiCluster) -> None:
    crates = definition("crates", "Crate", group="client.example.com")
    crate = {
        "apiVersion": "client.example.com/v1",
        "kind": "Crate",
        "metadata": {"name": "one", "namespace": "default"},
        "spec": {"size": 1},
    }
    early = asyncio.create_task(client.apply(crate, timeout_seconds=60))
    await client.apply(crates)
    assert (await early).changed
    assert [item["spec"]["colour"] for item in await client.list(ListQuery("client.example.com/v1", "Crate"))] == ["red"]
    with pytest.raises(CommandError) as refused:
        await client.apply({**crate, "spec": {"size": 0}}, timeout_seconds=60)
    assert "greater than or equal to 1" in (refused.value.why or "")
    assert await client.delete(Ref.of(crates))
    assert await client.list(ListQuery("client.example.com/v1", "Crate")) == []


async def test_lists_come_in_pages_whole_and_without_bodies(client: ApiCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfinstall.kube.api._PAGE_OBJECTS", 3)
    await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "paged"}})
    for number in range(8):
        await client.apply(config_map(f"m{number}", "paged", x="1"))
    facts = await client.snapshot(
        [ListQuery("v1", "ConfigMap", "paged", metadata_only=True), ListQuery("nothing.example/v1", "Thing")]
    )
    ours = [ref for ref in facts.objects if ref.name.startswith("m")]
    assert len(ours) == 8
    assert all("data" not in facts.objects[ref] for ref in ours)
    assert facts.version.startswith("v1.")


async def test_what_finalizers_hold_is_named(client: ApiCluster) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await client.apply(held)
    with pytest.raises(StepTimeoutError) as late:
        await client.delete(Ref.of(held), timeout_seconds=2)
    assert "example.com/hold" in (late.value.why or "")
    del held["metadata"]["finalizers"]
    await client.apply(held)  # what is applied without it lets it go
    assert await client.get(Ref.of(held)) is None


async def test_a_namespace_that_still_goes_away_is_told(client: ApiCluster) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "earlier"}}
    held = config_map("held", "earlier")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await client.apply(namespace)
    await client.apply(held)
    with pytest.raises(StepTimeoutError):
        await client.delete(Ref.of(namespace), timeout_seconds=3)
    with pytest.raises(CommandError) as refused:
        await client.apply(config_map("new", "earlier"), timeout_seconds=60)
    assert "kubectl get namespaces" in (refused.value.hint or "")
    del held["metadata"]["finalizers"]
    await client.apply(held)
    await client.wait(Ref.of(namespace), lambda found: there({}) if found is None else None, timeout_seconds=1, say=quiet)


def _explained(namespace: Document | None) -> NotReady | None:
    """The controller says what holds a namespace a little after it was deleted."""
    return None if ((namespace or {}).get("status") or {}).get("conditions") else NotReady("nothing is said yet")


async def test_waves_wait_for_a_namespace_of_an_earlier_try(client: ApiCluster) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "again"}}
    held = config_map("held", "again")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await client.apply(namespace)
    await client.apply(held)
    with pytest.raises(StepTimeoutError):
        await client.delete(Ref.of(namespace), timeout_seconds=3)
    await client.wait(Ref.of(namespace), _explained, timeout_seconds=60, say=quiet)
    lines: list[str] = []
    with pytest.raises(StepTimeoutError) as late:
        await apply_waves(client, [namespace, config_map("new", "again")], lines.append, Limits(leaving_seconds=1))
    assert "example.com/hold in 1 resource instances" in (late.value.why or "")
    waves = asyncio.create_task(apply_waves(client, [namespace, config_map("new", "again")], lines.append))
    del held["metadata"]["finalizers"]
    await client.apply(held)
    assert (await waves).changed == 2
    assert await client.get(Ref.of(held)) is None


async def test_a_watch_lives_through_a_restart_of_the_api_server(client: ApiCluster, plane: ControlPlane) -> None:
    waiting = asyncio.create_task(client.wait(Ref("v1", "ConfigMap", "late", "default"), there, timeout_seconds=90, say=quiet))
    await asyncio.sleep(0)
    await plane.restart("kube-apiserver")
    applied = await client.apply(config_map("late"), timeout_seconds=90)
    assert applied.changed
    assert (await waiting or {})["metadata"]["name"] == "late"


async def test_an_administrator_by_role_lives_through_restarts_of_the_api_server(client: ApiCluster, plane: ControlPlane) -> None:
    """As kubeadm's admin.conf: the server answers again before it has read the binding, and forbids everything until then."""
    other = Pki.make([], administrators="kubeadm:cluster-admins")
    with (plane.folder / "ca.crt").open("a", encoding="ascii") as file:
        file.write(other.ca)
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "kubeadm:cluster-admins"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "kubeadm:cluster-admins"}],
    }
    await client.apply(binding)
    await plane.restart("kube-apiserver")
    await plane.ready()
    text = replace(plane.pki, admin=other.admin, admin_key=other.admin_key).kubeconfig("https://127.0.0.1:6443")
    async with open_cluster(text, plane.port) as member:
        for number in range(3):
            waiting = asyncio.create_task(
                member.wait(Ref("v1", "ConfigMap", f"role-{number}", "default"), there, timeout_seconds=90, say=quiet)
            )
            await asyncio.sleep(1)
            await plane.restart("kube-apiserver")
            assert (await member.apply(config_map(f"role-{number}"), timeout_seconds=90)).changed
            await waiting

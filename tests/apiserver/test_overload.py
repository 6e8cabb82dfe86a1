"""How an API server that has too much to do turns requests away: both say it alike, and the client waits as told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from kfinstall.kube.api import open_cluster
from kfinstall.kube.connection import Connection
from kfinstall.kube.refusal import ApiError, parse_refusal
from kfinstall.simulator.apiserver.status import StatusError
from tests.apiserver.planes import config_map
from tests.fakes.apiserver import control_plane, needs_control_plane
from tests.simulated.simulated_cluster import client, initialised

Turned = tuple[int, str, str, str]
TURNED_AWAY: Turned = (429, "text/plain", "1", "Too many requests, please try again later.\n")
_FLAGS = ("--enable-priority-and-fairness=false", "--max-requests-inflight=1", "--max-mutating-requests-inflight=1")
_AT_ONCE = 100


async def _answer(session: aiohttp.ClientSession, url: str) -> Turned:
    async with session.get(url, server_hostname="kubernetes") as answer:
        return answer.status, answer.content_type, answer.headers.get("Retry-After", ""), await answer.text()


@needs_control_plane()
async def test_a_real_one_turns_requests_away(tmp_path: Path) -> None:
    async with control_plane(tmp_path, controllers=False, flags=_FLAGS) as plane:
        # The administrator is never turned away, so nobody asks.
        connector = aiohttp.TCPConnector(ssl=plane.context(login=False), limit=_AT_ONCE)
        async with aiohttp.ClientSession(connector=connector) as session:
            url = f"https://127.0.0.1:{plane.port}/api/v1/nodes"
            found: Sequence[Turned] = ()
            while not [one for one in found if one[0] == 429]:
                found = await asyncio.gather(*(_answer(session, url) for _each in range(_AT_ONCE)))
    assert {one for one in found if one[0] == 429} == {TURNED_AWAY}


def _limited(kubeconfig: str, token: str) -> str:
    """A kubeconfig of somebody who may do everything and is turned away like everybody else."""
    config = yaml.safe_load(kubeconfig)
    config["users"][0]["user"] = {"token": token}
    return yaml.safe_dump(config)


@needs_control_plane()
async def test_the_client_comes_through_a_real_one_that_turns_it_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turned: list[int] = []
    original = Connection.request

    async def counted(*arguments: Any, **options: Any) -> Any:
        try:
            return await original(*arguments, **options)
        except ApiError as refusal:
            turned.append(refusal.status or 0)
            raise

    async with control_plane(tmp_path, controllers=False, flags=_FLAGS) as plane:
        async with open_cluster(plane.kubeconfig, plane.port) as administrator:
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "busy", "namespace": "default"}}
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
            bound = {"kind": "ServiceAccount", "name": "busy", "namespace": "default"}
            binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "busy"}}
            await administrator.apply(account)
            await administrator.apply({**binding, "roleRef": role, "subjects": [bound]})
            path = "/api/v1/namespaces/default/serviceaccounts/busy/token"
            made = await administrator._connection.request("POST", path, body={"spec": {}})
        monkeypatch.setattr(Connection, "request", counted)
        token = made.json()["status"]["token"]
        async with open_cluster(_limited(plane.kubeconfig, token), plane.port) as client:
            documents = [config_map(f"m{number}", x="1" * 200_000) for number in range(40)]
            applied = await asyncio.gather(*(client.apply(document, timeout_seconds=100) for document in documents))
        assert all(done.changed for done in applied)
        assert 429 in turned
        assert set(turned) <= {429}


async def test_the_simulator_does_so_too(tmp_path: Path) -> None:
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, cluster), client(fleet, tmp_path) as ask:
        cluster.server.refusals.append(StatusError(429, "too many requests"))
        assert await _answer(ask.session, f"{ask.base}/api/v1/nodes") == TURNED_AWAY


def test_the_client_waits_as_it_is_told() -> None:
    refusal = parse_refusal(429, TURNED_AWAY[3].encode(), TURNED_AWAY[2])
    assert (refusal.passing, refusal.retry_after_seconds) == (True, 1)


@pytest.mark.parametrize("seconds", ["", "soon"])
def test_without_a_number_it_waits_as_it_does_anyway(seconds: str) -> None:
    assert parse_refusal(429, b"", seconds).retry_after_seconds == 0

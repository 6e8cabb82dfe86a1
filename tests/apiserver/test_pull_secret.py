"""registry.pull-secret on a real API server: the login it takes, and a service account that others write into as well."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kfinstall.engine.step import CLUSTER_TARGET, Needed, Satisfied, View
from kfinstall.kube.api import ApiCluster
from kfinstall.kube.base import Ref
from kfinstall.parts.registry import files as registry_files
from kfinstall.parts.registry import pull_secret_objects
from kfinstall.parts.registry.pull_secret import RegistryPullSecret
from tests.apiserver.planes import cluster
from tests.fakes.apiserver import needs_control_plane
from tests.fakes.context import FakeContext
from tests.unit.parts.spark.test_spark import RELEASE, make_answers

pytestmark = [needs_control_plane("kube-controller-manager", "kube-scheduler"), pytest.mark.timeout(120)]
PASSWORD = 'pw "secret\\ with $everything'
USERS = "kubeflow-user-example-com"


async def view(client: ApiCluster, **sections: Any) -> View:
    bare = View(make_answers(**sections), RELEASE, CLUSTER_TARGET)
    return View(bare.answers, RELEASE, CLUSTER_TARGET, cluster=await client.snapshot(RegistryPullSecret().wants(bare)))


async def work(client: ApiCluster, **sections: Any) -> list[str]:
    context = FakeContext(await view(client, **sections), secrets={registry_files.PASSWORD: PASSWORD}, cluster=client)
    await RegistryPullSecret().apply(context)
    return context.lines


async def names(client: ApiCluster, namespace: str) -> list[str]:
    account = await client.get(Ref("v1", "ServiceAccount", "default", namespace))
    return [item["name"] for item in (account or {}).get("imagePullSecrets") or []]


async def attach(client: ApiCluster, namespace: str, *wanted: str) -> None:
    """As somebody with kubectl patches the account."""
    await client._connection.request(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/serviceaccounts/default",
        query={"fieldManager": "kubectl-patch"},
        body={"imagePullSecrets": [{"name": name} for name in wanted]},
        content_type="application/merge-patch+json",
    )


async def test_pods_get_the_login_and_accounts_keep_what_they_had(tmp_path: Path) -> None:
    step = RegistryPullSecret()
    async with cluster(tmp_path) as (_plane, client):
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": USERS}})
        assert isinstance(step.check(await view(client)), Needed)
        # The controllers may not have made the accounts yet; the step does not wait for them.
        lines = await work(client)
        found = step.check(await view(client))
        assert found == Satisfied(f"{pull_secret_objects.NAME} is attached in kfinstall, {USERS}")
        assert PASSWORD not in repr((lines, found))
        secret = await client.get(Ref("v1", "Secret", pull_secret_objects.NAME, USERS))
        assert secret is not None
        (host, login), *others = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))["auths"].items()
        assert (host, others) == (make_answers().registry_host, [])
        assert base64.b64decode(login["auth"]).decode() == f"{login['username']}:{PASSWORD}"

        await attach(client, USERS, "theirs")
        assert step.check(await view(client)) == Needed((f"attach it to the service account {USERS}/default",))
        await work(client)
        assert await names(client, USERS) == ["theirs", pull_secret_objects.NAME]
        await attach(client, USERS, "theirs", "more", pull_secret_objects.NAME)
        assert await work(client) == []
        assert await names(client, USERS) == ["theirs", "more", pull_secret_objects.NAME]

        # A pod that the API server admits now carries the login of its account.
        pod = {"containers": [{"name": "main", "image": f"{host}/x:1"}]}
        await client.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "puller", "namespace": USERS}, "spec": pod})
        made = await client.get(Ref("v1", "Pod", "puller", USERS))
        assert made is not None
        assert {"name": pull_secret_objects.NAME} in made["spec"]["imagePullSecrets"]

        changed = await view(client, registry={"password": {"env": "P"}})
        assert step.check(changed) == Needed(
            tuple(f"make the pull secret {namespace}/{pull_secret_objects.NAME}" for namespace in ("kfinstall", USERS))
        )

"""Kubeflow 26.03 in waves on a real kube-apiserver, whose restart in the middle is survived."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import pytest

from kfinstall.apply.send import apply_waves
from kfinstall.apply.stamp import content
from kfinstall.apply.waves import ADMISSION, Wave, clean_document, split, without_stray_namespaces
from kfinstall.kube import raw
from kfinstall.kube.api import ApiCluster
from kfinstall.kube.base import Ref
from kfinstall.parts.kubeflow import inventory
from kfinstall.parts.kubeflow.inventory import Inventory
from tests.apiserver.planes import cluster
from tests.bench.bench_kubeflow import sidecars
from tests.fakes.apiserver import needs_control_plane
from tests.unit.apply.test_waves import REAL

pytestmark = [
    needs_control_plane("kube-controller-manager", "kube-scheduler"),
    pytest.mark.skipif(not REAL.exists(), reason=f"the rendering of Kubeflow 26.03 is not here ({REAL.name})"),
    pytest.mark.timeout(600),
]


ISTIO = "istio-validator-istio-system"
KNATIVE = "webhook.serving.knative.dev"


async def webhook(client: ApiCluster, what: str, name: str) -> dict[str, Any]:
    """The first of a configuration."""
    found = await client.get(Ref(ADMISSION, f"{what}WebhookConfiguration", name))
    return dict((found or {})["webhooks"][0])


async def test_kubeflow_goes_on_once_and_what_was_changed_is_found_and_put_right(tmp_path: Path) -> None:
    text = gzip.decompress(REAL.read_bytes()).decode()
    # The Profile is made by a step of its own.
    rendered = [clean_document(item) for item in raw.read(text) if item and item["kind"] != "Profile"]
    documents = without_stray_namespaces(rendered)
    wanted = {Ref.of(document): content(document) for document in documents}
    lines: list[str] = []
    async with cluster(tmp_path, delay=2, webhooks=True) as (plane, client):

        async def restart() -> None:
            while not any(text.startswith(Wave.BUILT_IN.value) for text in lines):
                await asyncio.sleep(0.05)
            await plane.restart("kube-apiserver")

        striking = asyncio.create_task(restart())
        result = await apply_waves(client, documents, lines.append)
        await striking
        assert len(result.applied) == len(documents) == 674
        assert {str(ref): done.conflicts for ref, done in result.applied.items() if done.conflicts} == {}
        pods = [item for item in split(documents) if item.wave is Wave.HOOKED_WORKLOADS]
        seen = expected = "0"
        async with asyncio.timeout(60):  # the controllers make some six pods a second
            while int(seen) < len(pods) - 3:  # pods that claims without a volume hold back are there as well
                seen, _of, expected = (await sidecars(client)).split()
                assert seen == expected
        known = Inventory("test", {ref: (digest, result.applied[ref].fields) for ref, digest in wanted.items()})

        async def present() -> frozenset[Ref]:
            return known.present(await client.snapshot(inventory.wants()), wanted)

        # Controllers write into many of them; none of that is taken for a change.
        served = [await webhook(client, "Validating", ISTIO), await webhook(client, "Mutating", KNATIVE)]
        assert (served[0]["failurePolicy"], len(served[1]["rules"])) == ("Fail", 10)
        assert known.outstanding(await client.snapshot(inventory.wants())) == []
        assert set(wanted) - await present() == set()
        injected = Ref("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "istio-sidecar-injector")
        bundle = ((await client.get(injected)) or {})["webhooks"][0]["clientConfig"]["caBundle"]
        assert bundle
        changed = Ref("v1", "ConfigMap", "dex", "auth")
        await client._connection.request(
            "PATCH",
            "/api/v1/namespaces/auth/configmaps/dex",
            query={"fieldManager": "kubectl-edit"},
            body={"data": {"config.yaml": "nothing"}},
            content_type="application/merge-patch+json",
        )
        kept = await present()
        assert set(wanted) - kept == {changed}
        again = await apply_waves(client, documents, lines.append, present=kept - {injected})
        assert set(again.applied) == {changed, injected}
        assert again.applied[changed].conflicts == ("kubectl-edit",)
        assert ((await client.get(injected)) or {})["webhooks"][0]["clientConfig"]["caBundle"] == bundle
        assert set(wanted) - await present() == set()

"""The gateway's certificate beside a cert-manager that puts back what it issued: the own CA's, a given one, and the ways between."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Check, Needed, Satisfied, View
from kfinstall.kube.api import ApiCluster, open_cluster
from kfinstall.kube.base import Ref
from kfinstall.parts.kubeflow import own
from kfinstall.parts.kubeflow.access import KubeflowAccess
from kfinstall.releases import load
from kfinstall.simulator.cluster import SimCluster
from tests.fakes.api import Certificates, make_certificates
from tests.fakes.context import FakeContext
from tests.simulated.simulated_cluster import Document, crd, initialised, ready, until, workload

STEP = KubeflowAccess()
SECRET = Ref("v1", "Secret", own.TLS_SECRET, own.GATEWAY_NAMESPACE)


class Gateway:
    """The step against a cluster with cert-manager."""

    def __init__(self, sim: SimCluster, cluster: ApiCluster, folder: Path) -> None:
        self.sim, self.cluster, self.folder = sim, cluster, folder
        self.tls: dict[str, str] = {}

    def give(self, made: Certificates) -> None:
        """Answers that name these files."""
        self.tls = {"certificate": str(self.folder / "c.pem"), "key": str(self.folder / "k.pem")}
        (self.folder / "c.pem").write_text(made.server)
        (self.folder / "k.pem").write_text(made.server_key)

    async def view(self) -> View:
        nodes = [{"name": "cp1", "address": "10.0.0.1"}]
        answers = Answers.model_validate({"nodes": nodes, "kubeflow": {"tls": self.tls}})
        empty = View(answers, load("26.03"), "cluster")
        return View(answers, load("26.03"), "cluster", {}, await self.cluster.snapshot(STEP.wants(empty)))

    async def check(self) -> Check:
        return STEP.check(await self.view())

    async def run(self) -> Document:
        """Check, apply, check; gives the Secret once cert-manager had its time with it."""
        view = await self.view()
        assert isinstance(STEP.check(view), Needed)
        await STEP.apply(FakeContext(view, cluster=self.cluster))
        await asyncio.sleep(0.3)
        after = await self.check()
        assert isinstance(after, Satisfied), after
        return await self.cluster.get(SECRET) or {}


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[Gateway]:
    async with initialised(folder) as (fleet, sim):
        for plural, kind in (("certificates", "Certificate"), ("issuers", "Issuer")):
            sim.put(crd(plural, kind, "cert-manager.io"))
            await until(lambda kind=kind: sim.kinds.by_kind("cert-manager.io/v1", kind))
        for name in ("cert-manager", own.GATEWAY_NAMESPACE):
            sim.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        sim.put(workload("cert-manager", namespace="cert-manager", replicas=1))
        await until(lambda: ready(sim.get("apps/v1", "Deployment", "cert-manager", "cert-manager") or {}, "Available"))
        text = fleet.world.nodes["cp1"].files["/etc/kubernetes/admin.conf"].content or ""
        async with open_cluster(text, sim.server.port) as cluster:
            yield Gateway(sim, cluster, folder)


def decoded(secret: Document) -> dict[str, Any]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


async def test_what_the_gateway_shows_is_what_the_answers_say_however_often_they_change(tmp_path: Path) -> None:
    first, second = make_certificates(), make_certificates()
    async with gateway(tmp_path) as runner:
        own_data = decoded(await runner.run())
        assert set(own_data) == {"tls.crt", "tls.key", "ca.crt"}

        runner.give(first)
        assert decoded(await runner.run()) == {"tls.crt": first.server, "tls.key": first.server_key}

        runner.give(second)  # renewed at the same path
        placed = await runner.run()
        assert decoded(placed) == {"tls.crt": second.server, "tls.key": second.server_key}

        runner.tls = {}
        anew = await runner.run()
        assert set(decoded(anew)) == {"tls.crt", "tls.key", "ca.crt"}
        assert decoded(anew)["tls.crt"] not in (own_data["tls.crt"], second.server)

        runner.give(second)
        assert decoded(await runner.run()) == decoded(placed)


async def test_a_given_certificate_whose_file_is_elsewhere_now_stays_in_place(tmp_path: Path) -> None:
    async with gateway(tmp_path) as runner:
        runner.give(make_certificates())
        await runner.run()
        (tmp_path / "c.pem").unlink()
        assert isinstance(await runner.check(), Satisfied)


async def test_a_secret_that_cert_manager_wrote_is_not_the_given_certificate(tmp_path: Path) -> None:
    """A run that was killed between the Certificate and its Secret; the Secret carries a mark of an earlier run."""
    made = make_certificates()
    async with gateway(tmp_path) as runner:
        runner.give(made)
        marks = (await runner.run())["metadata"]["annotations"]
        runner.tls = {}
        issued = await runner.run()
        runner.sim.put(
            {**issued, "metadata": {**issued["metadata"], "annotations": {**issued["metadata"]["annotations"], **marks}}}
        )
        await runner.cluster.delete(Ref("cert-manager.io/v1", "Certificate", "kubeflow-gateway", own.GATEWAY_NAMESPACE))
        runner.give(made)
        assert decoded(await runner.run()) == {"tls.crt": made.server, "tls.key": made.server_key}

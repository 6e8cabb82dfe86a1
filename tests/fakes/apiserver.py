"""A real control plane for tests: etcd and kube-apiserver, and kube-controller-manager and kube-scheduler where they are there.

The programs come from the folder that the environment variable KUBEBUILDER_ASSETS names, as with envtest. They run in a
network namespace of their own in which every Service and node address is this machine's: a webhook's Service without a
stand-in behind it refuses at once, as one without endpoints does. No node, no pod, no way out.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kfinstall.simulator.apiserver.pki import Pki
from tests.fakes import netns
from tests.fakes.netns import NetNamespace

ASSETS = "KUBEBUILDER_ASSETS"
SERVICES = "10.96.0.0/16"
NODES = "10.1.0.0/24"
API_PORT = 6443
_ETCD_PORT = 2379
_PROJECT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0


def program(name: str) -> str | None:
    """The path of one of the programs."""
    return shutil.which(name, path=os.environ.get(ASSETS) or "/nowhere")


def missing(*also: str) -> str:
    """Why there can be no control plane here; empty where there can."""
    if not os.environ.get(ASSETS):
        return f"{ASSETS} names no folder with kube-apiserver and etcd"
    for name in ("etcd", "kube-apiserver", *also):
        if program(name) is None:
            return f"{ASSETS} has no {name}"
    return netns.missing()


def needs_control_plane(*also: str) -> pytest.MarkDecorator:
    """Skips, with the reason, where there can be no control plane with these programs besides."""
    reason = missing(*also)
    return pytest.mark.skipif(bool(reason), reason=reason or "-")


@dataclass
class ControlPlane:
    """A running control plane."""

    folder: Path
    inside: NetNamespace
    port: int
    """On 127.0.0.1, outside of the namespace."""
    kubeconfig: str
    """The administrator's; its server is the address inside."""
    pki: Pki
    arguments: dict[str, list[str]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        """Start a program inside, under a name; its output goes to <folder>/<name>.log."""
        if command:
            self.arguments[name] = list(command)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = self.inside.popen(
                self.arguments[name], stdout=log, stderr=subprocess.STDOUT, env=self.environment(), cwd=self.folder
            )

    def environment(self) -> dict[str, str]:
        """What programs inside get: kubectl and the stand-ins find the cluster by it."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        return {**kept, "KUBECONFIG": str(self.folder / "admin.conf"), "PYTHONPATH": str(_PROJECT)}

    async def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End a program; it is killed where it does not go by itself."""
        process = self.processes.pop(name)
        process.send_signal(number)
        try:
            await asyncio.to_thread(process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    async def restart(self, name: str) -> None:
        """End a program as a power cut does, and start it again."""
        await self.stop(name, signal.SIGKILL)
        self.start(name)

    def log(self, name: str) -> str:
        """What a program wrote."""
        path = self.folder / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def cpu_seconds(self, name: str) -> float:
        """Processor time that a program has used."""
        text = Path(f"/proc/{self.processes[name].pid}/stat").read_text(encoding="ascii", errors="replace")
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self, name: str) -> int:
        """Most memory that a program had at once."""
        text = Path(f"/proc/{self.processes[name].pid}/status").read_text(encoding="ascii", errors="replace")
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM"))

    def context(self, *, login: bool = True) -> ssl.SSLContext:
        """Trusts the API server; shows the administrator's certificate."""
        context = ssl.create_default_context(cadata=self.pki.ca)
        if login:
            context.load_cert_chain(self.folder / "admin.pem")
        return context

    async def ready(self, path: str = "/readyz", seconds: float = _READY_SECONDS) -> None:
        """Wait until the API server says that it is ready."""
        url = f"https://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.context(), force_close=True)) as session:
            end = time.monotonic() + seconds
            while True:
                try:
                    async with session.get(url, server_hostname="kubernetes") as answer:
                        if answer.status == 200:
                            return
                        text = await answer.text()
                except aiohttp.ClientError as error:
                    text = str(error)
                for name, process in self.processes.items():
                    if process.poll() is not None:
                        raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.log(name)[-2000:]}")
                if time.monotonic() > end:
                    raise TimeoutError(f"kube-apiserver is not ready: {text[-1000:]}\n{self.log('kube-apiserver')[-2000:]}")
                await asyncio.sleep(0.05)

    async def etcd_version(self) -> tuple[int, ...]:
        """Such as (3, 6, 4)."""
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(self.inside.relay(_ETCD_PORT))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            answer = await stack.enter_async_context(session.get(f"http://127.0.0.1:{port}/version"))
            return tuple(int(part) for part in (await answer.json(content_type=None))["etcdserver"].split("."))

    async def compact(self, revision: int) -> None:
        """Make etcd forget what was before a revision: what asks for it is gone then (410)."""
        async with self.inside.relay(_ETCD_PORT) as port, aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}/v3/kv/compaction"
            async with session.post(url, json={"revision": str(revision), "physical": True}) as answer:
                answer.raise_for_status()


@asynccontextmanager
async def control_plane(folder: Path, *, controllers: bool = True, flags: Sequence[str] = ()) -> AsyncIterator[ControlPlane]:
    """A control plane that is ready. Its files are in `folder`; all else is gone afterwards, also after a failure.

    `controllers`: with kube-controller-manager and kube-scheduler, where they are there. `flags`: more for kube-apiserver.
    """
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(netns.namespace(local=[SERVICES, NODES]))
        port = await stack.enter_async_context(inside.relay(API_PORT))
        pki = Pki.make(["127.0.0.1"], administrators="system:masters")
        plane = ControlPlane(folder, inside, port, pki.kubeconfig(f"https://127.0.0.1:{API_PORT}"), pki)
        _write_files(plane)
        stack.push_async_callback(_end, plane)
        plane.start("etcd", *_etcd(folder))
        plane.start("kube-apiserver", *_apiserver(folder), *flags)
        await plane.ready()
        for name in ("kube-controller-manager", "kube-scheduler") if controllers else ():
            if path := program(name):
                plane.start(name, path, *_CONTROLLER_FLAGS[name], "--kubeconfig=admin.conf", "--leader-elect=false")
        yield plane


async def _end(plane: ControlPlane) -> None:
    for name in reversed(list(plane.processes)):
        await plane.stop(name, signal.SIGKILL)
    shutil.rmtree(plane.folder / "etcd", ignore_errors=True)


def _write_files(plane: ControlPlane) -> None:
    folder, pki = plane.folder, plane.pki
    folder.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(65537, 2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    texts = {
        "ca.crt": pki.ca,
        "server.crt": pki.server,
        "server.key": pki.server_key,
        "admin.pem": pki.admin_key + pki.admin,
        "admin.conf": plane.kubeconfig,
        "accounts.key": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode(),
        "accounts.pub": key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
    }
    for name, text in texts.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text, encoding="ascii")


def _etcd(folder: Path) -> list[str]:
    here = f"http://127.0.0.1:{_ETCD_PORT}"
    return [
        program("etcd") or "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--log-level=error",
    ]


def _apiserver(folder: Path) -> list[str]:
    return [
        program("kube-apiserver") or "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{_ETCD_PORT}",
        f"--secure-port={API_PORT}",
        "--advertise-address=10.1.0.1",
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=RBAC",
        "--allow-privileged",
        "--kubelet-preferred-address-types=InternalIP",
        "--client-ca-file=ca.crt",
        "--tls-cert-file=server.crt",
        "--tls-private-key-file=server.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=accounts.pub",
        "--service-account-signing-key-file=accounts.key",
        f"--cert-dir={folder / 'certs'}",
    ]


_CONTROLLER_FLAGS = {
    "kube-controller-manager": (
        "--service-account-private-key-file=accounts.key",
        "--root-ca-file=ca.crt",
        "--use-service-account-credentials=false",
        "--secure-port=0",
    ),
    "kube-scheduler": ("--secure-port=0",),
}

"""What a kubelet does for pods that run to their end: mounts their claims' volumes, runs their program, keeps and serves its output.

The program runs on this machine's own files, read-only, in a root of its own, with the pod's user, groups and no capability.
A volume is a directory that the stand-in for provisioners made. As the kubelet does it, its group becomes the pod's fsGroup
where the volume's CSI driver says so, and never on other kinds of volumes.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web

from kfinstall.kube.connection import Connection

Document = dict[str, Any]
KUBELET_PORT = 10250
_POLL_SECONDS = 0.2
_PROGRAM = Path(__file__).with_name("container.sh")


class Containers:
    """The programs of all nodes' pods, and what they wrote."""

    def __init__(self, api: Connection, volumes: Path) -> None:
        """`volumes`: has a directory for each PersistentVolume, by its name."""
        self._api = api
        self._volumes = volumes
        self._logs: dict[tuple[str, str], bytes] = {}

    async def run(self, pod: Document) -> int:
        """Run the pod's only container to its end, once its volumes are bound; the exit status."""
        metadata, spec = pod["metadata"], pod["spec"]
        (container,) = spec["containers"]
        security = spec["securityContext"]
        mounts = {item["name"]: item["mountPath"] for item in container["volumeMounts"]}
        arguments: list[str] = []
        for volume in spec["volumes"]:
            folder = await self._mounted(metadata["namespace"], volume["persistentVolumeClaim"]["claimName"], security["fsGroup"])
            arguments += [str(folder), mounts[volume["name"]]]
        with tempfile.TemporaryDirectory() as root:
            process = await asyncio.create_subprocess_exec(
                *("unshare", "--mount", "--", str(_PROGRAM), root),
                *(str(security[key]) for key in ("runAsUser", "runAsGroup", "fsGroup")),
                *(*arguments, "--", *container["command"]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={"PATH": os.environ["PATH"]},
            )
            output, _none = await process.communicate()
        self._logs[metadata["namespace"], metadata["name"]] = output
        assert process.returncode is not None
        return process.returncode

    async def _mounted(self, namespace: str, claim: str, group: int) -> Path:
        """The directory of a claim's volume, with the owner that a kubelet gives it."""
        while True:
            found = await self._get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}")
            if found["status"].get("phase") == "Bound":
                break
            await asyncio.sleep(_POLL_SECONDS)
        name = found["spec"]["volumeName"]
        source = (await self._get(f"/api/v1/persistentvolumes/{name}"))["spec"].get("csi")
        if (
            source
            and (await self._get(f"/apis/storage.k8s.io/v1/csidrivers/{source['driver']}"))["spec"]["fsGroupPolicy"] == "File"
        ):
            os.chown(self._volumes / name, -1, group)
            (self._volumes / name).chmod(0o2775)
        return self._volumes / name

    async def _get(self, path: str) -> Document:
        return (await self._api.request("GET", path)).document  # type: ignore[no-any-return]

    async def serve(self) -> None:
        """Give the API server what containers wrote, for ever; at every node's address."""

        async def logs(request: web.Request) -> web.Response:
            key = request.match_info["namespace"], request.match_info["pod"]
            return web.Response(body=self._logs[key]) if key in self._logs else web.Response(status=404, text="no such container")

        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("server.crt", "server.key")
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, port=KUBELET_PORT, ssl_context=context).start()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

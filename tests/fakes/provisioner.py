"""Stands in for local-path-provisioner, csi-driver-nfs and nfs-subdir-external-provisioner: makes and deletes volumes for claims.

Run inside a control plane's namespace: python -m tests.fakes.provisioner --volumes FOLDER. A volume is a directory of the folder,
with the modes that the real one gives it, and a PersistentVolume of the real one's form. As with the real ones nothing happens
while the provisioner's own Deployment has no available pod, and for a class that waits for its first consumer not before the
scheduler chose a node. local-path's directories are made and removed by the scripts in its own ConfigMap.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from kfinstall.kube.connection import Connection
from kfinstall.kube.refusal import ApiError
from tests.fakes.follow import connection, follow, patiently

Document = dict[str, Any]
_LOCAL, _CSI, _SUBDIR = "rancher.io/local-path", "nfs.csi.k8s.io", "k8s-sigs.io/nfs-subdir-external-provisioner"
_DEPLOYMENTS = {
    _LOCAL: "local-path-storage/deployments/local-path-provisioner",
    _CSI: "kube-system/deployments/csi-nfs-controller",
    _SUBDIR: "nfs-client-provisioner/deployments/nfs-client-provisioner",
}
_WANTED_BY = "volume.kubernetes.io/storage-provisioner"
_NODE = "volume.kubernetes.io/selected-node"
_MADE_BY = "pv.kubernetes.io/provisioned-by"
_VOLUMES = "/api/v1/persistentvolumes"
_POLL_SECONDS = 0.2


class Provisioner:
    """All three of them."""

    def __init__(self, api: Connection, folder: Path) -> None:
        self._api = api
        self._folder = folder
        self._seen: set[str] = set()

    async def run(self) -> None:
        """Play until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(follow(self._api, "/api/v1/persistentvolumeclaims", lambda _kind, claim: self._claim(group, claim)))
            group.create_task(follow(self._api, _VOLUMES, lambda kind, volume: self._volume(group, kind, volume)))

    async def _get(self, path: str) -> Document:
        return (await self._api.request("GET", path)).document  # type: ignore[no-any-return]

    def _claim(self, group: asyncio.TaskGroup, claim: Document) -> None:
        """Begin once the controllers say whose claim it is, which they do when its time has come."""
        uid, marks = claim["metadata"]["uid"], claim["metadata"].get("annotations") or {}
        if marks.get(_WANTED_BY) in _DEPLOYMENTS and uid not in self._seen and not claim["spec"].get("volumeName"):
            self._seen.add(uid)
            group.create_task(self._make(claim, marks[_WANTED_BY], marks.get(_NODE, "")))

    async def _available(self, provisioner: str) -> None:
        while True:
            with suppress(ApiError):
                found = await self._get(f"/apis/apps/v1/namespaces/{_DEPLOYMENTS[provisioner]}")
                if found["status"].get("availableReplicas"):
                    return
            await asyncio.sleep(_POLL_SECONDS)

    async def _make(self, claim: Document, provisioner: str, node: str) -> None:
        await self._available(provisioner)
        metadata, spec = claim["metadata"], claim["spec"]
        made = await self._get(f"/apis/storage.k8s.io/v1/storageclasses/{spec['storageClassName']}")
        name = f"pvc-{metadata['uid']}"
        folder = self._folder / name
        if provisioner == _LOCAL:
            await self._script("setup", folder)
        else:
            folder.mkdir()
            folder.chmod(0o777 if provisioner == _SUBDIR else 0o755)
        about = {key: metadata[key] for key in ("namespace", "name", "uid", "resourceVersion")}
        volume = {
            "metadata": {"name": name, "annotations": {_MADE_BY: provisioner}},
            "spec": {
                "accessModes": spec["accessModes"],
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **about},
                "mountOptions": made.get("mountOptions"),
                "persistentVolumeReclaimPolicy": made["reclaimPolicy"],
                "storageClassName": spec["storageClassName"],
                **_source(provisioner, name, made.get("parameters") or {}, folder, node),
            },
        }
        await patiently(lambda: self._api.request("POST", _VOLUMES, body=volume))

    async def _script(self, name: str, folder: Path) -> None:
        """Run one of the scripts that the provisioner's helper pod runs."""
        found = await self._get("/api/v1/namespaces/local-path-storage/configmaps/local-path-config")
        subprocess.run(["sh", "-c", found["data"][name]], check=True, env={"PATH": "/usr/bin:/bin", "VOL_DIR": str(folder)})

    def _volume(self, group: asyncio.TaskGroup, kind: str, volume: Document) -> None:
        released = volume["status"].get("phase") == "Released" and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        if released and kind != "DELETED" and volume["metadata"]["name"] not in self._seen:
            self._seen.add(volume["metadata"]["name"])
            group.create_task(self._remove(volume))

    async def _remove(self, volume: Document) -> None:
        name, provisioner = volume["metadata"]["name"], volume["metadata"]["annotations"][_MADE_BY]
        await self._available(provisioner)
        if provisioner == _LOCAL:
            await self._script("teardown", self._folder / name)
        else:
            shutil.rmtree(self._folder / name)
        await patiently(lambda: self._api.request("DELETE", f"{_VOLUMES}/{name}"))


def _source(provisioner: str, name: str, parameters: Document, folder: Path, node: str) -> Document:
    """Where the volume is, in the form of each of them."""
    if provisioner == _CSI:
        handle = f"{parameters['server']}#{parameters['share']}#{name}##"
        return {"csi": {"driver": _CSI, "volumeHandle": handle, "volumeAttributes": parameters}}
    if provisioner == _SUBDIR:
        return {"nfs": {"server": "10.1.0.11", "path": str(folder)}}
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}}
    return {"hostPath": {"path": str(folder), "type": "DirectoryOrCreate"}, "nodeAffinity": affinity}


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.provisioner", description=__doc__)
    parser.add_argument("--volumes", type=Path, required=True, help="folder of the volumes' directories")
    options = parser.parse_args()
    async with connection() as api:
        playing = asyncio.create_task(Provisioner(api, options.volumes).run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
        with suppress(asyncio.CancelledError):
            await playing


if __name__ == "__main__":
    asyncio.run(main())

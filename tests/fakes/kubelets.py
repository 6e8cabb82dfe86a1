"""Stands in for nodes: registers them, renews their leases, and lets the pods that were scheduled to them become ready.

Run inside a control plane's namespace: python -m tests.fakes.kubelets [--nodes 2] [--delay 0.5] [--stuck REGEX] [--mounts]
[--volumes FOLDER]. No container runs: pods of Jobs succeed, or those with a claim run their program where --volumes says where
volumes are; those whose "namespace/name/image" matches --stuck stay at ImagePullBackOff. With --mounts a pod begins only once
the Secrets and ConfigMaps that it mounts are there, and an event says which is not.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import itertools
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from kfinstall.kube.connection import Connection
from kfinstall.kube.refusal import ApiError
from tests.fakes.containers import KUBELET_PORT, Containers
from tests.fakes.follow import connection, follow, patiently

Document = dict[str, Any]
_STRATEGIC = "application/strategic-merge-patch+json"
_LEASE_SECONDS = 40
_RENEW_SECONDS = 8
_AT_ONCE = 8
_MOUNT_SECONDS = 0.5
_PODS = "/api/v1/pods"
_CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "500", "ephemeral-storage": "1Ti"}
_INFO = (
    "machineID systemUUID bootID kernelVersion osImage containerRuntimeVersion kubeletVersion kubeProxyVersion operatingSystem "
    "architecture"
)


def _now(*, micro: bool = False) -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def node(name: str, number: int) -> tuple[Document, Document]:
    """A node as its kubelet registers it, and its status."""
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    made = {"metadata": {"name": name, "labels": labels}, "spec": {"podCIDR": f"10.244.{number}.0/24"}}
    conditions = [
        {"type": kind, "status": "True" if kind == "Ready" else "False", "reason": "StandIn", "lastHeartbeatTime": _now()}
        for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    addresses = [{"type": "InternalIP", "address": f"10.1.0.{number + 11}"}, {"type": "Hostname", "address": name}]
    info = dict.fromkeys(_INFO.split(), "stand-in")
    status = {"capacity": _CAPACITY, "allocatable": _CAPACITY, "conditions": conditions, "addresses": addresses, "nodeInfo": info}
    return made, {**status, "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}}}


def pull_message(image: str) -> str:
    """What a kubelet says of an image that its registry does not have."""
    cause = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
    return f'Back-off pulling image "{image}": ErrImagePull: rpc error: code = NotFound desc = {cause}'


def _ended(code: int) -> Document:
    reason = "Error" if code else "Completed"
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": _now(), "finishedAt": _now()}}


def pod_status(pod: Document, address: str, *, stuck: bool, creating: bool = False, code: int = 0) -> Document:
    """What a kubelet reports of a pod that has started (or whose image can't be pulled, or that waits for what it mounts).

    `code`: the exit status of one that ends.
    """
    spec, now = pod["spec"], _now()
    ends = spec.get("restartPolicy") in ("Never", "OnFailure") and not stuck and not creating
    over = _ended(0)
    state: Document = _ended(code) if ends else {"running": {"startedAt": now}}
    if creating:
        state = {"waiting": {"reason": "ContainerCreating"}}
    ready = not stuck and not ends and not creating

    def of(container: Document, state: Document, *, ready: bool) -> Document:
        image = container["image"]
        if stuck:
            state = {"waiting": {"reason": "ImagePullBackOff", "message": pull_message(image)}}
        fixed = {"name": container["name"], "image": image, "imageID": f"stand-in://{image}", "restartCount": 0}
        return {**fixed, "ready": ready, "started": ready, "state": state}

    init = [
        of(item, state if item.get("restartPolicy") == "Always" else over, ready=True)
        for item in spec.get("initContainers") or ()
        if not stuck and not creating
    ]
    words = {"Initialized": "True", "PodReadyToStartContainers": "True"}
    words |= dict.fromkeys(("Ready", "ContainersReady"), "True" if ready else "False")
    return {
        "phase": "Pending" if stuck or creating else "Running" if not ends else "Failed" if code else "Succeeded",
        "startTime": now,
        "hostIP": "10.1.0.11",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [{"type": kind, "status": value, "lastTransitionTime": now} for kind, value in words.items()],
        "initContainerStatuses": init,
        "containerStatuses": [of(item, state, ready=ready) for item in spec["containers"]],
    }


def _claims(pod: Document) -> bool:
    return any("persistentVolumeClaim" in volume for volume in pod["spec"].get("volumes") or ())


class Kubelets:
    """All nodes of the cluster."""

    def __init__(
        self, api: Connection, *, nodes: int, delay: float, stuck: str, mounts: bool = False, volumes: Path | None = None
    ) -> None:
        """`delay`: seconds from scheduled to ready, as pulling and starting take."""
        self._mounts = mounts
        self._containers = Containers(api, volumes) if volumes else None
        self._api = api
        self._names = [f"stand-in-{number}" for number in range(nodes)]
        self._delay = delay
        self._stuck = re.compile(stuck) if stuck else None
        self._addresses = (f"10.244.{number // 250}.{number % 250 + 1}" for number in itertools.count(5))
        self._seen: set[tuple[str, bool]] = set()
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Play until cancelled."""
        for number, name in enumerate(self._names):
            made, status = node(name, number)
            await patiently(lambda made=made: self._api.request("POST", "/api/v1/nodes", body=made))  # type: ignore[misc]
            await self._patch(f"/api/v1/nodes/{name}/status", {"status": status})
        async with asyncio.TaskGroup() as group:
            group.create_task(self._leases())
            if self._containers:
                group.create_task(self._containers.serve())
            group.create_task(
                follow(self._api, _PODS, lambda kind, pod: self._pod(group, kind, pod), query={"fieldSelector": "spec.nodeName!="})
            )

    async def _patch(self, path: str, body: Document) -> None:
        await patiently(lambda: self._api.request("PATCH", path, body=body, content_type=_STRATEGIC))

    async def _leases(self) -> None:
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        while True:
            for name in self._names:
                spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": _now(micro=True)}
                body = {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": name, "namespace": "kube-node-lease"},
                    "spec": spec,
                }
                query = {"fieldManager": "kubelet", "force": "true"}
                await patiently(
                    lambda body=body, name=name, query=query: self._api.request(  # type: ignore[misc]
                        "PATCH", f"{path}/{name}", query=query, body=body, content_type="application/apply-patch+yaml"
                    )
                )
            await asyncio.sleep(_RENEW_SECONDS)

    def _pod(self, group: asyncio.TaskGroup, kind: str, pod: Document) -> None:
        going = bool(pod["metadata"].get("deletionTimestamp"))
        key = (pod["metadata"]["uid"], going)
        if kind == "DELETED" or key in self._seen or pod["spec"].get("nodeName") not in self._names:
            return
        self._seen.add(key)
        group.create_task(self._end(pod) if going else self._begin(pod))

    async def _begin(self, pod: Document) -> None:
        await asyncio.sleep(self._delay)
        metadata = pod["metadata"]
        words = [f"{metadata['namespace']}/{metadata['name']}/{item['image']}" for item in pod["spec"]["containers"]]
        stuck = self._stuck is not None and any(self._stuck.search(word) for word in words)
        reported, address = "", next(self._addresses)
        while self._mounts and (missing := await self._missing(pod)):
            if missing != reported:
                reported = missing
                await self._wait_for(pod, missing, address)
            await asyncio.sleep(_MOUNT_SECONDS)
        code = await self._containers.run(pod) if self._containers and not stuck and _claims(pod) else 0
        async with self._gate:
            status = pod_status(pod, address, stuck=stuck, code=code)
            await self._patch(f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status", {"status": status})

    async def _missing(self, pod: Document) -> str:
        """What it mounts and is not there, in a kubelet's words."""
        for volume in pod["spec"].get("volumes") or ():
            for key, kind, field in (("secret", "secrets", "secretName"), ("configMap", "configmaps", "name")):
                source = volume.get(key) or {}
                if source and not source.get("optional"):
                    try:
                        await self._api.request("GET", f"/api/v1/namespaces/{pod['metadata']['namespace']}/{kind}/{source[field]}")
                    except ApiError as refusal:
                        if refusal.status == 404:
                            return (
                                f'MountVolume.SetUp failed for volume "{volume["name"]}" : {kind[:-1]} "{source[field]}" not found'
                            )
        return ""

    async def _wait_for(self, pod: Document, missing: str, address: str) -> None:
        metadata = pod["metadata"]
        where = f"/api/v1/namespaces/{metadata['namespace']}"
        status = pod_status(pod, address, stuck=False, creating=True)
        await self._patch(f"{where}/pods/{metadata['name']}/status", {"status": status})
        about = {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
        event = {
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": about,
            "reason": "FailedMount",
            "message": missing,
            "type": "Warning",
            "lastTimestamp": _now(),
        }
        await patiently(lambda: self._api.request("POST", f"{where}/events", body=event))

    async def _end(self, pod: Document) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        async with self._gate:
            await patiently(lambda: self._api.request("DELETE", path, body=body))


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.kubelets", description=__doc__)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--delay", type=float, default=0.5, help="seconds from scheduled to ready")
    parser.add_argument("--stuck", default="", help="regular expression of namespace/name/image that never starts")
    parser.add_argument("--mounts", action="store_true", help="pods wait for the Secrets and ConfigMaps that they mount")
    parser.add_argument("--volumes", type=Path, help="folder of the volumes' directories: pods with claims run their program")
    options = parser.parse_args()
    async with connection() as api:
        kubelets = Kubelets(api, **vars(options))
        playing = asyncio.create_task(kubelets.run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
        with suppress(asyncio.CancelledError):
            await playing


if __name__ == "__main__":
    asyncio.run(main())

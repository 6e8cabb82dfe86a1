"""What the scripts of phase spark do to a simulated node, and what Spark's pods do in the simulated cluster."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from kfinstall.simulator.nodes.model import Document, PodOutcome, SimApi, SimNode, World, effect, pod_hook


@effect("spark-image")
def image(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Copy the image into the registry."""
    target = parameters["TARGET"]
    if f"registry:{target}" in node.images:
        yield f"{target} is in the registry already"
    else:
        yield f"copying {parameters['SOURCE']} to {target}"
        for done in (25, 50, 75):
            yield f"layers: {done} %"
        node.images |= {parameters["SOURCE"], target, f"registry:{target}"}
        yield "copied"
    node.write(parameters["RECORD_PATH"], parameters["RECORD"])
    yield parameters["RECORD_PATH"]


_DRIVER_LOG: Final = """26/03/21 10:00:00 INFO SparkContext: Running Spark version 3.5.2
26/03/21 10:00:04 INFO DAGScheduler: Job 0 finished: reduce at SparkPi.scala:38, took 1.612 s
Pi is roughly 3.141597
26/03/21 10:00:04 INFO SparkContext: Successfully stopped SparkContext
"""
_NO_DIRECTORY: Final = """26/03/21 10:00:01 ERROR SparkContext: Error initializing SparkContext.
java.io.FileNotFoundException: File {directory} does not exist
"""
EVENT_LOG: Final = "kfinstall.dev/simulated-event-log"
"""Annotation of a driver's pod: its spark.eventLog.dir."""
_FILES: Final = "kfinstall.dev/simulated-files"
"""Annotation of a claim: what is on its volume."""
_VOLUMES: Final = re.compile(
    r"spark\.kubernetes\.driver\.volumes\.persistentVolumeClaim\.([^.]+)\.(mount\.path|options\.claimName)"
)


def driver(namespace: str, name: str, labels: Mapping[str, str], mounts: Mapping[str, str], event_log: str) -> Document:
    """The pod of a driver as Spark makes it; it starts, prints Pi and ends.

    `mounts`: claim to path. `event_log`: spark.eventLog.dir, or empty.
    """
    own = {"spark-role": "driver", "spark-app-name": name, "spark-app-selector": f"spark-{name}"}
    metadata = {"name": f"{name}-driver", "namespace": namespace, "labels": {**labels, **own}}
    container = {
        "name": "spark-kubernetes-driver",
        "image": "spark",
        "volumeMounts": [{"name": claim, "mountPath": path} for claim, path in mounts.items()],
    }
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in mounts]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "annotations": {EVENT_LOG: event_log}},
        "spec": {"restartPolicy": "Never", "containers": [container], "volumes": volumes},
    }


def _submitted(arguments: Sequence[str]) -> tuple[dict[str, str], str]:
    """What spark-submit makes of its settings: claims with their paths in the driver, and the event log's directory."""
    pairs = itertools.pairwise(arguments)
    settings = dict(value.split("=", 1) for option, value in pairs if option == "--conf" and "=" in value)
    found: dict[str, dict[str, str]] = {}
    for key, value in settings.items():
        if match := _VOLUMES.fullmatch(key):
            found.setdefault(match[1], {})[match[2]] = value
    mounts = {item["options.claimName"]: item["mount.path"] for item in found.values()}
    return mounts, settings.get("spark.eventLog.dir", "")


def on_volume(pod: Document, path: str) -> tuple[str, str] | None:
    """(claim, path on it) that a path in a pod leads to; None where it is no volume's."""
    volumes = pod["spec"].get("volumes") or ()
    claims = {item["name"]: str((item.get("persistentVolumeClaim") or {}).get("claimName") or "") for item in volumes}
    for mount in pod["spec"]["containers"][0].get("volumeMounts") or ():
        where = PurePosixPath(path.removeprefix("file://").removeprefix("file:"))
        if claims.get(mount["name"]) and where.is_relative_to(mount["mountPath"]):
            return claims[mount["name"]], str(where.relative_to(mount["mountPath"]))
    return None


def files(api: SimApi, namespace: str, claim: str) -> list[str]:
    """The paths on a claim's volume."""
    found = (api.get("v1", "PersistentVolumeClaim", claim, namespace) or {}).get("metadata") or {}
    return list(json.loads((found.get("annotations") or {}).get(_FILES) or "[]"))


def _write(api: SimApi, namespace: str, claim: str, path: str) -> None:
    found = api.get("v1", "PersistentVolumeClaim", claim, namespace)
    there = files(api, namespace, claim)
    if found is not None and path not in there:
        annotations = {**(found["metadata"].get("annotations") or {}), _FILES: json.dumps([*there, path])}
        api.put({**found, "metadata": {**found["metadata"], "annotations": annotations}})


@pod_hook
def spark_pod(pod: Document, world: World) -> PodOutcome | None:
    """Drivers print Pi; the pod of spark-submit makes a driver; the shell Jobs print what they found."""
    metadata, api = pod["metadata"], world.api
    labels: dict[str, str] = metadata.get("labels") or {}
    name = labels.get("app.kubernetes.io/name", "")
    if api is None:
        return None
    container = pod["spec"]["containers"][0]
    if labels.get("spark-role") == "driver":
        return _drive(api, pod)
    if name == "kfinstall-spark-pi":
        mounts, event_log = _submitted(container["args"])
        api.put(driver(metadata["namespace"], name, {"kfinstall.io/proof": name}, mounts, event_log))
        return PodOutcome(log="LoggingPodStatusWatcherImpl: Application kfinstall-spark-pi finished\n")
    if name in ("spark-volume", "spark-event-log"):
        directory, word = container["command"][4:6]
        look = _make_directory if name == "spark-volume" else _look_for_log
        return look(api, pod, directory, word)
    return None


def _drive(api: SimApi, pod: Document) -> PodOutcome:
    """Write the event log where it is to be, if that directory is there, and print Pi."""
    namespace, labels = pod["metadata"]["namespace"], pod["metadata"]["labels"]
    directory = (pod["metadata"].get("annotations") or {}).get(EVENT_LOG, "")
    if directory.startswith(("/", "file:")):
        place = on_volume(pod, directory)
        if place is None or place[1] not in files(api, namespace, place[0]):
            return PodOutcome(log=_NO_DIRECTORY.format(directory=directory), exit_code=1)
        _write(api, namespace, place[0], f"{place[1]}/{labels.get('spark-app-selector', '')}")
    return PodOutcome(log=_DRIVER_LOG)


def _make_directory(api: SimApi, pod: Document, directory: str, wanted: str) -> PodOutcome:
    place = on_volume(pod, directory)
    if place is None:
        return PodOutcome(log=f"mkdir: can't create directory '{directory}': Read-only file system\n", exit_code=1)
    _write(api, pod["metadata"]["namespace"], *place)
    return PodOutcome(log=f"{directory} is {wanted}\n")


def _look_for_log(api: SimApi, pod: Document, directory: str, application: str) -> PodOutcome:
    place = on_volume(pod, directory)
    if place is None or f"{place[1]}/{application}" not in files(api, pod["metadata"]["namespace"], place[0]):
        return PodOutcome(log=f"no event log of {application} in {directory}:\n", exit_code=1)
    return PodOutcome(log=f"-rw-rw---- 1 185 185 128734 Mar 21 10:00 {directory}/{application}\n")

"""What the scripts of phase spark do to a simulated node, and what Spark's pods do in the simulated cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kfinstall.simulator.model import Document, PodOutcome, SimNode, World, effect, pod_hook


@effect("spark-image")
def image(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
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


@effect("spark-submit-script")
def submit_script(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Write the script."""
    path = parameters["PATH_NAME"]
    node.write(path, parameters["CONTENT"], 0o755)
    yield path
    yield f"{path} is there; try: {path} --help"


_DRIVER_LOG: Final = """26/03/21 10:00:00 INFO SparkContext: Running Spark version 3.5.2
26/03/21 10:00:04 INFO DAGScheduler: Job 0 finished: reduce at SparkPi.scala:38, took 1.612 s
Pi is roughly 3.141597
26/03/21 10:00:04 INFO SparkContext: Successfully stopped SparkContext
"""


def driver(namespace: str, name: str, labels: Mapping[str, str]) -> Document:
    """The pod of a driver as Spark makes it; it starts, prints Pi and ends."""
    own = {"spark-role": "driver", "spark-app-name": name, "spark-app-selector": f"spark-{name}"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-driver", "namespace": namespace, "labels": {**labels, **own}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "spark-kubernetes-driver", "image": "spark"}]},
    }


@pod_hook
def spark_pod(pod: Document, world: World) -> PodOutcome | None:
    """Drivers print Pi; the pod of spark-submit makes a driver; the shell Jobs print what they found."""
    metadata = pod["metadata"]
    labels: dict[str, str] = metadata.get("labels") or {}
    name = labels.get("app.kubernetes.io/name", "")
    if labels.get("spark-role") == "driver":
        return PodOutcome(log=_DRIVER_LOG)
    if name == "kfinstall-spark-pi" and world.api is not None:
        world.api.put(driver(metadata["namespace"], name, {"kfinstall.io/proof": name}))
        return PodOutcome(log="LoggingPodStatusWatcherImpl: Application kfinstall-spark-pi finished\n")
    if name == "spark-volume":
        return PodOutcome(log="/opt/spark/work-dir/logs is 185:185 2770\n")
    if name == "spark-event-log":
        return PodOutcome(log="-rw-rw---- 1 185 185 128734 Mar 21 10:00 /opt/spark/work-dir/logs/spark-kfinstall-spark-pi\n")
    return None


def operate(world: World) -> None:
    """What the Spark operator does: called whenever a SparkApplication or a pod has changed."""
    api = world.api
    if api is None:
        return
    for application in api.objects("sparkoperator.k8s.io/v1beta2", "SparkApplication"):
        metadata = application["metadata"]
        state = ((application.get("status") or {}).get("applicationState") or {}).get("state", "")
        if state in ("COMPLETED", "FAILED"):
            continue
        name, namespace = metadata["name"], metadata["namespace"]
        pod = api.get("v1", "Pod", f"{name}-driver", namespace)
        if pod is None:
            labels = ((application.get("spec") or {}).get("driver") or {}).get("labels") or {}
            api.put(driver(namespace, name, labels))
            wanted = "SUBMITTED"
        else:
            phase = (pod.get("status") or {}).get("phase", "Pending")
            wanted = {"Succeeded": "COMPLETED", "Failed": "FAILED", "Running": "RUNNING"}.get(phase, "SUBMITTED")
        if wanted != state:
            status = {"applicationState": {"state": wanted}, "driverInfo": {"podName": f"{name}-driver"}}
            api.put({**application, "status": status})

"""The applications that prove Spark: SparkPi as a SparkApplication of the operator, or by spark-submit in a Job. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from kfinstall.apply.stamp import LABELS
from kfinstall.kube.base import Document, NotReady, Ref
from kfinstall.parts.spark import place as spark_place
from kfinstall.parts.spark.place import SparkPlace

NAME: Final = "kfinstall-spark-pi"
LABEL: Final = "kfinstall.io/proof"
SELECTOR: Final = f"{LABEL}={NAME},spark-role=driver"
DRIVER: Final = "spark-kubernetes-driver"
"""The driver's container, as Spark calls it where no pod template does."""
CRD: Final = Ref("apiextensions.k8s.io/v1", "CustomResourceDefinition", "sparkapplications.sparkoperator.k8s.io")
_SLICES: Final = "20"
_RESULT: Final = re.compile(r"Pi is roughly (3\.[0-9]+)")


def application(place: SparkPlace) -> Document:
    """SparkPi for the operator. Its configuration is the submit script's."""
    settings = spark_place.configuration(place)
    body: dict[str, Any] = {
        "type": "Python" if place.custom_image else "Scala",
        "mode": "cluster",
        "image": place.image,
        "imagePullPolicy": "IfNotPresent",
        "mainApplicationFile": place.example[-1],
        "arguments": [_SLICES],
        "sparkVersion": place.version,
        "sparkConf": {key: value for key, value in settings.items() if not _by_field(key)},
        "restartPolicy": {"type": "Never"},
        "volumes": [{"name": spark_place.VOLUME, "persistentVolumeClaim": {"claimName": spark_place.VOLUME}}],
        "driver": {**_role(place), "serviceAccount": place.account},
        "executor": {**_role(place), "instances": 1},
    }
    if not place.custom_image:
        body["mainClass"] = place.example[1]
    if place.pull_secret:
        body["imagePullSecrets"] = [place.pull_secret]
    return {
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": NAME, "namespace": place.namespace, "labels": dict(LABELS)},
        "spec": body,
    }


def _by_field(key: str) -> bool:
    """Whether the operator takes it by a field of its own and refuses, or doubles, the setting."""
    return (
        ".volumes." in key
        or "sidecar.istio.io" in key
        or key.startswith(("spark.kubernetes.container.image", "spark.kubernetes.namespace"))
    )


def _role(place: SparkPlace) -> dict[str, Any]:
    sidecar = {"sidecar.istio.io/inject": "false"} if place.mesh else {}
    return {
        "cores": 1,
        "coreRequest": "250m",
        "memory": "512m",
        "labels": {LABEL: NAME, **sidecar},
        "annotations": sidecar,
        "volumeMounts": [{"name": spark_place.VOLUME, "mountPath": spark_place.MOUNT}],
    }


def submit_job(place: SparkPlace) -> Document:
    """SparkPi by spark-submit in cluster mode, run by a Job: what the submit script does."""
    settings = {**spark_place.configuration(place), f"spark.kubernetes.driver.label.{LABEL}": NAME, "spark.executor.instances": "1"}
    options = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
    sidecar = {"sidecar.istio.io/inject": "false"} if place.mesh else {}
    container = {
        "name": "spark-submit",
        "image": place.image,
        "command": ["/opt/spark/bin/spark-submit"],
        "args": [
            "--master",
            spark_place.IN_CLUSTER_MASTER,
            "--deploy-mode",
            "cluster",
            "--name",
            NAME,
            *options,
            *place.example,
            _SLICES,
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}},
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "serviceAccountName": place.account,
        "enableServiceLinks": False,
        "containers": [container],
    }
    if place.pull_secret:
        pod["imagePullSecrets"] = [{"name": place.pull_secret}]
    labels = {**LABELS, "app.kubernetes.io/name": NAME, **sidecar}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": NAME, "namespace": place.namespace, "labels": dict(LABELS)},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": labels, "annotations": sidecar}, "spec": pod}},
    }


def state(document: Document | None) -> tuple[str, str]:
    """State of a SparkApplication and the operator's error message."""
    current = ((document or {}).get("status") or {}).get("applicationState") or {}
    return str(current.get("state") or ""), str(current.get("errorMessage") or "")


def waiting(document: Document | None, pods: NotReady) -> NotReady | None:
    """What a SparkApplication still lacks; None once it has ended, well or not."""
    name, message = state(document)
    if name in ("COMPLETED", "FAILED", "SUBMISSION_FAILED", "INVALIDATING"):
        return None
    if not name:
        return NotReady(
            "the Spark operator has not looked at it yet", "is it running? kubectl -n kubeflow get pods | grep spark-operator"
        )
    return NotReady(f"{name} {message or pods.reason}".strip(), pods.hint)


def result(log: Iterable[str]) -> str:
    """The value of Pi in a driver's log; empty where it is not there."""
    return next((match[1] for line in log if (match := _RESULT.search(line))), "")

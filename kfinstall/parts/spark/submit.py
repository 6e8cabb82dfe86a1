"""The spark-submit script of a cluster: a fixed text, and before it whole values that are quoted for the shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any, Final

from kfinstall import resources
from kfinstall.parts.spark import place as spark_place
from kfinstall.parts.spark.place import SparkPlace

_MARK: Final = "# kfinstall values\n"


def render(place: SparkPlace) -> str:
    """The script's text."""
    labels = {"app.kubernetes.io/name": "spark-submit", **({"sidecar.istio.io/inject": "false"} if place.mesh else {})}
    pod: dict[str, Any] = {"serviceAccountName": place.account, "enableServiceLinks": False}
    if place.pull_secret:
        pod["imagePullSecrets"] = [{"name": place.pull_secret}]
    single = {
        "NAMESPACE": place.namespace,
        "ACCOUNT": place.account,
        "IMAGE": place.image,
        "MASTER": place.master,
        "IN_CLUSTER_MASTER": spark_place.IN_CLUSTER_MASTER,
        "VOLUME": spark_place.VOLUME,
        "MOUNT": spark_place.MOUNT,
        "LOGS": spark_place.LOGS,
        "WORK_DIR": spark_place.WORK_DIR,
        "CUSTOM_IMAGE": "yes" if place.custom_image else "no",
        "LABELS": ",".join(f"{key}={value}" for key, value in labels.items()),
        "OVERRIDES": json.dumps({"apiVersion": "v1", "spec": pod}),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in single.items()]
    lines.append(_array("EXAMPLE", place.example))
    lines.append(_array("CONFIGURATION", [f"{key}={value}" for key, value in spark_place.configuration(place).items()]))
    template = resources.asset("spark/kf-spark-submit.sh").read_text(encoding="utf-8")
    head, _mark, tail = template.partition(_MARK)
    return head + "\n".join(lines) + "\n" + tail


def _array(name: str, values: Sequence[str]) -> str:
    return f"{name}=(\n" + "".join(f"  {shlex.quote(value)}\n" for value in values) + ")"

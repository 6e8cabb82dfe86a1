"""kfinstall: from bare Ubuntu servers to a proven Kubernetes cluster with storage, a registry, Kubeflow and Spark."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"

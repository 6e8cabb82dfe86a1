"""What the part preflight keeps to; the unit is in the name."""

from __future__ import annotations

from typing import Final

MEND_CLOCK_SECONDS: Final = 60
PREFLIGHT_CPUS: Final = 2
"""kubeadm refuses a control plane with fewer."""
PREFLIGHT_CONTROL_PLANE_MEBIBYTES: Final = 1700
"""kubeadm refuses less."""
PREFLIGHT_CONTROL_PLANE_COMFORT_MEBIBYTES: Final = 3500
PREFLIGHT_WORKER_MEBIBYTES: Final = 900
PREFLIGHT_WORKER_COMFORT_MEBIBYTES: Final = 1800
PREFLIGHT_FREE_GIBIBYTES: Final = 5
"""For the images and logs of Kubernetes itself."""
PREFLIGHT_FREE_KUBEFLOW_GIBIBYTES: Final = 20
PREFLIGHT_FREE_COMFORT_GIBIBYTES: Final = 40
PREFLIGHT_FREE_MEMBER_PERCENT: Final = 10
"""Below it the kubelet of a running node soon evicts pods."""
PREFLIGHT_SKEW_WARNING_SECONDS: Final = 2.0
PREFLIGHT_SKEW_ERROR_SECONDS: Final = 60.0
"""A clock further off makes apt and TLS fail before it could be set."""
PREFLIGHT_KERNEL: Final = (5, 10)
"""What Calico asks for."""
PREFLIGHT_CGROUP_V2_MINOR: Final = (1, 35)
"""From here on the kubelet refuses cgroup version 1."""

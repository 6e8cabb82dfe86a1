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
NFS_PORT: Final = 2049
LATENCY_WRITES: Final = 250
LATENCY_SECONDS: Final = 2.0
"""The measuring ends with whichever comes first."""
LATENCY_BYTES: Final = 2300
"""About what etcd writes for one change."""
LATENCY_WARNING_MILLISECONDS: Final = 10
"""At the 99th percentile; etcd's own advice."""
LATENCY_ERROR_MILLISECONDS: Final = 100
"""etcd's heartbeat: leaders are lost."""
LATENCY_LEAST_WRITES: Final = 20
"""Fewer tell nothing of a 99th percentile; that few in two seconds are a disk that is too slow."""
NAMESERVERS: Final = 3
"""More are passed over by the resolver and refused by the kubelet."""
HUB_PULLS_ROOM: Final = 20
"""Pulls that should be left beside those that are needed."""
LVM_WORTH_BYTES: Final = 2**30
"""Less left in a volume group is not worth a line."""

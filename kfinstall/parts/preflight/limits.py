"""What the part preflight keeps to; the unit is in the name."""

from __future__ import annotations

from typing import Final

FIX_CLOCK_SECONDS: Final = 60
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
REACH_LISTEN_SECONDS: Final = 60
"""The listeners on the nodes end by themselves after that, whatever becomes of the installer."""
REACH_WAIT_MILLISECONDS: Final = 2500
"""Room for two repeats of a lost SYN; who does not answer until then does not."""
REACH_STREAM_MILLISECONDS: Final = 1000
REACH_UNWATCHED_MILLISECONDS: Final = 800
"""A half open connection that can't be answered is there for a second; who looked less often may have missed it."""
REACH_ASK_SECONDS: Final = 60
"""For one of its programs on a node, a slow login shell and a busy machine included."""
REACH_WHOLE_NODES: Final = 30
"""Up to so many nodes each is tried with each."""
REACH_NEIGHBOURS: Final = 4
"""Beyond it each with the control planes, the NFS server and the registry, and so many of its neighbours on either side."""
REACH_MTU_WARNING_BYTES: Final = 1280
"""Below it Calico's packets have less room than IPv6 asks of any network."""
REACH_ETCD_ROUND_TRIP_MILLISECONDS: Final = 50.0
"""Half of etcd's heartbeat interval: beyond it members lose each other under load."""
REACH_ROUND_TRIP_MILLISECONDS: Final = 100.0
REACH_MEGABITS_PER_SECOND: Final = 100.0
"""Below it images from the own registry and files over NFS take longer than most waits allow."""
VXLAN_BYTES: Final = {4: 50, 6: 70}
"""What VXLAN puts around a packet, by IP version of the nodes."""

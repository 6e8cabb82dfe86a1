"""What the part cluster keeps to; the unit is in the name."""

from __future__ import annotations

from typing import Final

RESET_KUBEADM_SECONDS: Final = 300
"""kubeadm reset stops every pod by the runtime, and waits for each."""
# What kubeadm waits for. Each is written into its configuration, so these are what it keeps to.
CLUSTER_CONTROL_PLANE_SECONDS: Final = 600
"""How long kubeadm waits for the control plane's pods."""
CLUSTER_API_CALL_SECONDS: Final = CLUSTER_CONTROL_PLANE_SECONDS
"""How long kubeadm repeats a call to the API server: its own minute ends an init on slow nodes, where the API server is up but not yet ready."""
CLUSTER_KUBELET_SECONDS: Final = 240
"""kubeadm's own: a kubelet is healthy in seconds or not at all."""
CLUSTER_DISCOVERY_SECONDS: Final = 300
CLUSTER_TLS_BOOTSTRAP_SECONDS: Final = 300
CLUSTER_ETCD_CALL_SECONDS: Final = 120
# What a step does beside that.
CLUSTER_IMAGES_SECONDS: Final = 1800
"""Pulling the control plane's images, some 250 MB, over a slow line."""
CLUSTER_API_PATIENCE_SECONDS: Final = 300
"""How long an API server that was stopped may take to answer again."""
CLUSTER_SPARE_SECONDS: Final = 60
"""For everything of a step that waits for nothing."""
# A call that is not answered in its time ends kubeadm, so one of them counts in full; etcd is called to add a member and to promote it.
CLUSTER_INIT_TIMEOUT_SECONDS: Final = float(
    RESET_KUBEADM_SECONDS
    + CLUSTER_IMAGES_SECONDS
    + CLUSTER_KUBELET_SECONDS
    + CLUSTER_CONTROL_PLANE_SECONDS
    + CLUSTER_API_CALL_SECONDS
    + CLUSTER_API_PATIENCE_SECONDS
    + CLUSTER_SPARE_SECONDS
)
CLUSTER_UPLOAD_TIMEOUT_SECONDS: Final = float(CLUSTER_API_CALL_SECONDS + CLUSTER_SPARE_SECONDS)
"""Putting the control plane's certificates into the cluster, before another control plane joins."""
CLUSTER_JOIN_TIMEOUT_SECONDS: Final = float(
    RESET_KUBEADM_SECONDS
    + CLUSTER_DISCOVERY_SECONDS
    + CLUSTER_IMAGES_SECONDS
    + CLUSTER_KUBELET_SECONDS
    + CLUSTER_TLS_BOOTSTRAP_SECONDS
    + 2 * CLUSTER_ETCD_CALL_SECONDS
    + CLUSTER_CONTROL_PLANE_SECONDS
    + CLUSTER_API_CALL_SECONDS
    + CLUSTER_SPARE_SECONDS
)
CLUSTER_TOKEN_SECONDS: Final = (
    RESET_KUBEADM_SECONDS
    + CLUSTER_DISCOVERY_SECONDS
    + CLUSTER_IMAGES_SECONDS
    + CLUSTER_API_CALL_SECONDS
    + CLUSTER_KUBELET_SECONDS
    + CLUSTER_TLS_BOOTSTRAP_SECONDS
)
"""A join token is deleted right after its join; the API server itself forgets it after this time. It is needed until the kubelet has a certificate."""
CLUSTER_NETWORK_TIMEOUT_SECONDS: Final = 1800.0
CLUSTER_READY_TIMEOUT_SECONDS: Final = 900.0
CLUSTER_PROOF_TIMEOUT_SECONDS: Final = 900.0
CLUSTER_API_SERVER_PORT: Final = 6443
CLUSTER_PROOF_PORT: Final = 8080
CLUSTER_PROOF_PEERS: Final = 3
"""How many other nodes each node's pod calls: all pairs of up to four nodes, a ring with chords in larger clusters."""

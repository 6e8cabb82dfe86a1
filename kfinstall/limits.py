"""Every number that reaches a user: one home each, with its unit in the name."""

from __future__ import annotations

from typing import Final

# texts
TEXT_LINE_CHARACTERS: Final = 4096
TEXT_CHARACTERS: Final = 65_536
"""Of one text in an event, an error or the journal, whoever said it."""
TEXT_ITEMS: Final = 10_000
"""Of one list in an event."""

# engine
FACTS_TIMEOUT_SECONDS: Final = 60.0
CLUSTER_READ_TIMEOUT_SECONDS: Final = 60.0
VERIFY_PATIENCE_SECONDS: Final = 60.0
"""How long a step's own check may still say 'not yet' after its script ended, for things that settle by themselves."""
VERIFY_INTERVAL_SECONDS: Final = 1.0
NODE_LOCK_HEARTBEAT_SECONDS: Final = 10.0
RUN_LOCK_GLANCE_SECONDS: Final = 0.5
"""How long a cluster's lock is tried again: longer than somebody needs who looks who holds it."""
RUN_FOLDER_LOCK_SECONDS: Final = 20.0
"""Several runs that begin at once wait for each other; each takes a few flushes of a disk."""
RECORD_TEXT_CHARACTERS: Final = 8000
"""Of each text of a run's record: what nodes and API servers said is in it."""
CHANGED_KEYS_LOOK_SECONDS: Final = 15.0
"""Once one host key has changed, how long it is found out which others have too."""

# mending
MEND_TIMEOUT_SECONDS: Final = 1200.0
MEND_CLOCK_SECONDS: Final = 60

# reset
RESET_LEAVE_TIMEOUT_SECONDS: Final = 900.0
RESET_KUBEADM_SECONDS: Final = 300
"""kubeadm reset stops every pod by the runtime, and waits for each."""
RESET_DATA_TIMEOUT_SECONDS: Final = 3600.0
RESET_PACKAGES_TIMEOUT_SECONDS: Final = 1200.0
RESET_FILES_TIMEOUT_SECONDS: Final = 600.0

# demo
DEMO_RECONNECT_SECONDS: Final = 15.0
DEMO_KEEPALIVE_SECONDS: Final = 2

# registry
REGISTRY_CA_DAYS: Final = 3650
REGISTRY_CERTIFICATE_DAYS: Final = 1825
REGISTRY_RENEW_BEFORE_SECONDS: Final = 60 * 86400
"""A certificate that ends within this time is renewed by the next run."""
REGISTRY_BCRYPT_ROUNDS: Final = 12

# spark
SPARK_IMAGE_TIMEOUT_SECONDS: Final = 3600.0
SPARK_VOLUME_TIMEOUT_SECONDS: Final = 600.0
SPARK_READY_TIMEOUT_SECONDS: Final = 900.0
SPARK_PROOF_TIMEOUT_SECONDS: Final = 1200.0
SPARK_USER_ID: Final = 185
"""User and group that Spark's images run as."""
SPARK_HISTORY_PORT: Final = 18080
SPARK_LOG_TAIL_LINES: Final = 500

# preflight
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

# transport
SSH_CONNECT_TIMEOUT_SECONDS: Final = 15.0
SSH_LOGIN_TIMEOUT_SECONDS: Final = 30.0
SSH_KEEPALIVE_SECONDS: Final = 15
SSH_KEEPALIVE_COUNT: Final = 4
SSH_RECONNECT_SECONDS: Final = 600.0
"""How long a node may stay away (reboot, cable) while a step runs on it."""
SSH_RECONNECT_INTERVAL_SECONDS: Final = 1.0
SSH_CHANNELS: Final = 6
"""sshd allows ten sessions in a connection (MaxSessions)."""
SSH_REFUSED_PATIENCE_SECONDS: Final = 6.0
"""How long a refused or dropped connection is tried again: sshd restarts, or sheds load."""
SSH_CHANNEL_TIMEOUT_SECONDS: Final = 20.0
SSH_CLOSE_TIMEOUT_SECONDS: Final = 5.0
SSH_LOGINS_AT_ONCE: Final = 10
"""sshd drops some of more logins that are in progress at the same time (MaxStartups 10:30:100)."""
SSH_KEYS_OFFERED: Final = 5
"""sshd ends a connection at the sixth failure (MaxAuthTries); one is left for the password."""
SUDO_TIMEOUT_SECONDS: Final = 30.0
NODE_GRACE_SECONDS: Final = 10.0
"""How much later than the node itself the installer ends a program that ran out of time."""
UNIT_STOP_TIMEOUT_SECONDS: Final = 60.0
STEP_SECRET_BYTES: Final = 60_000
"""The secret of a step goes through a FIFO's buffer (64 KiB)."""
OUTPUT_LINES_KEPT: Final = 10_000
UNIT_GRACE_SECONDS: Final = 60
"""After the installer's own limit systemd ends a unit that nobody follows any more."""
NODE_LOCK_STALE_SECONDS: Final = 60
"""A lock whose holder was not heard of for this long may be taken over."""

# kubeflow
KUBEFLOW_RENDER_TIMEOUT_SECONDS: Final = 1800.0
KUBEFLOW_BUNDLE_LARGEST_BYTES: Final = 200_000_000
KUBEFLOW_APPLY_TIMEOUT_SECONDS: Final = 7200.0
KUBEFLOW_AVAILABLE_TIMEOUT_SECONDS: Final = 3600.0
"""How long all workloads together may take; most of it is pulling some 50 images."""
KUBEFLOW_LEAVING_TIMEOUT_SECONDS: Final = 300.0
"""How long what was deleted, and is made anew, may take to be gone."""
KUBEFLOW_CERTIFICATE_TIMEOUT_SECONDS: Final = 180.0
KUBEFLOW_PROFILE_TIMEOUT_SECONDS: Final = 300.0
KUBEFLOW_PROOF_TIMEOUT_SECONDS: Final = 300.0
KUBEFLOW_GATEWAY_PATIENCE_SECONDS: Final = 60
"""How long the gateway may answer 503 though everything is available: istiod tells sidecars a little later where to send to."""
KUBEFLOW_FINALIZERS_SECONDS: Final = 300.0
"""How long controllers may take to clean up behind custom resources that are deleted."""
KUBEFLOW_LEAVING_SECONDS: Final = 600.0
"""How long everything else that is deleted may take to go: definitions and namespaces take all of theirs along."""
KUBEFLOW_UNINSTALL_TIMEOUT_SECONDS: Final = 1800.0
KUBEFLOW_PROOF_ROUTE_SECONDS: Final = 120
"""How long a route of the gateway to what is ready may take to get through to it."""
KUBEFLOW_PROOF_RUN_SECONDS: Final = 180
"""How long the pipelines' API may take to tell of the end of a workflow that has ended."""
KUBEFLOW_PROOF_NOTEBOOK_TIMEOUT_SECONDS: Final = 900.0
KUBEFLOW_PROOF_PIPELINE_TIMEOUT_SECONDS: Final = 1800.0
KUBEFLOW_PROOF_KATIB_TIMEOUT_SECONDS: Final = 1800.0
"""Most of it is pulling the image of the search algorithm."""
KUBEFLOW_PROOF_INFERENCE_TIMEOUT_SECONDS: Final = 900.0
KUBEFLOW_PROOF_HOPELESS_SECONDS: Final = 120.0
"""How long a proof goes on with a reason that waiting never ends."""
KUBEFLOW_PROOF_TRIAL_SECONDS: Final = 5
KUBEFLOW_PROOF_LOG_LINES: Final = 20
KUBEFLOW_NOTEBOOK_PORT: Final = 8888
KUBEFLOW_PREDICTOR_PORT: Final = 8080
KUBEFLOW_BCRYPT_ROUNDS: Final = 12
KUBEFLOW_NOTEBOOK_TIMEOUT_SECONDS: Final = 7200.0
"""Pulling the base image, fetching a few hundred packages and pushing it all, for each notebook image."""
KUBEFLOW_NOTEBOOK_FREE_GIBIBYTES: Final = 15
"""What building notebook images takes for a while."""

# rotate
ROTATE_TIMEOUT_SECONDS: Final = 3600.0
ROTATE_RESTART_SECONDS: Final = 600.0
"""How long one workload may take to start anew."""
ROTATE_SERVER_SECONDS: Final = 180.0

# prepare
PREPARE_INOTIFY_INSTANCES: Final = 2280
PREPARE_INOTIFY_WATCHES: Final = 1_255_360
"""What Kubeflow's README asks for; Ubuntu has 128 instances."""
PREPARE_OPEN_FILES: Final = 1_048_576
PREPARE_LISTS_AGE_SECONDS: Final = 86400
"""Package lists younger than this are fresh enough."""
PREPARE_PACKAGES_TIMEOUT_SECONDS: Final = 1800.0
PREPARE_DOCKER_MAJOR: Final = 23
"""cri-dockerd speaks Docker's API 1.42 and newer."""

# cluster
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

# storage
STORAGE_NODE_TIMEOUT_SECONDS: Final = 900.0
STORAGE_PROVISIONER_TIMEOUT_SECONDS: Final = 900.0
STORAGE_PROOF_TIMEOUT_SECONDS: Final = 600.0
STORAGE_MOUNT_TIMEOUT_SECONDS: Final = 60
"""How long a test mount may take before the server counts as out of reach."""
STORAGE_TRY_TIMEOUT_SECONDS: Final = 8
"""How long a server that is only tried, while the form is filled in, may take to answer."""
STORAGE_USER_ID: Final = 65534
"""Who the proof's pods run as: nobody, as a volume's user usually is not root."""
STORAGE_POLICY_TRIES: Final = 20
"""How often a pod tries to reach the NFS server, two seconds apart, until Calico has the policy in force."""
STORAGE_SERVER_ADDRESSES: Final = 16
"""How many addresses of the NFS server's name are taken from one node."""

# The interactive front end.
ENGINE_CLOSE_SECONDS: Final = 10.0
"""How long what runs in the engine's thread may take to clean up when the program is left."""
JSONL_FLUSH_SECONDS: Final = 0.02
SCREEN_REFRESH_SECONDS: Final = 0.05
"""How often what happened is shown: twenty times a second."""
SCREEN_FLOOD_SECONDS: Final = 0.2
"""A log that moves too fast to be read is drawn this often."""
SCREEN_CLOCK_SECONDS: Final = 0.25
"""Times that run on the screens are drawn anew this often, where nothing else changes."""
SCREEN_SWITCH_SECONDS: Final = 0.0005
"""How long the engine's thread may compute before the interface gets its turn (Python's own: 0.005)."""
SCREEN_GARBAGE_THRESHOLDS: Final = (2_000, 10, 100)
"""Objects and collections between collections of the three generations (Python's own: 700, 10, 10)."""
SCREEN_EVENTS_AT_ONCE: Final = 4000
"""Events that one refresh takes; the rest waits for the next."""
RECHECK_SECONDS: Final = 5.0
"""How often the preflight screen looks again at what is red."""
LOOK_AFTER_SECONDS: Final = 0.5
"""How long after the last key a server is tried again."""
DRAFT_SAVE_SECONDS: Final = 0.4
"""How long after the last key the draft is written."""
DEMO_NODES_AT_MOST: Final = 100

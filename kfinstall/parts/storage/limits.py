"""What the part storage keeps to; the unit is in the name."""

from __future__ import annotations

from typing import Final

STORAGE_NODE_TIMEOUT_SECONDS: Final = 900.0
STORAGE_PROVISIONER_TIMEOUT_SECONDS: Final = 900.0
STORAGE_PROOF_TIMEOUT_SECONDS: Final = 600.0
STORAGE_MOUNT_TIMEOUT_SECONDS: Final = 60
"""How long a test mount may take before the server counts as out of reach."""
STORAGE_USER_ID: Final = 65534
"""Who the proof's pods run as: nobody, as a volume's user usually is not root."""
STORAGE_POLICY_TRIES: Final = 20
"""How often a pod tries to reach the NFS server, two seconds apart, until Calico has the policy in force."""
STORAGE_SERVER_ADDRESSES: Final = 16
"""How many addresses of the NFS server's name are taken from one node."""

"""Every number that reaches a user: one home each, with its unit in the name."""

from __future__ import annotations

from typing import Final

# engine
FACTS_TIMEOUT_SECONDS: Final = 60.0
CLUSTER_READ_TIMEOUT_SECONDS: Final = 60.0
VERIFY_PATIENCE_SECONDS: Final = 60.0
"""How long a step's own check may still say 'not yet' after its script ended, for things that settle by themselves."""
VERIFY_INTERVAL_SECONDS: Final = 1.0
NODE_LOCK_HEARTBEAT_SECONDS: Final = 10.0

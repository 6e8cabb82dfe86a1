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

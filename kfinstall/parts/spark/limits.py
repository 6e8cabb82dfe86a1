"""What the part spark keeps to; the unit is in the name."""

from __future__ import annotations

from typing import Final

SPARK_IMAGE_TIMEOUT_SECONDS: Final = 3600.0
SPARK_VOLUME_TIMEOUT_SECONDS: Final = 600.0
SPARK_READY_TIMEOUT_SECONDS: Final = 900.0
SPARK_PROOF_TIMEOUT_SECONDS: Final = 1200.0
SPARK_USER_ID: Final = 185
"""User and group that Spark's images run as."""
SPARK_HISTORY_PORT: Final = 18080
SPARK_LOG_TAIL_LINES: Final = 500

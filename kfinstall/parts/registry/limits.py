"""What the part registry keeps to; the unit is in the name."""

from __future__ import annotations

from typing import Final

REGISTRY_CA_DAYS: Final = 3650
REGISTRY_CERTIFICATE_DAYS: Final = 1825
REGISTRY_RENEW_BEFORE_SECONDS: Final = 60 * 86400
"""A certificate that ends within this time is renewed by the next run."""
REGISTRY_BCRYPT_ROUNDS: Final = 12

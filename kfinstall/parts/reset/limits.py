"""What the part reset keeps to; the unit is in the name."""

from __future__ import annotations

from typing import Final

RESET_LEAVE_TIMEOUT_SECONDS: Final = 900.0
RESET_DATA_TIMEOUT_SECONDS: Final = 3600.0
RESET_PACKAGES_TIMEOUT_SECONDS: Final = 1200.0
RESET_FILES_TIMEOUT_SECONDS: Final = 600.0

"""What sending objects keeps to; the unit is in the name."""

from __future__ import annotations

from typing import Final

KUBEFLOW_LEAVING_TIMEOUT_SECONDS: Final = 300.0
"""How long what was deleted, and is made anew, may take to be gone."""

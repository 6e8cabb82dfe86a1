"""What the part prepare keeps to; the unit is in the name."""

from __future__ import annotations

from typing import Final

PREPARE_INOTIFY_INSTANCES: Final = 2280
PREPARE_INOTIFY_WATCHES: Final = 1_255_360
"""What Kubeflow's README asks for; Ubuntu has 128 instances."""
PREPARE_OPEN_FILES: Final = 1_048_576
PREPARE_LISTS_AGE_SECONDS: Final = 86400
"""Package lists younger than this are fresh enough."""
PREPARE_PACKAGES_TIMEOUT_SECONDS: Final = 1800.0
PREPARE_DOCKER_MAJOR: Final = 23
"""cri-dockerd speaks Docker's API 1.42 and newer."""

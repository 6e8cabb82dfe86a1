"""What the screens keep to; the unit is in the name."""

from __future__ import annotations

from typing import Final

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
LOOK_AFTER_SECONDS: Final = 0.5
"""How long after the last key a server is tried again."""
DRAFT_SAVE_SECONDS: Final = 0.4
"""How long after the last key the draft is written."""

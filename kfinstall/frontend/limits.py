"""What a front end keeps to; the unit is in the name."""

from __future__ import annotations

from typing import Final

DEMO_RECONNECT_SECONDS: Final = 15.0
DEMO_KEEPALIVE_SECONDS: Final = 2
STORAGE_TRY_TIMEOUT_SECONDS: Final = 8
"""How long a server that is only tried, while the form is filled in, may take to answer."""
ENGINE_CLOSE_SECONDS: Final = 10.0
"""How long what runs in the engine's thread may take to clean up when the program is left."""
SCREEN_EVENTS_AT_ONCE: Final = 4000
"""Events that one refresh takes; the rest waits for the next."""
RECHECK_SECONDS: Final = 5.0
"""How often the preflight screen looks again at what is red."""
DEMO_NODES_AT_MOST: Final = 100

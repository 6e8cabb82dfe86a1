"""What a run keeps to, whatever it is about; the unit is in the name."""

from __future__ import annotations

from typing import Final

FACTS_TIMEOUT_SECONDS: Final = 60.0
CLUSTER_READ_TIMEOUT_SECONDS: Final = 60.0
VERIFY_PATIENCE_SECONDS: Final = 60.0
"""How long a step's own check may still say 'not yet' after its script ended, for things that settle by themselves."""
VERIFY_INTERVAL_SECONDS: Final = 1.0
RUN_LOCK_GLANCE_SECONDS: Final = 0.5
"""How long a cluster's lock is tried again: longer than somebody needs who looks who holds it."""
RUN_FOLDER_LOCK_SECONDS: Final = 20.0
"""Several runs that begin at once wait for each other; each takes a few flushes of a disk."""
RECORD_TEXT_CHARACTERS: Final = 8000
"""Of each text of a run's record: what nodes and API servers said is in it."""
CHANGED_KEYS_LOOK_SECONDS: Final = 15.0
"""Once one host key has changed, how long it is found out which others have too."""
FIX_TIMEOUT_SECONDS: Final = 1200.0
JSONL_FLUSH_SECONDS: Final = 0.02

"""What an inventory may be at most; the unit is in the name."""

from __future__ import annotations

from typing import Final

LARGEST_BYTES: Final = 1 << 20
MOST_SERVERS: Final = 5000
"""What Kubernetes itself is made for."""
MOST_YAML_VALUES: Final = 200_000
"""Counted with what aliases stand for: a text of a few lines can mean billions."""
DEEPEST_LEVELS: Final = 40
MOST_GROUPS: Final = 1000
LONGEST_LINE_CHARACTERS: Final = 4096
MOST_LEFT_LINES: Final = 1000
LONGEST_WORD_CHARACTERS: Final = 80
"""Of somebody else's text in a line of ours."""
MOST_PLACES: Final = 6
"""Line numbers that one reason names before it says how many more there are."""
MOST_VARIABLE_FILES: Final = 200
"""Of Ansible's group_vars and host_vars, which are looked into for logins."""
MOST_JUMP_HOSTS: Final = 8
"""On the way to one server."""
MOST_PATTERNS: Final = 500
"""Of an ssh_config's Host lines, each of which is tried on each name."""
MOST_FENCES: Final = 20
"""Blocks between ``` marks that are looked into."""
MOST_TITLE_LINES: Final = 10
"""Above the heading of a table."""
MOST_JOINED_LINES: Final = 10
"""That one quoted cell, or one command, goes on over."""

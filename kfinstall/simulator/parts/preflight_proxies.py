"""Section proxies of a simulated node: what its /etc/environment names."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.simulator.nodes.lines import pair, text_of
from kfinstall.simulator.nodes.model import SimNode

_FILE: Final = "/etc/environment"
_LINE: Final = re.compile(r"\s*((?:https?|all|no)_proxy)=\"?([^\"]*)\"?\s*$", re.IGNORECASE)


def render(node: SimNode) -> str:
    """Print what scripts/preflight/facts-proxies.sh does."""
    found = [match for line in text_of(node, _FILE).splitlines() if (match := _LINE.match(line))]
    return "".join(pair("proxy", f"{match[1].lower()} {match[2]} {_FILE}") for match in found)

"""Section hardware of a simulated node."""

from __future__ import annotations

from typing import Final

from kfinstall.simulator.nodes.lines import pair
from kfinstall.simulator.nodes.model import SimNode

_FLAGS: Final = (
    "fpu lm sse2 pni ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt aes xsave avx f16c rdrand hypervisor lahf_lm abm bmi1 avx2 bmi2"
)


def render(node: SimNode) -> str:
    """Print what scripts/facts/machine.sh does."""
    return pair("cpus", node.cpus) + pair("flags", _FLAGS) + pair("memory_kib", node.memory_bytes // 1024)

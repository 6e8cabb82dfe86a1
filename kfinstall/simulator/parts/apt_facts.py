"""Section apt-files of a simulated node."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.simulator.nodes.lines import pair, text_of
from kfinstall.simulator.nodes.model import SimNode

_FILE: Final = re.compile(r"/etc/apt/sources\.list(\.d/[A-Za-z0-9_.-]+\.(list|sources))?")
_FINGERPRINT: Final = re.compile(r"\b[0-9A-F]{40}\b")
_KEY: Final = re.compile(r"/[^\s,\[\]=]*\.(?:gpg|asc|pgp|kbx)(?![^\s,\]])")


def _lines(text: str) -> str:
    return "".join(f"line\t{line.rstrip(chr(13))}\n" for line in text.splitlines())


def render(node: SimNode) -> str:
    """Print what scripts/preflight/facts-apt.sh does."""
    output, keys = "", set[str]()
    for path in sorted(path for path in node.files if _FILE.fullmatch(path)):
        text = text_of(node, path)
        output += f"file\t{node.files[path].sha256}\t{path}\n{_lines(text)}"
        keys |= {key for line in text.splitlines() if not line.startswith("#") for key in _KEY.findall(line)}
    for key in sorted(keys):
        file = node.files.get(key)
        form = "missing" if file is None else "binary" if file.mode & 0o4 else "binary,unreadable"
        prints = ",".join(_FINGERPRINT.findall((file.content or "") if file is not None else "")) or "-"
        output += f"key\t{form}\t{-1 if file is None else 0}\t{prints}\t{key}\n"
    for path in sorted(path for path in node.files if re.fullmatch(r"/etc/apt/preferences(\.d/[A-Za-z0-9_-]+(\.pref)?)?", path)):
        output += pair("pins", path) + _lines(text_of(node, path))
    return output + "".join(pair("loose", name) for name in node.loose)

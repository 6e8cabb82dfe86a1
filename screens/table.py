"""The table of screens: name on the rail to class. Adding a screen is one module and one line here."""

from __future__ import annotations

from typing import Final

from screens.part import BaseScreen
from screens.storage import StorageScreen

SCREENS: Final[dict[str, type[BaseScreen]]] = {
    "storage": StorageScreen,
}

"""The table of screens: name on the rail to class. Adding a screen is one module and one line here."""

from __future__ import annotations

from typing import Final

from screens.part import BaseScreen
from screens.review import ReviewScreen
from screens.storage import StorageScreen
from screens.welcome import WelcomeScreen

SCREENS: Final[dict[str, type[BaseScreen]]] = {
    "welcome": WelcomeScreen,
    "storage": StorageScreen,
    "review": ReviewScreen,
}

"""How states look: glyph, word and colour together, always; three themes whose colours can be told apart and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from textual.app import App
from textual.driver import Driver
from textual.theme import Theme

if TYPE_CHECKING:
    from kfinstall.frontend.runview import State


class Look(NamedTuple):
    """A state's glyph, its form where only ASCII can be shown, its word, and the theme's colour for it."""

    glyph: str
    plain: str
    word: str
    style: str
    """Component class: look--good, look--bad, look--warn, look--busy, look--quiet."""


LOOKS: Final[dict[State, Look]] = {
    "waiting": Look("○", ".", "waiting", "look--quiet"),
    "running": Look("◐", ">", "running", "look--busy"),
    "done": Look("●", "+", "done", "look--good"),
    "unchanged": Look("✓", "=", "as it was", "look--good"),
    "warning": Look("▲", "!", "warning", "look--warn"),
    "failed": Look("✗", "x", "failed", "look--bad"),
    "interrupted": Look("◍", "~", "stopped", "look--warn"),
    "skipped": Look("·", "-", "skipped", "look--quiet"),
}
LOOK_STATES: Final[dict[str, State]] = {"incomplete": "waiting", "looking": "running", "good": "done", "failed": "failed"}
"""Stages of kfinstall.frontend.probes.Probe as states."""
STYLES: Final = ("look--good", "look--bad", "look--warn", "look--busy", "look--quiet", "look--strong")
"""Component classes that line widgets share."""

DARK: Final = Theme(
    name="kfinstall-dark",
    primary="#7aa2f7",
    secondary="#9ece6a",
    accent="#7dcfff",
    foreground="#d5dcf5",
    background="#14161f",
    surface="#1b1e2b",
    panel="#242838",
    success="#8fd16a",
    warning="#e8b45c",
    error="#ff7a8a",
    dark=True,
    variables={"quiet": "#9aa3c4", "busy": "#7dcfff", "input-selection-background": "#3b4670"},
)
LIGHT: Final = Theme(
    name="kfinstall-light",
    primary="#1f4fbf",
    secondary="#2f6b1f",
    accent="#0b6480",
    foreground="#1b2030",
    background="#fbfbfd",
    surface="#f1f3f8",
    panel="#e4e8f1",
    success="#24691a",
    warning="#7d4e00",
    error="#b3122d",
    dark=False,
    variables={"quiet": "#545c70", "busy": "#0b5c76"},
)
CONTRAST: Final = Theme(
    name="kfinstall-contrast",
    primary="#ffffff",
    secondary="#ffff00",
    accent="#00ffff",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    success="#00ff00",
    warning="#ffff00",
    error="#ff9d9d",
    dark=True,
    variables={"quiet": "#e0e0e0", "busy": "#00ffff", "border": "#ffffff"},
)
THEMES: Final = (DARK, LIGHT, CONTRAST)
OWN_THEMES: Final = {theme.name: theme for theme in THEMES}
"""By name."""


ASCII: Final[dict[int, str]] = str.maketrans(
    {
        **{look.glyph: look.plain for look in LOOKS.values()},
        **dict.fromkeys("▌▐▊▎▍▋▉▏▕│┃", "|"),
        **dict.fromkeys("▔─━", "-"),
        **dict.fromkeys("╭╮╰╯┌┐└┘┏┓┗┛", "+"),
        **dict.fromkeys("▁▂▃▄▅▆▇▀", " "),
        **dict(zip("█░▼▲←→↑↓·…—", "#.v!<>^v-~-", strict=True)),
    }
)
"""What stands for the characters that the screens and Textual draw with, where only ASCII can be shown; each as wide as its own."""


def ascii_only(driver: type[Driver]) -> type[Driver]:
    """A driver of a terminal that can show ASCII only: borders, scrollbars and whatever a widget draws with become ASCII on their way out."""

    class AsciiDriver(driver):  # type: ignore[valid-type,misc]  # which driver it is depends on the platform
        def write(self, data: str) -> None:
            super().write(data.translate(ASCII))

    return AsciiDriver


def begin_with(app: App[Any], theme: Theme) -> None:
    """Take a registered theme before anything is drawn: to set it as later ones are makes every style be read twice."""
    app.set_reactive(App.theme, theme.name)
    app.set_class(True, f"-theme-{theme.name}", update=False)
    app.set_class(theme.dark, "-dark-mode", update=False)
    app.set_class(not theme.dark, "-light-mode", update=False)
    # Shades of a colour are one where there are sixteen: what has the focus is shown the other way round.
    app.set_class(app.console.color_system in ("standard", "windows"), "-few-colours", update=False)
    app.stylesheet.set_variables(app.get_css_variables())

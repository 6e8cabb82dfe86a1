"""The container registry: which server, which port, TLS and login or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

from kfinstall.answers import types
from kfinstall.facts.model import Facts
from screens.form import row
from screens.part import PartScreen

_NOTEBOOK_GIBIBYTES: Final = 6
"""A notebook image, more or less; layers that images share are stored once."""


class RegistryScreen(PartScreen):
    """The registry part."""

    name_on_rail: ClassVar[str] = "registry"
    title_on_bar: ClassVar[str] = "Registry"
    sections: ClassVar[tuple[str, ...]] = ("registry",)
    about: ClassVar[str] = (
        "A registry in the cluster keeps the images that you build. Every server is told of it; one image is pushed and pulled from each."
    )
    help_text: ClassVar[str] = (
        "With TLS the registry signs its certificate by a CA of its own, which every server is given, and asks for a login.\n"
        "insecure is plain HTTP without a login: anybody on the network can replace an image."
    )

    @override
    def form(self) -> Iterable[Widget]:
        draft = self.app.controller.draft
        yield row(draft, "registry.enabled", "Set a registry up")
        yield Vertical(
            row(draft, "registry.node", "Server", hint="the first control plane"),
            row(draft, "registry.port", "Port"),
            row(draft, "registry.insecure", "Plain HTTP, no login"),
            Vertical(
                row(draft, "registry.user", "User"),
                row(draft, "registry.password", "Password"),
                id="registry-login",
                classes="group",
            ),
            row(draft, "registry.directory", "Directory"),
            row(draft, "registry.minimumFree", "Free space wanted"),
            Static("", id="registry-meaning", classes="about", markup=False),
            id="registry-rows",
            classes="group",
        )

    @override
    def refresh_form(self) -> None:
        draft = self.controller.draft
        self.query_one("#registry-rows").display = bool(draft.get(("registry", "enabled")))
        insecure = bool(draft.get(("registry", "insecure")))
        self.query_one("#registry-login").display = not insecure
        lines = ["▲ Plain HTTP: anybody on the network can replace an image."] if insecure else []
        name = draft.get(("registry", "node")) or next((str(node.get("name")) for node in draft.nodes), "")
        directory, wanted = (str(draft.get(("registry", key))) for key in ("directory", "minimumFree"))
        lines.append(space_forecast(self.controller.facts.get(name), name, directory, wanted))
        self.query_one("#registry-meaning", Static).update(Content("\n".join(line for line in lines if line)))

    @override
    def why_not(self) -> str:
        return super().why_not() if self.controller.draft.get(("registry", "enabled")) else "the registry is switched off"


def space_forecast(facts: Facts | None, node: str, directory: str, wanted: str) -> str:
    """How much room a server has for images, as far as it is known, and whether that is as much as is wanted."""
    if facts is None:
        return f"How much room {node} has is known once it was looked at (screen Nodes)." if node else ""
    space = facts.space.get(directory)
    if space is None:
        return ""
    free = space.free_bytes / 2**30
    try:
        short = space.free_bytes < types.size_bytes(wanted)
    except ValueError:
        short = False
    verdict = (
        f"✗ {node} has {free:.0f} GiB free there, less than the {wanted} wanted."
        if short
        else f"✓ {node} has {free:.0f} GiB free there."
    )
    return f"{verdict} Spark's image takes about 1.5 GiB, a notebook image 3 to 8 GiB: room for about {free / _NOTEBOOK_GIBIBYTES:.0f} of them."

"""What all of it stands on: release and versions, runtime, networks, proxy, and what this computer has and lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from textual import work
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

from kfinstall import releases
from kfinstall.errors import KfError
from kfinstall.frontend import computer, proposals
from screens.choices import ChoiceRow
from screens.form import row
from screens.part import PartScreen


class PrerequisitesScreen(PartScreen):
    """The prerequisites part."""

    name_on_rail: ClassVar[str] = "prerequisites"
    title_on_bar: ClassVar[str] = "Prerequisites"
    sections: ClassVar[tuple[str, ...]] = ("cluster", "proxy")
    about: ClassVar[str] = "Versions, networks and the way out. Everything has a good default; this part prepares the servers."
    help_text: ClassVar[str] = (
        "A release is one row of a matrix: versions that were made for each other. Only Kubernetes versions that it supports can be chosen.\n"
        "Pod and Service networks must not overlap each other or the servers' network; a proposal is shown where they do.\n"
        "Running this part checks the servers and prepares them: packages, swap, kernel modules, container runtime, Kubernetes packages."
    )

    @override
    def form(self) -> Iterable[Widget]:
        draft = self.app.controller.draft
        yield row(draft, "cluster.name", "Name")
        yield ChoiceRow(draft, ("cluster", "release"), "Release", _releases(), more_help=_refused())
        yield ChoiceRow(draft, ("cluster", "kubernetesVersion"), "Kubernetes", _versions(str(draft.get(("cluster", "release")))))
        yield Static("", id="release-note", classes="about", markup=False)
        yield row(draft, "cluster.runtime", "Container runtime")
        yield row(draft, "cluster.podCIDR", "Pod network")
        yield row(draft, "cluster.serviceCIDR", "Service network")
        yield Static("", id="cidr-note", classes="about", markup=False)
        yield row(draft, "cluster.apiEndpoint", "API endpoint", hint="only with several control planes")
        yield Static(Content("Proxy of the servers"), classes="heading")
        yield row(draft, "proxy.http", "http", hint="none")
        yield row(draft, "proxy.https", "https", hint="none")
        yield row(draft, "proxy.noProxy", "Direct", hint="nodes, pods and Services always go direct")
        yield Static(Content("This computer"), classes="heading")
        yield Static("", id="computer", classes="about", markup=False)

    @override
    def on_mount(self) -> None:
        self._look_at_computer()

    @work(exclusive=True, group="computer")
    async def _look_at_computer(self) -> None:
        found = await asyncio.to_thread(computer.look, self.app.state_root, self.controller.environ)
        marks = {True: "+" if self.app.plain else "✓", False: "!" if self.app.plain else "▲"}
        self.query_one("#computer", Static).update(Content("\n".join(f"{marks[item.good]} {item.text}" for item in found)))

    @override
    def refresh_form(self) -> None:
        draft = self.controller.draft
        name = str(draft.get(("cluster", "release")))
        versions = self.query_one("#row-cluster-kubernetesVersion", ChoiceRow)
        versions.offer(_versions(name))
        self.query_one("#release-note", Static).update(Content(_release_note(name)))
        addresses = [str(node.get("address", "")) for node in draft.nodes]
        note = proposals.note(
            str(draft.get(("cluster", "podCIDR"))),
            str(draft.get(("cluster", "serviceCIDR"))),
            addresses,
            list(self.controller.facts.values()),
        )
        self.query_one("#cidr-note", Static).update(Content(note))


def _releases() -> list[tuple[str, str]]:
    """(shown, value) of every release that may be chosen."""
    found = []
    for name in releases.names():
        release = releases.load(name)
        if not release.refused:
            found.append((f"{name}  {release.title}", name))
    return found


def _versions(release: str) -> list[tuple[str, str]]:
    """(shown, value) of the Kubernetes versions that a release supports."""
    try:
        row_of = releases.load(release).kubernetes
    except KfError:
        return []
    if row_of is None:
        return []
    return [(f"{patch}{'  (default)' if patch == row_of.default else ''}", minor) for minor, patch in row_of.patches.items()]


def _release_note(name: str) -> str:
    try:
        release = releases.load(name)
    except KfError as error:
        return f"✗ {error.message}"
    if release.refused:
        return f"✗ {name}: {release.refused}" + (f"; take {release.instead}" if release.instead else "")
    if release.kubernetes is None:
        return ""
    return f"Supports Kubernetes {release.kubernetes.minimum} to {release.kubernetes.maximum}; others can't be chosen. Why older releases are not offered: F1 on Release."


def _refused() -> str:
    """Why releases are not offered, one line each."""
    found = {name: releases.load(name) for name in releases.names()}
    lines = [
        f"{name}: {release.refused}" + (f" Take {release.instead}." if release.instead else "")
        for name, release in found.items()
        if release.refused
    ]
    return "\nNot offered:\n" + "\n".join(lines) if lines else ""

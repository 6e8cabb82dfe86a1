"""Kubeflow: which components, what each costs against what the servers have, who logs in, and how browsers reach it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final, get_args

from textual import on
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import SelectionList, Static
from textual.widgets.selection_list import Selection
from typing_extensions import override

from kfinstall import releases
from kfinstall.answers.model import Proof
from kfinstall.errors import KfError
from kfinstall.parts.preflight import fit
from kfinstall.parts.preflight.fit import Amount, Fit
from kfinstall.releases import KubeflowRow
from screens.choices import ChoiceRow
from screens.form import Row, row
from screens.part import PartScreen

_PROOFS: Final = {
    "notebooks": "start a notebook and open it",
    "pipelines": "run a pipeline",
    "katib": "run an experiment of two trials",
    "kserve": "start an InferenceService and ask it",
}
_OWN: Final = "own"
_HEAD: Final = f"    {'':<21} {'pods':>4} {'CPU':>4} {'GiB':>4} {'vol.':>4} {'images':>6}"


class PresetRow(ChoiceRow):
    """The presets of the release, or what is ticked below."""

    @override
    def current(self) -> str:
        given = self.draft.get(self.key)
        return given if isinstance(given, str) else _OWN

    @override
    def selected(self, choice: str | None) -> None:
        # An own choice is made by ticking; that it is one shows by itself.
        if choice is not None and choice != _OWN:
            self.take(choice)


class KubeflowScreen(PartScreen):
    """The Kubeflow part."""

    name_on_rail: ClassVar[str] = "kubeflow"
    title_on_bar: ClassVar[str] = "Kubeflow"
    sections: ClassVar[tuple[str, ...]] = ("kubeflow",)
    about: ClassVar[str] = "Choose a preset, or tick components: what others need is ticked with them and can't be taken out alone."
    help_text: ClassVar[str] = (
        "mini: dashboard and notebooks. standard: pipelines, Katib, KServe, training and more. full: everything of the release.\n"
        "Costs are what the pods request (CPU, GiB of memory), GiB of volumes, and how many images are pulled (about 20 GiB for standard).\n"
        "port-forward opens nothing on the servers; nodePort and loadBalancer do, and need TLS."
    )

    def __init__(self) -> None:
        """Lists are filled when the release is known."""
        super().__init__()
        self._row: KubeflowRow | None = None
        self._filling = False
        self._listed: tuple[str, ...] = ()
        self._provable: tuple[tuple[str, bool], ...] = ()
        self._images: list[tuple[str, str, bool, bool]] = []
        """(name, what it says, ticked, can't be ticked) of each notebook image as it is listed."""

    @override
    def form(self) -> Iterable[Widget]:
        draft = self.app.controller.draft
        self._load()
        yield row(draft, "kubeflow.enabled", "Install Kubeflow")
        yield Vertical(
            PresetRow(draft, ("kubeflow", "components"), "Components", _presets(self._row)),
            Static("", id="kubeflow-fit", classes="about", markup=False),
            Static(Content(_HEAD), id="components-head", markup=False),
            SelectionList[str](id="components"),
            row(draft, "kubeflow.notebookImages", "Notebook images", hint="built for the own registry"),
            SelectionList[str](id="notebook-images"),
            Static(Content("User"), classes="heading"),
            row(draft, "kubeflow.user.email", "E-mail"),
            row(draft, "kubeflow.user.password", "Password"),
            Static(Content("Access"), classes="heading"),
            row(draft, "kubeflow.access.type", "Kind"),
            row(draft, "kubeflow.access.nodePort", "Node port"),
            row(draft, "kubeflow.access.hostName", "Host name", hint="the first control plane's address"),
            row(draft, "kubeflow.tls.enabled", "TLS"),
            row(draft, "kubeflow.tls.certificate", "Certificate (PEM)", hint="an own CA signs one"),
            row(draft, "kubeflow.tls.key", "Its key (PEM)"),
            row(draft, "kubeflow.bundle", "Offline bundle", hint="rendered on the first control plane"),
            Static(Content("Proofs after the login"), classes="heading"),
            row(draft, "kubeflow.proofs", "Components", hint="none: the login alone"),
            SelectionList[str](id="proofs"),
            id="kubeflow-rows",
            classes="group",
        )

    @property
    def chosen(self) -> tuple[str, ...]:
        """The chosen components, in the release's order."""
        if self._row is None:
            return ()
        given = self.controller.draft.get(("kubeflow", "components"))
        names = self._row.presets.get(given, ()) if isinstance(given, str) else given
        return tuple(fit.chosen_order(self._row.components, names))

    def _load(self) -> None:
        try:
            self._row = releases.load(str(self.controller.draft.get(("cluster", "release")))).kubeflow
        except KfError:
            self._row = None

    @override
    def refresh_form(self) -> None:
        self._load()
        draft = self.controller.draft
        self.query_one("#kubeflow-rows").display = bool(draft.get(("kubeflow", "enabled")))
        kind = draft.get(("kubeflow", "access", "type"))
        self.query_one("#row-kubeflow-access-nodePort", Row).display = kind == "nodePort"
        self.query_one("#row-kubeflow-access-hostName", Row).display = kind != "port-forward"
        tls = bool(draft.get(("kubeflow", "tls", "enabled")))
        for name in ("certificate", "key"):
            self.query_one(f"#row-kubeflow-tls-{name}", Row).display = tls
        presets = self.query_one("#row-kubeflow-components", PresetRow)
        presets.offer(_presets(self._row))
        presets.show_choice(presets.current())
        self._fill()
        self._fill_proofs()
        self._fill_images()
        self.query_one("#kubeflow-fit", Static).update(Content("\n".join(_fit_lines(self.judge(), self._bits()))))

    def _bits(self) -> float | None:
        """The slowest of the streams that the last check measured between the servers, bits a second."""
        speeds = [path.megabits_per_second for path in self.controller.view.paths.values() if path.megabits_per_second > 0]
        return min(speeds) * 1e6 if speeds else None

    def judge(self) -> Fit:
        """What is chosen against the servers that were looked at."""
        nodes = self.controller.draft.nodes
        workers = [str(node.get("name")) for node in nodes[1:]] or [str(node.get("name")) for node in nodes]
        with_roles = [str(node.get("name")) for node in nodes if "worker" in (node.get("roles") or ())]
        lone = str(nodes[0].get("name")) if len(nodes) == 1 else None
        components = self._row.components if self._row else {}
        spark = bool(self.controller.draft.get(("spark", "enabled")))
        pulls = self._row.pulls if self._row else {}
        return fit.fit(
            components,
            self.chosen,
            spark=spark,
            facts=self.controller.facts,
            workers=with_roles or workers,
            lone=lone,
            pulls=pulls,
            pulls_mebibytes=self._row.pulls_mebibytes if self._row else {},
        )

    def _fill(self) -> None:
        listed = self.query_one("#components", SelectionList)
        if self._row is None:
            listed.clear_options()
            return
        chosen = set(self.chosen)
        wanted = [(name, name in chosen) for name in self._row.components]
        now = [(name, name in listed.selected) for name in self._listed]
        if wanted == now:
            return
        self._filling, self._listed = True, tuple(self._row.components)
        cursor = listed.highlighted
        listed.clear_options()
        for name, component in self._row.components.items():
            cost = fit.of_component(component, self._row.pulls.get(name, 0))
            listed.add_option(Selection(Content(_cost_line(component.title, cost)), name, name in chosen))
        listed.highlighted = cursor
        self.call_after_refresh(self._filled)

    def _fill_images(self) -> None:
        given = self.controller.draft.get(("kubeflow", "notebookImages"))
        chosen = set(given) if isinstance(given, list) else set()
        wanted = []
        if self._row is not None and "notebooks" in self.chosen:
            release = releases.load(str(self.controller.draft.get(("cluster", "release"))))
            fitting = release.fitting_notebooks
            for name, image in release.notebooks.items():
                text = f"{image.title} {image.version}" + (
                    "" if name in fitting else f"  not with Python {release.notebook_python}"
                )
                wanted.append((name, text, name in chosen, name not in fitting and name not in chosen))
        if wanted == self._images:
            return
        self._filling, self._images = True, wanted
        listed = self.query_one("#notebook-images", SelectionList)
        cursor = listed.highlighted
        listed.clear_options()
        for name, text, ticked, disabled in wanted:
            listed.add_option(Selection(Content(text), name, ticked, disabled=disabled))
        listed.highlighted = cursor
        self.call_after_refresh(self._filled)

    @on(SelectionList.SelectionToggled, "#notebook-images")
    def _ticked(self, event: SelectionList.SelectionToggled[str]) -> None:
        if self._filling:
            return
        given = self.controller.draft.get(("kubeflow", "notebookImages"))
        names = {*given} if isinstance(given, list) else set()
        names ^= {event.selection.value}
        order = [name for name, *_rest in self._images if name in names]
        self.query_one("#row-kubeflow-notebookImages", Row).put(order or None)
        self.app.draft_changed()
        self.refresh_form()

    def _filled(self) -> None:
        self._filling = False

    @on(SelectionList.SelectionToggled, "#components")
    def _toggled(self, event: SelectionList.SelectionToggled[str]) -> None:
        if self._filling or self._row is None:
            return
        name = event.selection.value
        chosen = set(self.chosen)
        components = self._row.components
        if name in chosen:
            needing = fit.needed_by(components, name, chosen)
            if needing:
                titles = ", ".join(components[other].title for other in needing[:4])
                self.app.notify(
                    f"{components[name].title} is needed by {titles}", title="Not alone", severity="warning", markup=False
                )
            else:
                chosen.discard(name)
        else:
            chosen.update(fit.with_needs(components, name))
        names = fit.chosen_order(components, chosen)
        preset = next((preset for preset, members in self._row.presets.items() if set(members) == chosen), None)
        self.query_one("#row-kubeflow-components", PresetRow).take(preset or list(names))
        self.app.draft_changed()
        self.refresh_form()

    def _fill_proofs(self) -> None:
        """The chosen components that can be proven, ticked where they are to be."""
        requested, chosen = self.controller.draft.get(("kubeflow", "proofs")), self.chosen
        provable = tuple((name, requested == "all" or name in (requested or ())) for name in get_args(Proof) if name in chosen)
        listed = self.query_one("#proofs", SelectionList)
        listed.display = bool(provable)
        now = tuple((name, name in listed.selected) for name, _ticked in self._provable)
        if provable == now:
            return
        self._filling, self._provable = True, provable
        cursor = listed.highlighted
        listed.clear_options()
        for name, ticked in provable:
            listed.add_option(Selection(Content(_PROOFS[name]), name, ticked))
        listed.highlighted = cursor
        self.call_after_refresh(self._filled)

    @on(SelectionList.SelectionToggled, "#proofs")
    def _proof_toggled(self, event: SelectionList.SelectionToggled[str]) -> None:
        if self._filling:
            return
        names = [name for name, _ticked in self._provable if name in event.selection_list.selected]
        self.query_one("#row-kubeflow-proofs", Row).put("all" if len(names) == len(self._provable) else names)
        self.app.draft_changed()
        self.refresh_form()

    @override
    def why_not(self) -> str:
        return super().why_not() if self.controller.draft.get(("kubeflow", "enabled")) else "Kubeflow is switched off"


def _presets(known: KubeflowRow | None) -> list[tuple[str, str]]:
    """(shown, value) of what can be chosen at once."""
    names = known.presets if known is not None else {}
    return [*((f"{name}  {len(members)} components", name) for name, members in names.items()), ("what is ticked below", _OWN)]


def _cost_line(title: str, cost: Amount) -> str:
    """What a component costs, in columns; a dot stands for nothing."""
    cells = (
        (4, f"{cost.pods or ''}"),
        (4, f"{cost.cpu_millicores / 1000:.1f}" if cost.cpu_millicores else ""),
        (4, f"{cost.memory_mebibytes / 1024:.1f}" if cost.memory_mebibytes else ""),
        (4, f"{cost.volumes_gibibytes or ''}"),
        (6, f"{cost.images or ''}"),
    )
    return f"{title:<21.21} " + " ".join((text or "·").rjust(columns) for columns, text in cells)


def _fit_lines(judged: Fit, bits_per_second: float | None = None) -> Iterable[str]:
    """The forecast in words."""
    need = judged.needed
    yield (
        f"Needs {need.pods} pods, {need.cpu_millicores / 1000:.1f} CPU, {need.memory_mebibytes / 1024:.1f} GiB memory, "
        f"{need.volumes_gibibytes} GiB of volumes; {judged.of_images(bits_per_second)}."
    )
    if judged.available is None:
        yield "Whether it fits is known once the servers were looked at (screen Nodes)."
        return
    have = judged.available
    glyph, word = ("✓", "fits") if judged.fits else ("✗", "does not fit")
    yield f"{glyph} It {word}: the servers leave {have.pods} pods, {have.cpu_millicores / 1000:.1f} CPU, {have.memory_mebibytes / 1024:.1f} GiB."
    if judged.unknown:
        yield f"Not counted, since not looked at: {', '.join(judged.unknown)}."
    if not judged.stored:
        yield f"✗ A server has only {(judged.free_mebibytes or 0) / 1024:.1f} GiB for the images."
    if judged.leave_out:
        yield f"It would fit without: {', '.join(judged.leave_out)}."

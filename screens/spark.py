"""Spark: its volume, image, history server, and how applications are submitted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

from screens.form import row
from screens.part import PartScreen


class SparkScreen(PartScreen):
    """The Spark part."""

    name_on_rail: ClassVar[str] = "spark"
    title_on_bar: ClassVar[str] = "Spark"
    sections: ClassVar[tuple[str, ...]] = ("spark",)
    about: ClassVar[str] = (
        "Spark in the user's namespace: a shared volume, a history server behind the gateway, and SparkPi run as proof."
    )
    help_text: ClassVar[str] = (
        "submit writes a spark-submit script for these servers; operator lets one describe applications as objects (SparkApplication).\n"
        "Both can be had. The volume is shared by driver and executors, so the storage must serve ReadWriteMany: nfs does, local-path does not."
    )

    @override
    def form(self) -> Iterable[Widget]:
        draft = self.app.controller.draft
        yield row(draft, "spark.enabled", "Install Spark")
        yield Static("", id="spark-meaning", classes="about", markup=False)
        yield Vertical(
            row(draft, "spark.namespace", "Namespace", hint="the Kubeflow user's own"),
            row(draft, "spark.volumeSize", "Volume size"),
            row(draft, "spark.image", "Base image", hint="the release's own"),
            row(draft, "spark.historyServer", "History server"),
            row(draft, "spark.submit", "spark-submit script"),
            row(draft, "spark.operator", "Operator"),
            id="spark-rows",
            classes="group",
        )

    @override
    def refresh_form(self) -> None:
        draft = self.controller.draft
        on = bool(draft.get(("spark", "enabled")))
        local = draft.get(("storage", "type")) == "local-path"
        self.query_one("#spark-rows").display = on
        text = ""
        if on and local:
            text = "✗ local-path can't serve Spark: its volume is written by several pods (ReadWriteMany). Choose nfs on the screen Storage, or leave Spark out."
        elif not on:
            text = "Spark is left out."
        self.query_one("#spark-meaning", Static).update(Content(text))

    @override
    def why_not(self) -> str:
        if not self.controller.draft.get(("spark", "enabled")):
            return "Spark is switched off"
        if self.controller.draft.get(("storage", "type")) == "local-path":
            return "local-path has no ReadWriteMany, which Spark needs: choose nfs on the screen Storage"
        return super().why_not()

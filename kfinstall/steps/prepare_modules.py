"""prepare.modules: kernel modules for pods' networks and for Istio, now and at every boot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall import prepare_site
from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.facts.model import Watch


class PrepareModules(Step):
    """overlay and br_netfilter are needed; Istio's are loaded as far as this kernel has them."""

    id: ClassVar[str] = "prepare.modules"
    title: ClassVar[str] = "Load kernel modules"
    script: ClassVar[str] = "prepare-modules"
    estimate_seconds: ClassVar[float] = 3

    def watch(self, view: View) -> Watch:  # noqa: ARG002
        """The modules and the file that loads them."""
        modules = frozenset((*prepare_site.REQUIRED_MODULES, *prepare_site.ISTIO_MODULES))
        return Watch(files=frozenset({prepare_site.MODULES_FILE}), modules=modules)

    def parameters(self, view: View) -> Mapping[str, str]:  # noqa: ARG002
        """Names, and the head of the file: which modules this kernel has, the script finds out."""
        return {
            "REQUIRED": " ".join(prepare_site.REQUIRED_MODULES),
            "OPTIONAL": " ".join(prepare_site.ISTIO_MODULES),
            "FILE": prepare_site.MODULES_FILE,
            "HEAD": prepare_site.MODULES_HEAD,
        }

    def check(self, view: View) -> Check:
        """The needed ones are loaded, and the file names them and those of Istio's that are there."""
        loaded = view.facts.modules
        changes = [f"modprobe {name}" for name in prepare_site.REQUIRED_MODULES if name not in loaded]
        unwritten = prepare_site.unwritten(view.facts, {prepare_site.MODULES_FILE: prepare_site.modules_content(view.facts)})
        istio = [name for name in prepare_site.ISTIO_MODULES if name not in loaded]
        if unwritten and istio:
            changes.append(f"modprobe what this kernel has of Istio's: {' '.join(istio)}")
        changes += unwritten
        if changes:
            return Needed(tuple(changes))
        extra = sum(1 for name in prepare_site.ISTIO_MODULES if name in loaded)
        return Satisfied(
            f"overlay and br_netfilter loaded, {extra} of {len(prepare_site.ISTIO_MODULES)} of Istio's, all at boot too"
        )

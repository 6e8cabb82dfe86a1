"""prepare.modules: kernel modules for pods' networks and for Istio, now and at every boot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.facts.model import Watch
from kfinstall.parts.prepare import files


class PrepareModules(Step):
    """overlay and br_netfilter are needed; Istio's are loaded as far as this kernel has them."""

    id: ClassVar[str] = "prepare.modules"
    title: ClassVar[str] = "Load kernel modules"
    script: ClassVar[str] = "prepare-modules"
    estimate_seconds: ClassVar[float] = 3

    def watch(self, view: View) -> Watch:  # noqa: ARG002
        """The modules and the file that loads them."""
        modules = frozenset((*files.REQUIRED_MODULES, *files.ISTIO_MODULES))
        return Watch(files=frozenset({files.MODULES_FILE}), modules=modules)

    def parameters(self, view: View) -> Mapping[str, str]:  # noqa: ARG002
        """Names, and the head of the file: which modules this kernel has, the script finds out."""
        return {
            "REQUIRED": " ".join(files.REQUIRED_MODULES),
            "OPTIONAL": " ".join(files.ISTIO_MODULES),
            "FILE": files.MODULES_FILE,
            "HEAD": files.MODULES_HEAD,
        }

    def check(self, view: View) -> Check:
        """The needed ones are loaded, and the file names them and those of Istio's that are there."""
        loaded = view.facts.modules
        changes = [f"modprobe {name}" for name in files.REQUIRED_MODULES if name not in loaded]
        unwritten = files.unwritten(view.facts, {files.MODULES_FILE: files.modules_content(view.facts)})
        istio = [name for name in files.ISTIO_MODULES if name not in loaded]
        if unwritten and istio:
            changes.append(f"modprobe what this kernel has of Istio's: {' '.join(istio)}")
        changes += unwritten
        if changes:
            return Needed(tuple(changes))
        extra = sum(1 for name in files.ISTIO_MODULES if name in loaded)
        return Satisfied(f"overlay and br_netfilter loaded, {extra} of {len(files.ISTIO_MODULES)} of Istio's, all at boot too")

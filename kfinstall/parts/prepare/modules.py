"""prepare.modules: kernel modules for pods' networks and for Istio, now and at every boot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import Check, View
from kfinstall.engine.wanted import Wanted
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.prepare import files


class PrepareModules(NodeStep):
    """overlay, br_netfilter and vxlan are needed; Istio's are loaded as far as this kernel has them."""

    id: ClassVar[str] = "prepare.modules"
    title: ClassVar[str] = "Load kernel modules"
    script: ClassVar[str] = "prepare-modules"
    estimate_seconds: ClassVar[float] = 3
    hashes_wanted = False

    @override
    def wanted(self, view: View) -> Wanted:
        """The needed ones."""
        return Wanted(modules=files.REQUIRED_MODULES)

    @override
    def watch(self, view: View) -> NodeQuery:
        """Istio's too, and the file that loads them."""
        return super().watch(view) | NodeQuery(files=frozenset({files.MODULES_FILE}), modules=frozenset(files.ISTIO_MODULES))

    @override
    def options(self, view: View) -> Mapping[str, str]:
        """Names, and the head of the file: which modules this kernel has, the script finds out."""
        return {
            "REQUIRED": " ".join(files.REQUIRED_MODULES),
            "OPTIONAL": " ".join(files.ISTIO_MODULES),
            "FILE": files.MODULES_FILE,
            "HEAD": files.MODULES_HEAD,
        }

    @override
    def check(self, view: View) -> Check:
        """The needed ones are loaded, and the file names them and those of Istio's that are there."""
        loaded = view.facts.modules
        unwritten = files.unwritten(view.facts, {files.MODULES_FILE: files.modules_content(view.facts)})
        istio = [name for name in files.ISTIO_MODULES if name not in loaded]
        load = [f"modprobe what this kernel has of Istio's: {' '.join(istio)}"] if unwritten and istio else []
        total = len(files.ISTIO_MODULES)
        return self.compare(
            view,
            also=(*load, *unwritten),
            evidence=f"{', '.join(files.REQUIRED_MODULES)} loaded, {total - len(istio)} of {total} of Istio's, all at boot too",
        )

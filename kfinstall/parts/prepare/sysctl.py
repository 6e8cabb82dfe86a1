"""prepare.sysctl: forwarding, bridged traffic through iptables, and enough inotify instances for Kubeflow."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import Check, View
from kfinstall.engine.wanted import File, Wanted
from kfinstall.parts.prepare import files
from kfinstall.parts.prepare.facts import OthersFiles


class PrepareSysctl(NodeStep):
    """Sets kernel parameters now and at boot; one that the machine has higher already is not lowered."""

    id: ClassVar[str] = "prepare.sysctl"
    title: ClassVar[str] = "Set kernel parameters"
    script: ClassVar[str] = "prepare-sysctl"
    reads = (OthersFiles,)
    estimate_seconds: ClassVar[float] = 2
    hashes_wanted = False

    @override
    def wanted(self, view: View) -> Wanted:
        """The parameters and their file."""
        file = File(files.SYSCTL_FILE, files.sysctl_content(view), path_as="FILE", content_as="CONTENT")
        return Wanted(sysctls=tuple(files.sysctl_values(view).items()), files=(file,))

    @override
    def check(self, view: View) -> Check:
        """The kernel has the values, the file is there, and no later one sets less."""
        return self.compare(
            view,
            # The kernel may have them now and lose them at the next boot.
            also=[f"turn off in {path}, which is read later: {line}" for path, line in files.lowered_at_boot(view)],
            evidence=", ".join(f"{name.rpartition('.')[2]}={value}" for name, value in files.sysctl_values(view).items()),
        )

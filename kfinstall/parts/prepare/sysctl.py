"""prepare.sysctl: forwarding, bridged traffic through iptables, and enough inotify instances for Kubeflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.facts.model import Watch
from kfinstall.parts.prepare import files
from kfinstall.parts.prepare.facts import OthersFiles


class PrepareSysctl(Step):
    """Sets kernel parameters now and at boot; one that the machine has higher already is not lowered."""

    id: ClassVar[str] = "prepare.sysctl"
    title: ClassVar[str] = "Set kernel parameters"
    script: ClassVar[str] = "prepare-sysctl"
    reads = (OthersFiles,)
    estimate_seconds: ClassVar[float] = 2

    def watch(self, view: View) -> Watch:
        """The parameters and their file."""
        names = frozenset(files.sysctl_values(view))
        return Watch(files=frozenset({files.SYSCTL_FILE}), sysctls=names)

    def parameters(self, view: View) -> Mapping[str, str]:
        """The file's content."""
        return {"FILE": files.SYSCTL_FILE, "CONTENT": files.sysctl_content(view)}

    def check(self, view: View) -> Check:
        """The kernel has the values, the file is there, and no later one sets less."""
        facts = view.facts
        wanted = files.sysctl_values(view)
        changes = [f"sysctl {name}={value}" for name, value in wanted.items() if facts.sysctls.get(name) != value]
        changes += files.unwritten(facts, {files.SYSCTL_FILE: files.sysctl_content(view)})
        # The kernel may have them now and lose them at the next boot.
        changes += [f"turn off in {path}, which is read later: {line}" for path, line in files.lowered_at_boot(view)]
        if changes:
            return Needed(tuple(changes))
        return Satisfied(", ".join(f"{name.rpartition('.')[2]}={value}" for name, value in wanted.items()))

"""prepare.proxy: the nodes' way out goes through the proxy of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import Check, View
from kfinstall.engine.wanted import File, Wanted
from kfinstall.parts.prepare import files

_APT: Final = "/etc/apt/apt.conf.d/95kfinstall-proxy"


class PrepareProxy(NodeStep):
    """apt, the container runtime and the scripts use the proxy; nodes, pods and Services go direct."""

    id: ClassVar[str] = "prepare.proxy"
    title: ClassVar[str] = "Use the HTTP proxy"
    script: ClassVar[str] = "prepare-proxy"
    estimate_seconds: ClassVar[float] = 2
    hashes_wanted = False

    def applies(self, answers: Answers) -> bool:
        """Where the answers name a proxy."""
        return files.proxied(answers)

    @override
    def wanted(self, view: View) -> Wanted:
        """Its files; apt's is the last."""
        answers = view.answers
        unit = f"/etc/systemd/system/{answers.cluster.runtime}.service.d/10-kfinstall-proxy.conf"
        return Wanted(
            files=(
                File(unit, files.proxy_unit(answers), path_as="UNIT_FILE", content_as="DROP_IN"),
                File(files.PROXY_ENV, files.proxy_env(answers), path_as="ENV_FILE", content_as="ENV"),
                File(_APT, files.proxy_apt(answers), path_as="APT_FILE", content_as="APT"),
            )
        )

    @override
    def options(self, view: View) -> Mapping[str, str]:
        """The service, and a line of the environment that it must have when it runs."""
        return {"PROOF": f"NO_PROXY={files.no_proxy(view.answers)}", "SERVICE": f"{view.answers.cluster.runtime}.service"}

    @override
    def check(self, view: View) -> Check:
        """The files are as wanted."""
        return self.compare(view, evidence="apt and the runtime use the proxy")

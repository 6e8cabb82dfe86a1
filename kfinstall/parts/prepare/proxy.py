"""prepare.proxy: the nodes' way out goes through the proxy of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.facts.model import Watch
from kfinstall.parts.prepare import files

_APT: Final = "/etc/apt/apt.conf.d/95kfinstall-proxy"


class PrepareProxy(Step):
    """apt, the container runtime and the scripts use the proxy; nodes, pods and Services go direct."""

    id: ClassVar[str] = "prepare.proxy"
    title: ClassVar[str] = "Use the HTTP proxy"
    script: ClassVar[str] = "prepare-proxy"
    estimate_seconds: ClassVar[float] = 2

    def applies(self, answers: Answers) -> bool:
        """Where the answers name a proxy."""
        return files.proxied(answers)

    def _files(self, view: View) -> dict[str, str]:
        unit = f"/etc/systemd/system/{view.answers.cluster.runtime}.service.d/10-kfinstall-proxy.conf"
        return {
            unit: files.proxy_unit(view.answers),
            files.PROXY_ENV: files.proxy_env(view.answers),
            _APT: files.proxy_apt(view.answers),
        }

    def watch(self, view: View) -> Watch:
        """Its files."""
        return Watch(files=frozenset(self._files(view)))

    def parameters(self, view: View) -> Mapping[str, str]:
        """The contents of the files, and a line of the environment that the running service must have."""
        unit, env, apt = self._files(view).items()
        return {
            "APT_FILE": apt[0],
            "APT": apt[1],
            "UNIT_FILE": unit[0],
            "DROP_IN": unit[1],
            "ENV_FILE": env[0],
            "ENV": env[1],
            "PROOF": f"NO_PROXY={files.no_proxy(view.answers)}",
            "SERVICE": f"{view.answers.cluster.runtime}.service",
        }

    def check(self, view: View) -> Check:
        """The files are as wanted."""
        changes = files.unwritten(view.facts, self._files(view))
        return Needed(tuple(changes)) if changes else Satisfied("apt and the runtime use the proxy")

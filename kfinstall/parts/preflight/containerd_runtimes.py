"""Runtimes that others described for containerd's CRI: which can run Kubernetes' pods. Pure."""

from __future__ import annotations

from typing import Any, Final

from kfinstall.parts.preflight.containerd_read import MERGES_FIELDS, Configuration, Keys, Refused, get
from kfinstall.parts.preflight.toml_edit import dotted

RUNC: Final = "io.containerd.runc.v2"
RUNC_TYPES: Final = (RUNC, "io.containerd.runc.v1")
"""Types of runtimes whose shim takes SystemdCgroup; gVisor's and Kata's do not."""
OLD_TABLES: Final = ("default_runtime", "untrusted_workload_runtime")
"""Tables of 1.x that describe a runtime where they name it; `default_runtime` counts before default_runtime_name. 2.x has neither."""
_LINUX: Final = "io.containerd.runtime.v1.linux"


def default_runtime(configured: Configuration) -> None:
    """Whether pods can run by the runtimes that are described, under the systemd cgroup driver.

    Raises:
        Refused: the default runtime is described nowhere, which stops the CRI, or by a shim or in a form that can't be kept.
    """
    keys = (*configured.runtime, "containerd")
    containerd = get(configured.effective, keys)
    containerd = containerd if isinstance(containerd, dict) else {}
    name, runtimes = containerd.get("default_runtime_name"), containerd.get("runtimes", {})
    if name and name != "runc" and name not in runtimes:
        raise Refused(
            f"{name} is the default runtime in containerd's configuration, and no runtime of that name is described there",
            f"describe it (nvidia-ctk runtime configure does for NVIDIA's), or take default_runtime_name out of {configured.files[0].path}",
        )
    tables: dict[Keys, Any] = {(*keys, old): containerd.get(old) for old in OLD_TABLES}
    told = [table for table, value in tables.items() if get(value, ("runtime_type",))]
    if told and configured.major >= MERGES_FIELDS:
        raise Refused(
            f"{dotted(told[0])} in {_file(configured, told[0])} is a table that containerd {configured.major} does not know any more: "
            "pods would run by runc instead",
            "describe that runtime below containerd.runtimes there, and name it in default_runtime_name (nvidia-ctk runtime configure "
            "--set-as-default does for NVIDIA's)",
        )
    _old_shim(configured, tables | {(*keys, "runtimes", key): value for key, value in dict(runtimes).items()}, name or "runc")


def _old_shim(configured: Configuration, tables: dict[Keys, Any], default: str) -> None:
    """The shim of containerd 1.0 takes its cgroup driver from the plugin's systemd_cgroup, with which the CRI refuses runc's own."""
    systemd = bool(get(configured.effective, (*configured.runtime, "systemd_cgroup")))
    for keys, table in tables.items():
        if get(table, ("runtime_type",)) != _LINUX:
            continue
        if systemd or configured.major >= MERGES_FIELDS or keys[-1] in (default, "default_runtime"):
            raise Refused(
                f"{dotted(keys)} in {_file(configured, keys)} is of type {_LINUX}, the shim of containerd 1.0: it takes the systemd cgroup "
                "driver from systemd_cgroup alone, which can't stand beside what runc's own shim needs",
                f'write there: runtime_type = "{RUNC}", and in its options BinaryName instead of Runtime, with SystemdCgroup = true',
            )


def _file(configured: Configuration, keys: Keys) -> str:
    return next((file.path for file in reversed(configured.files) if get(file.data, keys)), configured.files[0].path)

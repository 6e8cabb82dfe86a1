"""In which directories containerd looks for hosts.toml files, and so where ours go. Pure."""

from __future__ import annotations

from typing import Final

from kfinstall.parts.preflight.containerd_read import MERGES_FIELDS, Configuration, Keys, Refused, Table, get, read
from kfinstall.parts.preflight.runtime_files import CERTS_D, CONTAINERD_CONFIG, RuntimeFiles

OWN_NAME: Final = "zz-kfinstall.toml"
"""Read behind what others put beside it: 99-nvidia.toml, say."""
OWN_HEAD: Final = "# Written by kfinstall: what Kubernetes needs of containerd\n"
TRANSFER: Final[Keys] = ("plugins", "io.containerd.transfer.v1.local", "config_path")
"""Where ctr and other clients of the transfer service are led; the CRI brings its own."""
DEFAULTS: Final = frozenset({CERTS_D, "/etc/docker/certs.d"})
"""What containerd 2.x's own default names, as a list."""


def one_directory(configured: Configuration, version: str) -> bool:
    """Whether a list counts as one directory's name: images are pulled by the transfer service, since 2.1 (containerd #12415, #12808)."""
    local = get(configured.effective, (*configured.images, "use_local_image_pull"))
    return configured.major >= MERGES_FIELDS and not version.startswith("2.0.") and local is not True


def listed(table: Table, keys: Keys) -> tuple[str, ...]:
    """The directories that a setting names, each once."""
    return tuple(dict.fromkeys(path for path in str(get(table, keys) or "").split(":") if path))


def directories(found: RuntimeFiles, configured: Configuration, version: str) -> tuple[str, ...]:
    """Where containerd looks once ours holds, in its order: what others set stays.

    Of a list that this containerd takes for the name of one directory, in which it finds nothing, the first counts that can be written in.

    Raises:
        Refused: that is no absolute path.
    """
    others = Configuration(
        tuple(file for file in configured.files if not file.text.startswith(OWN_HEAD)), configured.form, configured.major
    )
    keys = (*configured.images, "registry", "config_path")
    paths = listed(others.effective, keys)
    if not paths:
        return (CERTS_D,)
    where = next(file.path for file in others.files if get(file.data, keys))
    if not all(path.startswith("/") for path in paths):
        raise Refused(f"config_path in {where} is no absolute path: {':'.join(paths)}", f'write there: config_path = "{CERTS_D}"')
    if len(paths) == 1 or not one_directory(configured, version):
        return paths
    return (CERTS_D,) if DEFAULTS.issuperset(paths) else (found.writable(paths),)


def looked_in(found: RuntimeFiles, version: str) -> tuple[str, ...]:
    """The same of a node's files; ours alone where nobody has written a configuration yet.

    Raises:
        Refused: the configuration is not understood, or `directories` says so.
    """
    configured = read(found, version)
    if not configured.files or CONTAINERD_CONFIG in found.pristine:
        return (CERTS_D,)
    return directories(found, configured, version)


def home(found: RuntimeFiles, version: str) -> str:
    """The directory into which new hosts.toml files go, such as that of the cluster's own registry: of those that containerd looks in.

    Raises:
        Refused: the configuration is not understood, or nothing can be written in any of them.
    """
    paths = looked_in(found, version)
    folder = found.writable(paths)
    if folder in found.closed:
        raise Refused(
            f"containerd looks for registries in {':'.join(paths)}, and nothing can be written there",
            f"make {folder} writable (findmnt -T {folder} shows its file system), or have containerd look in {CERTS_D}",
        )
    return folder

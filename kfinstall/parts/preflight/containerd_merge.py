"""What has to change in a containerd's configuration for Kubernetes, and nothing else of it. Pure.

In 2.x ours is a file of its own, read last; in 1.x an imported file would take the whole CRI away from the others (its table counts
as one), so there single settings change where they stand.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kfinstall.parts.preflight import hosts_toml
from kfinstall.parts.preflight.changes import Change
from kfinstall.parts.preflight.containerd_read import (
    MERGES_FIELDS,
    Configuration,
    Keys,
    Loaded,
    Refused,
    Table,
    disabled,
    get,
    read,
)
from kfinstall.parts.preflight.containerd_runtimes import OLD_TABLES, RUNC, RUNC_TYPES, default_runtime
from kfinstall.parts.preflight.hosts_folders import DEFAULTS, OWN_HEAD, OWN_NAME, TRANSFER, directories, listed, one_directory
from kfinstall.parts.preflight.runtime_files import CONTAINERD_CONFIG, RuntimeFiles, absolute
from kfinstall.parts.preflight.toml_edit import Edit, EditError, dotted, edited, shown, written

_CONF_D: Final = "/etc/containerd/conf.d"
_BINARIES: Final = "/opt/cni/bin"
_NETWORKS: Final = "/etc/cni/net.d"

Wanted = Mapping[Keys, Any]


def changes(found: RuntimeFiles, version: str, pause: str, fresh: str) -> tuple[Change, ...]:
    """What has to change for Kubernetes. `fresh`: the whole configuration, where a node has none yet.

    Raises:
        Refused: what is there is not understood, or can't be kept beside what Kubernetes needs.
    """
    configured = read(found, version)
    if not configured.files or CONTAINERD_CONFIG in found.pristine:
        before = None if not configured.files else configured.files[0].text
        return (Change(CONTAINERD_CONFIG, before, fresh, (f"write {CONTAINERD_CONFIG}",)),)
    default_runtime(configured)
    folders = directories(found, configured, version)
    certs = _certs(configured, folders, version)
    edits: dict[str, list[Edit]] = {}
    files, notes = _registries(found, configured, edits, found.writable(folders))
    for file in configured.files:
        if off := disabled(file.data):
            kept = [name for name in file.data["disabled_plugins"] if name not in off]
            edits.setdefault(file.path, []).append(Edit(("disabled_plugins",), kept))
            notes.setdefault(file.path, []).append(
                f"turn the CRI plugin on: take {', '.join(off)} out of disabled_plugins in {file.path}"
            )
    _versioned(configured, edits, notes)
    if configured.major >= MERGES_FIELDS:
        own = _drop_in(found, configured, pause, edits, notes, certs=certs)
    else:
        own = _in_place(configured, pause, certs, edits, notes)
    by_path = {file.path: file for file in configured.files}
    edited_files = tuple(_edited(by_path[path], wanted, notes[path]) for path, wanted in edits.items())
    return (*files, *own, *edited_files)


def _edited(file: Loaded, edits: list[Edit], words: list[str]) -> Change:
    try:
        return Change(file.path, file.text, edited(file.text, edits), tuple(words))
    except EditError as error:
        out = ", ".join(dotted(edit.keys) for edit in edits if edit.value is None)
        settings = "; ".join(f"{dotted(edit.keys)} = {shown(edit.value)}" for edit in edits if edit.value is not None)
        hints = (f"take out of it: {out}" if out else "", f"write there: {settings}" if settings else "")
        raise Refused(
            f"{file.path} can't be changed without touching what others wrote: {error}", "; ".join(filter(None, hints))
        ) from None


def _versioned(configured: Configuration, edits: dict[str, list[Edit]], notes: dict[str, list[str]]) -> None:
    """A file that says nothing of plugins needs no tables in the form of version 1, which goes out."""
    first = configured.files[0]
    if configured.form != 1 or configured.major >= MERGES_FIELDS or any(file.data.get("plugins") for file in configured.files):
        return
    names = [name for key in ("disabled_plugins", "required_plugins") for name in first.data.get(key, []) if name != "cri"]
    if not names and len(configured.files) == 1:
        edits.setdefault(first.path, []).insert(0, Edit(("version",), 2))
        notes.setdefault(first.path, []).append(f"set version = 2 in {first.path}, which names no plugin yet")


def _certs(configured: Configuration, folders: tuple[str, ...], version: str) -> Wanted:
    """Where containerd is to look for hosts.toml; the keys of the CRI's own stand below its table of images."""
    found: dict[Keys, Any] = {("registry", "config_path"): ":".join(folders)}
    if one_directory(configured, version) and len(listed(configured.effective, TRANSFER)) > 1:
        found[TRANSFER] = folders[0]
    return found


def _fields(configured: Configuration, effective: Table, pause: str, certs: Wanted, form: int) -> dict[Keys, Any]:
    """Every setting that has to hold, with its value."""
    runtime, images = Configuration((), form, configured.major).runtime, Configuration((), form, configured.major).images
    runc = (*runtime, "containerd", "runtimes", "runc")
    sandbox = (*images, "pinned_images", "sandbox") if form == 3 else (*images, "sandbox_image")
    found: dict[Keys, Any] = {sandbox: pause, (*runc, "runtime_type"): RUNC}
    runtimes = get(effective, (*runtime, "containerd", "runtimes"))
    names = (
        [name for name, table in runtimes.items() if get(table, ("runtime_type",)) in RUNC_TYPES]
        if isinstance(runtimes, dict)
        else []
    )
    for name in dict.fromkeys(("runc", *names)):
        found[(*runtime, "containerd", "runtimes", name, "options", "SystemdCgroup")] = True
    for name in OLD_TABLES if configured.major < MERGES_FIELDS else ():
        if get(effective, (*runtime, "containerd", name, "runtime_type")) in RUNC_TYPES:
            found[(*runtime, "containerd", name, "options", "SystemdCgroup")] = True
    if get(effective, (*runtime, "systemd_cgroup")):
        found[(*runtime, "systemd_cgroup")] = False  # of a shim that is gone; with runc's own it stops the CRI
    found |= _cni(configured, get(effective, (*runtime, "cni")) or {}, runtime)
    return found | {keys if keys[0] == "plugins" else (*images, *keys): value for keys, value in certs.items()}


def _cni(configured: Configuration, cni: Table, runtime: Keys) -> dict[Keys, Any]:
    """2.x looks in /opt/cni/bin unless it is told otherwise; Debian's 1.x does not."""
    requested: dict[Keys, Any] = {}
    several = cni.get("bin_dirs")
    if isinstance(several, list) and several and _BINARIES not in several:
        requested[(*runtime, "cni", "bin_dirs")] = [*several, _BINARIES]
    if cni.get("bin_dir") or (not several and configured.major < MERGES_FIELDS):
        requested[(*runtime, "cni", "bin_dir")] = _BINARIES
    if cni.get("conf_dir") or configured.major < MERGES_FIELDS:
        requested[(*runtime, "cni", "conf_dir")] = _NETWORKS
    return requested


def _form(configured: Configuration) -> int:
    """Of ours: the others' form, or containerd's own where nothing of theirs speaks of a plugin."""
    if configured.form > 1 or any(file.data.get("plugins") for file in configured.files):
        return configured.form
    return 3 if configured.major >= MERGES_FIELDS else 2 if len(configured.files) == 1 else 1


def _in_place(
    configured: Configuration, pause: str, certs: Wanted, edits: dict[str, list[Edit]], notes: dict[str, list[str]]
) -> tuple[Change, ...]:
    file = configured.holding()
    assert file is not None  # noqa: S101 (there are files)
    form = 2 if edits.get(file.path, [Edit((), None)])[0] == Edit(("version",), 2) else configured.form
    for keys, value in _fields(configured, configured.effective, pause, certs, form).items():
        old = get(file.data, keys)
        if old != value:
            edits.setdefault(file.path, []).append(Edit(keys, value))
            notes.setdefault(file.path, []).append(_words(keys, value, old, file.path))
    return ()


def _words(keys: Keys, value: object, old: object, path: str) -> str:
    if keys[-1] in ("sandbox", "sandbox_image"):
        return f"write {path}: sandbox image {value}" + (f" instead of {old}" if old else "")
    instead = f" instead of {shown(old)}" if old not in (None, "") else ""
    if keys[-1] == "config_path" and ":" in str(old) and ":" not in str(value):
        instead += ": this containerd takes a list for the name of one directory, and would find no mirror"
        if rest := [path for path in str(old).split(":") if path not in (str(value), *DEFAULTS)]:
            instead += f"; what lies in {', '.join(rest)} counts for nothing there, as until now"
    return f"set {dotted(keys[1:]) if keys == TRANSFER else '.'.join(keys[2:])} = {shown(value)} in {path}{instead}"


def _drop_in(
    found: RuntimeFiles,
    configured: Configuration,
    pause: str,
    edits: dict[str, list[Edit]],
    notes: dict[str, list[str]],
    *,
    certs: Wanted,
) -> tuple[Change, ...]:
    form = _form(configured)
    lacking = [
        keys
        for keys, value in _fields(configured, configured.effective, pause, certs, form).items()
        if get(configured.effective, keys) != value
    ]
    if not lacking:
        return ()
    place, imported = _place(configured)
    others = configured.without(place)
    before = others.effective
    wanted = _fields(configured, before, pause, certs, form)
    # A runtime of somebody's who wrote it after us keeps what ours says of it.
    old = next((file for file in configured.files if file.path == place), None)
    document: Table = {"version": form}
    for keys, value in wanted.items():
        _put(document, keys, value)
    text = OWN_HEAD + written(document)
    first = configured.files[0]
    if not imported:
        entry = f"{posixpath.dirname(place)}/{OWN_NAME.removesuffix('.toml')}*.toml"  # a pattern: containerd starts without the file too
        edits.setdefault(first.path, []).append(Edit(("imports",), [*first.data.get("imports", []), entry]))
        notes.setdefault(first.path, []).append(f"add {entry} to imports in {first.path}")
    _last(configured, place, wanted)
    words = (
        [f"write {place}"]
        if old is None
        else [_words(keys, wanted[keys], get(old.data, keys), place) for keys in lacking if keys in wanted]
    )
    words += [_words(keys, wanted[keys], get(before, keys), place) for keys in lacking if get(before, keys) and old is None]
    if place in found.unread:
        raise Refused(f"{place} can't be read", f"sudo ls -l {place}")
    return (Change(place, None if old is None else old.text, text, tuple(words)),)


def _put(table: Table, keys: Keys, value: object) -> None:
    for key in keys[:-1]:
        table = table.setdefault(key, {})
    table[keys[-1]] = value


def _place(configured: Configuration) -> tuple[str, bool]:
    """Where ours goes, and whether that is imported already."""
    for file in configured.files:
        for pattern in (absolute(item, file.path) for item in file.data.get("imports", [])):
            path = f"{posixpath.dirname(pattern)}/{OWN_NAME}"
            if fnmatch.fnmatchcase(OWN_NAME, posixpath.basename(pattern)) and not any(
                mark in posixpath.dirname(path) for mark in "*?["
            ):
                return path, True
    return f"{_CONF_D}/{OWN_NAME}", False


def _last(configured: Configuration, place: str, wanted: Wanted) -> None:
    """Ours counts only where no file that is read behind it says otherwise."""
    for file in _behind(configured, place):
        for keys, value in wanted.items():
            setting = get(file.data, keys)
            if setting is not None and setting != value:
                raise Refused(
                    f"{file.path}, which containerd reads behind {place}, says {dotted(keys)} = {shown(setting)}; Kubernetes needs {shown(value)}",
                    f"change it there, or name that file so that it comes before {OWN_NAME}",
                )


def _behind(configured: Configuration, place: str) -> Iterator[Loaded]:
    folder = posixpath.dirname(place)
    seen = False
    for file in configured.files:
        beside = posixpath.dirname(file.path) == folder
        seen = seen or file.path == place or (beside and posixpath.basename(file.path) > OWN_NAME)
        if seen and file.path != place:
            yield file


def _registries(
    found: RuntimeFiles, configured: Configuration, edits: dict[str, list[Edit]], folder: str
) -> tuple[tuple[Change, ...], dict[str, list[str]]]:
    """Registries that are told inline go to hosts.toml files: containerd takes no config_path beside them."""
    notes: dict[str, list[str]] = {}
    keys = (*configured.images, "registry")
    registry = get(configured.effective, keys)
    if not isinstance(registry, dict):
        return (), notes
    configs = registry.get("configs", {})
    inline = registry.get("mirrors") or (isinstance(configs, dict) and any(get(item, ("tls",)) for item in configs.values()))
    if not inline:
        return (), notes
    holding = configured.holding()
    files = configured.files if configured.major >= MERGES_FIELDS or holding is None else (holding,)
    files = tuple(file for file in files if get(file.data, (*keys, "mirrors")) or get(file.data, (*keys, "configs")))
    for file in files:
        out = [Edit((*keys, "mirrors"), None)] if get(file.data, (*keys, "mirrors")) else []
        for host, item in (get(file.data, (*keys, "configs")) or {}).items():
            if get(item, ("tls",)) is not None:
                out.append(Edit((*keys, "configs", host, *(("tls",) if len(item) > 1 else ())), None))
        if out:
            edits.setdefault(file.path, []).extend(out)
            notes.setdefault(file.path, []).append(
                f"take registry.mirrors and configs.*.tls out of {file.path}: hosts.toml files say the same"
            )
    where = files[0].path if files else CONTAINERD_CONFIG
    made = hosts_toml.moved(registry, where, folder)
    lacking = {path: text for path, text in made.items() if not hosts_toml.says(found, path, text, where)}
    return tuple(Change(path, None, text, (f"write {path}, as {where} says it",)) for path, text in lacking.items()), notes

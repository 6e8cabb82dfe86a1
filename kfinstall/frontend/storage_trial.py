"""What storage would find on a node before anything is installed: room in its directory, or an NFS server that answers and may be written to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kfinstall import resources
from kfinstall.answers import types
from kfinstall.frontend import limits
from kfinstall.parts.storage import limits as storage_limits
from kfinstall.transport.base import Host, Program

if TYPE_CHECKING:
    from kfinstall.frontend.draft import Draft

Kind = Literal["directory", "server", "client"]


@dataclass(frozen=True, slots=True)
class StorageTrial:
    """What to try. A `directory` holds local-path's volumes, a `server` is a node that would export one, a `client` mounts a foreign server's."""

    kind: Kind
    directory: str
    minimum_free: str = "0Gi"
    """As in the answers."""
    server: str = ""
    """Of a client: the foreign server's address."""
    version: str = ""
    """Of a client: the NFS version of the mount."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it."""

    good: bool
    text: str
    """One line."""


def wanted(draft: Draft) -> dict[str, StorageTrial]:
    """What to try on which node, for a draft as it stands."""
    nodes = [node for node in draft.nodes if node.get("name")]
    names = [str(node["name"]) for node in nodes]
    if draft.get(("storage", "type")) == "local-path":
        local = ("storage", "localPath")
        trial = StorageTrial("directory", str(draft.get((*local, "directory"))), str(draft.get((*local, "minimumFree"))))
        return dict.fromkeys(names, trial)
    nfs = ("storage", "nfs")
    first = next((node for node in nodes if "control-plane" in (node.get("roles") or ())), nodes[0] if nodes else {})
    directory, server = str(draft.get((*nfs, "path"))), str(draft.get((*nfs, "server")) or first.get("name", ""))
    if server in names:
        return {server: StorageTrial("server", directory, str(draft.get((*nfs, "minimumFree"))))}
    return dict.fromkeys(names, StorageTrial("client", directory, server=server, version=str(draft.get((*nfs, "version")))))


async def run(host: Host, trial: StorageTrial) -> Tried:
    """Try it on a node; nothing stays there.

    Raises:
        KfError: the node could not be asked.
    """
    address = f"[{trial.server}]" if ":" in trial.server else trial.server
    parameters = {
        "KIND": trial.kind,
        "DIRECTORY": trial.directory,
        "SERVER": trial.server,
        "SOURCE": f"{address}:{trial.directory}",
        "VERSION": trial.version,
        "TIMEOUT_SECONDS": str(limits.STORAGE_TRY_TIMEOUT_SECONDS),
    }
    program = Program("ask", "storage-try", resources.script("storage/ask-try"), parameters)
    done = await host.ask(program, timeout_seconds=storage_limits.STORAGE_MOUNT_TIMEOUT_SECONDS)
    parsed: dict[str, list[str]] = {}
    for line in done.lines:
        key, *values = line.split("\t")
        parsed[key] = values
    parts = list(_of_client(trial, parsed) if trial.kind == "client" else _of_directory(trial, parsed))
    if not parts:
        return Tried(False, f"it could not be tried: {done.lines[-1] if done.lines else f'exit status {done.status}'}")
    return Tried(all(part.good for part in parts), "; ".join(part.text for part in parts))


def _of_directory(trial: StorageTrial, parsed: Mapping[str, list[str]]) -> Iterator[Tried]:
    space = parsed.get("space", [])
    if len(space) == 4 and space[0].isdecimal() and space[1].isdecimal():
        free, total, kind, mount = space
        enough = int(free) >= types.size_bytes(trial.minimum_free)
        text = f"{int(free) / 2**30:.0f} of {int(total) / 2**30:.0f} GiB free on {mount} ({kind})"
        yield Tried(enough, text if enough else f"{text}, {trial.minimum_free} wanted")
    if parsed.get("nfsd", ["ok"]) != ["ok"]:
        yield Tried(False, "its kernel has no NFS server (nfsd): a container? take another node")


def _of_client(trial: StorageTrial, parsed: Mapping[str, list[str]]) -> Iterator[Tried]:
    tcp, mount, write = ("".join(parsed.get(key, [])) for key in ("tcp", "mount", "write"))
    if not tcp:
        return
    if tcp != "ok":
        yield Tried(False, f"{trial.server} does not answer on TCP 2049 (NFS): {tcp}")
    elif mount == "no client":
        yield Tried(True, f"{trial.server} answers; it is mounted once nfs-common is installed here")
    elif mount != "ok":
        yield Tried(False, f"the mount is refused: {mount}")
    elif write != "ok":
        yield Tried(False, f"root may not write there: {write}; export it with rw,no_root_squash")
    else:
        yield Tried(True, "mounted, written to, cleaned up")

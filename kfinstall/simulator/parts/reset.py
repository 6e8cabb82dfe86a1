"""What the scripts of a reset do to a simulated node and to the simulated cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kfinstall.parts.reset.record import DATA_PROOF
from kfinstall.simulator.nodes import undo
from kfinstall.simulator.nodes.model import ScriptError, SimNode, World, effect
from kfinstall.simulator.parts.cluster import take_back


@effect("reset-leave")
def leave(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    """Kubeadm reset; with the first control plane the API server is gone."""
    owner = node.files.get(parameters["OWNER_FILE"])
    if owner is not None and owner.content not in (parameters["BEGUN"], parameters["DONE"]):
        raise ScriptError(20, "kf-error: this node is a member of another cluster", "kf-hint: reset it with that cluster's answers")
    yield from take_back(node)
    node.images.clear()
    world.joined.pop(node.name, None)
    if world.end_api is not None and not any("/var/lib/etcd/member/snap/db" in other.files for other in world.nodes.values()):
        world.end_api()
    node.files.pop(parameters["OWNER_FILE"], None)
    yield "the node belongs to no cluster any more"


@effect("reset-services")
def services(node: SimNode) -> Iterator[str]:
    """Stop what did not run before."""
    yield from undo.stop_units(node)


@effect("reset-data")
def data(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Delete the directories."""
    recorded = {path for _kind, path in undo.changed_files(node)} if node.before else set()
    for folder in parameters["DIRECTORIES"].splitlines():
        if folder not in recorded and not folder.startswith("/var/lib/kfinstall/"):
            for path in [path for path in node.files if path.startswith(f"{folder}/pvc-")]:
                del node.files[path]
            continue
        for path in [path for path in node.files if path == folder or path.startswith(f"{folder}/")]:
            del node.files[path]
        yield f"deleted {folder}"
    node.write(DATA_PROOF, parameters["DIRECTORIES"] + "\n", 0o600)


@effect("reset-packages")
def packages(node: SimNode) -> Iterator[str]:
    """Purge what was brought."""
    yield from undo.remove_packages(node)


@effect("reset-files")
def files(node: SimNode) -> Iterator[str]:
    """Put the rest back."""
    yield from undo.restore_files(node)
    yield "the node is as it was before kfinstall; kernel modules that it loaded go with the next boot"


@effect("ask/forget-node")
def forget(node: SimNode) -> Iterator[str]:
    """Remove kfinstall's own folders."""
    if any(True for _line in undo.record_lines(node)):
        yield "record"
        return
    node.kf_units.clear()
    registry = "/var/lib/kfinstall/registry"
    kept = any(path.startswith(registry) for path in node.files)
    for path in [path for path in node.files if path.startswith(("/var/lib/kfinstall/", "/var/cache/kfinstall"))]:
        if not path.startswith(registry):
            del node.files[path]
    if kept:
        yield "data"
    else:
        node.files.pop("/var/lib/kfinstall", None)

"""What the scripts and pods of phase storage do to a simulated node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.storage import policy as storage_policy
from kfinstall.parts.storage import proof_pods as storage_proof_pods
from kfinstall.simulator.nodes.model import (
    Document,
    PodOutcome,
    ScriptError,
    SimApi,
    SimNode,
    World,
    effect,
    pod_hook,
)
from kfinstall.simulator.parts.storage_facts import clients


@effect("storage-nfs-server")
def server(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Listen, and tell the exports."""
    path = parameters["DIRECTORY"]
    node.listeners[2049] = "?"
    yield "exported:"
    for client in clients(node, path):
        yield f"  {path}  {client}(sync,wdelay,hide,no_subtree_check,sec=sys,rw,secure,no_root_squash,no_all_squash)"


def _server_of(source: str, world: World) -> tuple[SimNode | None, str]:
    """The node that serves it, and the directory; None where the server is not one of the simulated machines."""
    address, _colon, path = source.partition(":/")
    return next((node for node in world.nodes.values() if node.address == address.strip("[]")), None), f"/{path}"


@effect("storage-nfs-client")
def client(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    """Mount once, leave the record."""
    serving, path = _server_of(parameters["SOURCE"], world)
    if serving is not None and node.address not in clients(serving, path):
        yield f"mount.nfs: access denied by server while mounting {parameters['SOURCE']}"
        raise ScriptError(
            35,
            f"kf-error: this node can't mount {parameters['SOURCE']}",
            "kf-hint: on the server: is it exported to this node (exportfs -v), and is TCP 2049 open (ufw status)?",
        )
    yield f"mounted {parameters['SOURCE']}, wrote, read, gave away, removed"
    node.write(f"{prepare_files.PROOFS}/storage-nfs-client.json", parameters["RECORD"], 0o600)


@effect("ask/storage-try")
def tried(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    """Room in a directory, or a server that answers."""
    if parameters["KIND"] != "client":
        yield f"space\t{node.disk_free_bytes}\t{node.disk_bytes}\text4\t/"
        if parameters["KIND"] == "server":
            yield "nfsd\tok"
        return
    serving, path = _server_of(parameters["SOURCE"], world)
    if serving is not None and 2049 not in serving.listeners:
        yield "tcp\tConnection refused"
        return
    yield "tcp\tok"
    if "nfs-common" not in node.packages:
        yield "mount\tno client"
    elif serving is not None and node.address not in clients(serving, path):
        yield f"mount\tmount.nfs: access denied by server while mounting {parameters['SOURCE']}"
    else:
        yield "mount\tok"
        yield "write\tok"


def _source(volume: Document, api: SimApi | None) -> str:
    """server:path of a volume; empty where it is a directory of the pod's node."""
    attributes = (volume["spec"].get("csi") or {}).get("volumeAttributes") or {}
    if attributes:
        return f"{attributes.get('server', '')}:{attributes.get('share', '/')}"
    # The older provisioner makes directories in its own volume.
    made_by = (volume["metadata"].get("annotations") or {}).get("pv.kubernetes.io/provisioned-by", "")
    for deployment in api.objects("apps/v1", "Deployment") if api and made_by.endswith("nfs-subdir-external-provisioner") else ():
        for mounted in deployment["spec"]["template"]["spec"].get("volumes") or ():
            if "nfs" in mounted:
                return f"{mounted['nfs']['server']}:{mounted['nfs']['path']}"
    return ""


def _volume(pod: Document, world: World) -> tuple[SimNode, str] | None:
    """The machine and the directory that hold the pod's volume; None where the node can't mount it."""
    api = world.api
    claim = api.get("v1", "PersistentVolumeClaim", storage_proof_pods.NAME, storage_proof_pods.NAMESPACE) if api else None
    name = ((claim or {}).get("spec") or {}).get("volumeName")
    volume = api.get("v1", "PersistentVolume", name) if api and name else None
    node = world.nodes.get(pod["spec"].get("nodeName", ""))
    if volume is None or node is None:
        return None
    source = _source(volume, api)
    if not source:
        return node, f"/var/lib/volumes/{name}"
    serving, path = _server_of(source, world)
    if serving is None:
        return next(iter(world.nodes.values())), f"{path}/{name}"
    allowed = node.address in clients(serving, path) and "nfs-common" in node.packages
    return (serving, f"{path}/{name}") if allowed else None


@pod_hook
def storage_proof_pod(pod: Document, world: World) -> PodOutcome | None:
    """The pods of the proof: they see what is on the volume, and nothing else."""
    role = (pod["metadata"].get("labels") or {}).get(storage_proof_pods.LABEL)
    if role is None:
        return None
    content = pod["spec"]["containers"][0]["command"][-1]
    found = _volume(pod, world)
    if found is None:
        return PodOutcome(log="mount failed\n", exit_code=1)
    node, folder = found
    path = f"{folder}/proof"
    if role == "write":
        node.write(path, f"{content}\n")
        return PodOutcome(log=f"kf-wrote {content}\n")
    there = node.files.pop(path, None)
    if there is None or there.content != f"{content}\n":
        return PodOutcome(log="kf-wrong: read ''\n", exit_code=1)
    return PodOutcome(log=f"kf-read {content}\n")


@pod_hook
def storage_policy_pod(pod: Document, world: World) -> PodOutcome | None:
    """The pod that must not reach the NFS server: a policy of that address and port refuses it, whatever its namespace."""
    if storage_policy.LABEL not in (pod["metadata"].get("labels") or {}):
        return None
    target = pod["spec"]["containers"][0]["command"][4]
    address, _colon, port = target.rpartition(":")
    length = 128 if ":" in address else 32
    rules = [
        rule
        for found in (world.api.objects(storage_policy.API, "GlobalNetworkPolicy") if world.api else ())
        for rule in found["spec"].get("egress") or ()
        if rule["action"] == "Deny" and rule.get("protocol") == "TCP" and int(port) in rule["destination"].get("ports", ())
    ]
    if any(f"{address.strip('[]')}/{length}" in rule["destination"].get("nets", ()) for rule in rules):
        return PodOutcome(log=f"{storage_policy.REFUSED} {target} (TIMEOUT)\n")
    return PodOutcome(log=f"{storage_policy.REACHED} {target}: the policy is not in force\n", exit_code=1)

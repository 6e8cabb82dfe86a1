"""Enters the nodes of a run: connects to all of them at once and reads their facts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from kfinstall import invocation
from kfinstall.engine.fleet import Fleet
from kfinstall.engine.options import Options
from kfinstall.engine.secret_store import SecretStore
from kfinstall.engine.state import ClusterState
from kfinstall.errors import KfError, UsageError
from kfinstall.events import EventBus, NodeConnected, NodeSetAside
from kfinstall.transport import unknown_keys
from kfinstall.transport.base import Host, UnknownKey
from kfinstall.transport.connect import connect_node
from kfinstall.transport.keyring import KeyRing
from kfinstall.transport.route import keys_of
from kfinstall.transport.unknown_keys import UnknownHostKeyError


async def enter_nodes(fleet: Fleet, secrets: SecretStore, state: ClusterState, options: Options, bus: EventBus) -> None:
    """Connect to every node and read its facts; a worker that can't be reached is set aside.

    Raises:
        HostKeyError: host keys are unknown, and nobody accepted them; tells all of them.
        ChangedHostKeyError: a node or a jump host shows another host key than the known one; nothing is run anywhere then.
        KfError: a node that the run can't go on without.
    """
    keys = KeyRing()
    ask = options.host_key_question

    async def question(new_keys: Sequence[UnknownKey]) -> bool:
        # The run stops for a changed one, whatever is answered.
        return ask is not None and not fleet.changed_keys and await ask(new_keys)

    async def enter(name: str) -> Host:
        node = fleet.all_answers.node(name)
        return await connect_node(
            node,
            fleet.all_answers.ssh,
            secrets,
            pins=state.known_hosts,
            on_unknown_key=question if ask is not None else None,
            accept_new=options.accept_new_host_keys,
            dial=options.dial.get(name),
            keys=keys,
            limits=options.limits,
            node_keys=keys_of(fleet.all_answers.nodes),
            on_changed=fleet.changed_keys.meet,
            ssh_config=options.ssh_config,
        )

    names = [node.name for node in fleet.all_answers.nodes if node.name not in options.leave_out]
    results = await asyncio.gather(*(enter(name) for name in names), return_exceptions=True)
    errors: dict[str, KfError] = {}
    for name, result in zip(names, results, strict=True):
        if isinstance(result, KfError):
            errors[name] = result
        elif isinstance(result, BaseException):
            raise result
        else:
            fleet.hosts[name] = result
    fleet.changed_keys.refuse()
    unknown = [error for error in errors.values() if isinstance(error, UnknownHostKeyError)]
    if unknown and not options.tolerant:
        raise unknown_keys.together(unknown)
    errors |= await fleet.read_nodes(fleet.hosts)
    _judge(fleet, errors, options)
    for name in fleet.facts:
        facts = fleet.facts[name]
        cpu = f"{facts.hardware.cpus} CPU, {facts.hardware.memory_bytes / 2**30:.1f} GiB"
        bus.emit(NodeConnected(node=name, description=f"{facts.os.pretty}, {cpu}"))
    for name in options.leave_out:
        errors[name] = UsageError("set aside by the administrator", hint=f"take it in again: {invocation.again()}")
    for name, error in errors.items():
        fleet.leave_out(name, error)
        bus.emit(NodeSetAside(node=name, step="connect.login", reason=error.message))
    await fleet.read_cluster()


def _judge(fleet: Fleet, errors: Mapping[str, KfError], options: Options) -> None:
    """Raise where the run can't go on without the nodes that could not be entered."""
    strict = options.workflow.looks and not options.tolerant
    for name, error in errors.items():
        if strict or name in fleet.required or len(errors) + len(options.leave_out) == len(fleet.all_answers.nodes):
            error.node = error.node or name
            others = [f"{other}: {failure.message}" for other, failure in errors.items() if other != name]
            error.why = "\n".join([*([error.why] if error.why else []), *(f"also {line}" for line in others)])
            raise error

"""Enters the nodes of a run: connects to all of them at once and reads their facts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from kfinstall import invocation
from kfinstall.engine import entering
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
    """Connect to every node and read its facts; a worker that can't be entered is set aside. Before an installation, and in a check, each is told as a finding.

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
    fleet.not_entered = {name: errors[name] for name in names if name in errors}
    if options.workflow.preflight:
        for name, error in fleet.not_entered.items():
            bus.emit(entering.finding(name, error))
    _judge(fleet, fleet.not_entered, options)
    _take(fleet, options, bus)
    await fleet.read_cluster()


def _take(fleet: Fleet, options: Options, bus: EventBus) -> None:
    """Tell which nodes are there, and set the others aside."""
    for name in fleet.facts:
        facts = fleet.facts[name]
        cpu = f"{facts.hardware.cpus} CPU, {facts.hardware.memory_bytes / 2**30:.1f} GiB"
        bus.emit(NodeConnected(node=name, description=f"{facts.os.pretty}, {cpu}"))
    errors = dict(fleet.not_entered)
    for name in options.leave_out:
        errors[name] = UsageError("set aside by the administrator", hint=f"take it in again: {invocation.again()}")
    for name, error in errors.items():
        if options.tolerant and name in fleet.required and name in fleet.not_entered:
            continue  # what the answers say of it goes for the others; the run ends with its error
        fleet.leave_out(name, error)
        bus.emit(NodeSetAside(node=name, step=entering.LOGIN, reason=error.message))


def _judge(fleet: Fleet, errors: Mapping[str, KfError], options: Options) -> None:
    """Raise where the run can't go on without the nodes that could not be entered."""
    if not errors:
        return
    if len(errors) + len(options.leave_out) == len(fleet.all_answers.nodes):
        raise entering.together(errors)
    if options.tolerant:
        return
    strict = options.workflow.looks or (options.strict and options.workflow.preflight)
    if strict or fleet.required & set(errors):
        first = next((name for name in errors if strict or name in fleet.required), "")
        raise entering.together({first: errors[first], **errors})

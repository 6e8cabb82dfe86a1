"""The site of one run: its nodes' connections, what is known of them, and the cluster once there is one."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Final

from kfinstall import invocation, resources
from kfinstall.answers.model import Answers
from kfinstall.engine import limits, plan
from kfinstall.engine.changed_keys import ChangedKeys
from kfinstall.engine.phase import Phase
from kfinstall.errors import ChangedHostKeyError, CommandError, KfError
from kfinstall.facts.model import Facts
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.facts.section import queries
from kfinstall.kube.base import Cluster, ClusterFacts, ListQuery
from kfinstall.releases import Release
from kfinstall.transport import forwarding
from kfinstall.transport.base import Forwarding, Host, Program, Reaching

OpenCluster = Callable[[str, int], AbstractAsyncContextManager[Cluster]]
"""(kubeconfig text, local port that leads to the API server) -> the cluster."""


def open_cluster(kubeconfig: str, port: int) -> AbstractAsyncContextManager[Cluster]:
    """Open the Kubernetes API at 127.0.0.1:`port`; its client is imported only when a cluster is first spoken to."""
    from kfinstall.kube import api

    return api.open_cluster(kubeconfig, port)


API_SERVER_HOST: Final = "127.0.0.1"
API_SERVER_PORT: Final = 6443
"""Where the API server is from the first control plane: what a port is forwarded to."""


def required_nodes(answers: Answers) -> frozenset[str]:
    """Names of the nodes without which a run can't go on: the first control plane, the NFS server's, the registry's."""
    nodes = [answers.first_control_plane, answers.nfs_node]
    if answers.registry.enabled:
        nodes.append(answers.registry_node)
    return frozenset(node.name for node in nodes if node is not None)


def spare_nodes(answers: Answers) -> tuple[str, ...]:
    """Names of the nodes that a run can go on without."""
    required = required_nodes(answers)
    return tuple(node.name for node in answers.nodes if node.name not in required)


class Fleet:
    """Holds what changes during a run: connections, facts, the cluster, and who is set aside."""

    def __init__(self, answers: Answers, release: Release, phases: Sequence[Phase], open_cluster: OpenCluster) -> None:
        """Nothing is connected or read yet.

        `phases`: all whose checks are to be computed; `open_cluster`: how the API is reached.
        """
        self.all_answers = answers
        self.release = release
        self.phases = phases
        self.hosts: dict[str, Host] = {}
        self.facts: dict[str, Facts] = {}
        self.cluster_facts: ClusterFacts | None = None
        self._wants: tuple[ListQuery, ...] = ()
        """The lists that all checks read, as of the last time that all were read."""
        self.surveys: dict[type, object] = {}
        """What was found out between nodes (see Step.survey), by its type."""
        self.set_aside: dict[str, str] = {}
        """Node name to the reason."""
        self.not_entered: dict[str, KfError] = {}
        """Node name to why it could not be entered when the run began; in the order of the answers."""
        self.changed_keys = ChangedKeys()
        """Host keys that were found changed in this run; nothing more may be done then."""
        self.hints: dict[str, str] = {}
        """Node name to what to do about it, for those that are set aside."""
        self.cluster_problem = ""
        """Why the API server of a node that has an admin.conf does not answer."""
        self._open_cluster = open_cluster
        self._cluster: Cluster | None = None
        self._stack = AsyncExitStack()
        self._cluster_lock = asyncio.Lock()

    @property
    def answers(self) -> Answers:
        """The answers without the nodes that are set aside."""
        if not self.set_aside:
            return self.all_answers
        nodes = tuple(node for node in self.all_answers.nodes if node.name not in self.set_aside)
        return self.all_answers.model_copy(update={"nodes": nodes})

    @property
    def required(self) -> frozenset[str]:
        """Nodes without which the run can't go on."""
        return required_nodes(self.all_answers)

    @property
    def situation(self) -> plan.Situation:
        """What is known now."""
        return plan.Situation(self.answers, self.release, dict(self.facts), self.cluster_facts, dict(self.surveys))

    def leave_out(self, node: str, error: KfError) -> None:
        """Set a node aside."""
        self.set_aside[node] = error.message
        self.hints[node] = error.hint
        self.facts.pop(node, None)

    async def read_node(self, name: str) -> Facts:
        """Read one node's facts, in one exec.

        Raises:
            KfError: the connection failed, or the output can't be understood.
        """
        mark = secrets.token_hex(8)
        watch = plan.watch_for(self.situation, self.phases, name)
        known = self.facts.get(name)
        if known is not None and known.network.reachable:
            # Tried once in a run: without a way out every further try would cost its whole limit.
            watch = dataclasses.replace(watch, hosts=frozenset())
        kept = {kind: known.sections[kind] for kind in known.sections if kind.once} if known is not None else {}
        kinds = [kind for kind in plan.reads_for(self.situation, self.phases) if kind not in kept]
        reads = queries(kinds, self.all_answers, name)
        program = facts_program(watch, reads, mark, self.all_answers.proxy)
        begin = time.time()
        done = await self.hosts[name].ask(program, timeout_seconds=limits.FACTS_TIMEOUT_SECONDS)
        if done.status != 0:
            raise CommandError(
                "the facts of the node can't be read",
                node=name,
                status=done.status,
                tail=done.lines[-5:],
                why="\n".join(done.lines[-3:]) or f"exit status {done.status}",
                hint="log in there and look at its disk (df -h) and its log (journalctl -p err -b)",
            )
        facts = parse_facts(name, mark, "\n".join(done.lines), (begin + time.time()) / 2, reads)
        if known is not None and not facts.network.reachable:
            facts = dataclasses.replace(facts, network=dataclasses.replace(facts.network, reachable=known.network.reachable))
        # Once it was allowed it stays so: a connection keeps the configuration that it was made under.
        if (known is None or known.forwarding_refused) and (refused := await self._forwarding_refused(name)):
            facts = dataclasses.replace(facts, forwarding_refused=(refused, *await self._forwarding_settings(name)))
        if kept:
            facts = dataclasses.replace(facts, sections={**facts.sections, **kept})
        self.facts[name] = facts
        return facts

    async def _forwarding_refused(self, name: str) -> str:
        """What a node's sshd says to a connection to its API server, which nothing but the first control plane's is made through."""
        host = self.hosts[name]
        if name != self.all_answers.first_control_plane.name or not isinstance(host, Forwarding):
            return ""
        return await host.forwarding_refused(API_SERVER_HOST, API_SERVER_PORT)

    async def _forwarding_settings(self, name: str) -> tuple[str, ...]:
        program = Program("ask", "connect-forwarding", resources.script("connect/ask-forwarding"))
        done = await self.hosts[name].ask(program, timeout_seconds=limits.FACTS_TIMEOUT_SECONDS)
        return done.lines if done.status == 0 else ()

    async def read_nodes(self, names: Iterable[str]) -> dict[str, KfError]:
        """Read several nodes at once; the errors by node.

        Raises:
            ChangedHostKeyError: a node shows another host key than before; tells all of them.
        """
        wanted = list(dict.fromkeys(names))
        results = await asyncio.gather(*(self.read_node(name) for name in wanted), return_exceptions=True)
        errors: dict[str, KfError] = {}
        for name, result in zip(wanted, results, strict=True):
            if isinstance(result, ChangedHostKeyError):
                self.changed_keys.meet(result)
            if isinstance(result, KfError):
                errors[name] = result
            elif isinstance(result, BaseException):
                raise result
        self.changed_keys.refuse()
        return errors

    async def look_for_changed_keys(self) -> None:
        """Make every lost connection anew, so that all host keys which changed are known, and not only the first that was met."""
        looks = [host.reach() for host in self.hosts.values() if isinstance(host, Reaching)]
        with suppress(TimeoutError):
            async with asyncio.timeout(limits.CHANGED_KEYS_LOOK_SECONDS):
                # What else is wrong with them is of no interest now.
                await asyncio.gather(*looks, return_exceptions=True)

    async def read_cluster(self, wants: Sequence[ListQuery] | None = None) -> None:
        """Read the lists that the checks need (or only some of them); nothing where there is no admin.conf yet."""
        first = self.all_answers.first_control_plane.name
        facts = self.facts.get(first)
        if facts is None or not any(path.endswith("admin.conf") for path in facts.runtime.kubeadm_files):
            self.cluster_facts = None
            return
        try:
            cluster = await self.cluster()
            async with asyncio.timeout(limits.CLUSTER_READ_TIMEOUT_SECONDS):
                if wants is None or self.cluster_facts is None:
                    self.cluster_facts = await self._read_all(cluster)
                else:
                    wants = _with_whole(wants, self._wants)
                    self.cluster_facts = _replaced(self.cluster_facts, await cluster.snapshot(wants), wants)
            self.cluster_problem = ""
        except TimeoutError:
            self.cluster_facts = None
            self.cluster_problem = f"no answer within {limits.CLUSTER_READ_TIMEOUT_SECONDS:.0f} s"
        except KfError as error:
            self.cluster_facts = None
            self.cluster_problem = error.message
            await self.forget_cluster()

    async def _read_all(self, cluster: Cluster) -> ClusterFacts:
        """All lists that checks need; those too that a check only asks for once it knows what is there."""
        wants = plan.wants_for(self.situation, self.phases)
        facts = await cluster.snapshot(wants)
        more = plan.wants_for(dataclasses.replace(self.situation, cluster=facts), self.phases)
        new = tuple(want for want in more if want not in wants)
        self._wants = (*wants, *new)
        return _replaced(facts, await cluster.snapshot(new), new) if new else facts

    async def cluster(self) -> Cluster:
        """The Kubernetes API, through the SSH connection to the first control plane.

        Raises:
            CommandError: there is no cluster yet, or it does not answer.
        """
        async with self._cluster_lock:
            if self._cluster is None:
                name = self.all_answers.first_control_plane.name
                host = self.hosts[name]
                if (known := self.facts.get(name)) is not None and known.forwarding_refused:
                    own = self.all_answers.first_control_plane.ssh
                    user = (own.user if own else None) or self.all_answers.ssh.user or ""
                    reason = known.forwarding_refused[0]
                    raise forwarding.prohibited(API_SERVER_HOST, API_SERVER_PORT, reason, node=name, user=user)
                done = await host.ask(
                    Program("ask", "cluster-admin-conf", resources.script("cluster/ask-admin-conf")),
                    timeout_seconds=limits.FACTS_TIMEOUT_SECONDS,
                )
                if done.status != 0:
                    raise CommandError("there is no cluster yet", node=name, hint=f"make it first: {invocation.cluster()}")
                port = await self._stack.enter_async_context(host.forward(API_SERVER_HOST, API_SERVER_PORT))
                self._cluster = await self._stack.enter_async_context(self._open_cluster("\n".join(done.lines), port))
            return self._cluster

    async def forget_cluster(self) -> None:
        """Close the API connection; the next use opens it anew."""
        async with self._cluster_lock:
            self._cluster = None
            stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()

    async def close(self) -> None:
        """Close every connection. What runs detached on the nodes goes on."""
        await self.forget_cluster()
        await asyncio.gather(*(host.close() for host in self.hosts.values()), return_exceptions=True)


def _with_whole(wants: Sequence[ListQuery], every: Sequence[ListQuery]) -> tuple[ListQuery, ...]:
    """Some lists, and those that other checks read whole of what they give the metadata of: they would lose spec and status."""
    bare = {(want.api_version, want.kind, want.namespace) for want in wants if want.metadata_only}
    covered = (
        want
        for want in every
        if not want.metadata_only and bare & {(want.api_version, want.kind, ""), (want.api_version, want.kind, want.namespace)}
    )
    return tuple(dict.fromkeys((*wants, *covered)))


def _replaced(old: ClusterFacts, new: ClusterFacts, wants: Sequence[ListQuery]) -> ClusterFacts:
    """The old facts with the lists of `wants` taken from the new ones."""
    lists = {(want.api_version, want.kind, want.namespace) for want in wants}
    kept = {
        ref: document
        for ref, document in old.objects.items()
        if (ref.api_version, ref.kind, "") not in lists and (ref.api_version, ref.kind, ref.namespace) not in lists
    }
    return ClusterFacts(new.version or old.version, kept | dict(new.objects))

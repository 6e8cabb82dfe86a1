"""Rules across fields: pure functions of valid answers; each problem says what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from kfinstall import releases
from kfinstall.answers import mirrors, networks, paths
from kfinstall.answers.broken import Broken
from kfinstall.answers.model import Answers, SecretRef, Ssh
from kfinstall.answers.suggest import meant
from kfinstall.answers.types import host_address

_KUBERNETES_PORTS: Final = {
    6443: "the API server",
    2379: "etcd",
    2380: "etcd",
    10248: "the kubelet",
    10250: "the kubelet",
    10256: "kube-proxy",
    10257: "the controller manager",
    10259: "the scheduler",
    179: "Calico",
    5473: "Calico",
    22: "sshd",
    2049: "NFS",
    111: "NFS",
}
_SYSTEM_NAMESPACES: Final = (
    *("auth", "calico-system", "cert-manager", "default", "istio-system", "kfinstall", "knative-serving", "kube-node-lease"),
    *("kube-public", "kube-system", "kubeflow", "kubeflow-system", "local-path-storage", "oauth2-proxy", "tigera-operator"),
)
_LONGEST_NAMESPACE: Final = 63
_ETCD_SIZES: Final = (1, 3, 5, 7)


def problems(answers: Answers, *, without: frozenset[str] = frozenset()) -> list[Broken]:
    """All rules that do not hold; only those of roles where there is no control plane, since all else hangs on it.

    Rules that look at a section of `without` are left out: what it says is not known.
    """
    if not answers.control_planes:
        return list(_roles(answers))
    return [broken for rule, sections in _RULES.items() if not sections & without for broken in rule(answers)]


def _roles(answers: Answers) -> Iterator[Broken]:
    count = len(answers.control_planes)
    if count == 0:
        yield Broken(("nodes",), "no node has the role control-plane; give it to one: roles: [control-plane]")
    elif count not in _ETCD_SIZES:
        yield Broken(
            ("nodes",), f"{count} control-plane nodes; etcd needs 1, 3 or 5 to decide by majority, so make one a worker or add one"
        )
    elif count > 1 and answers.cluster.api_endpoint is None:
        yield Broken(
            ("cluster", "apiEndpoint"),
            f"{count} control planes need cluster.apiEndpoint, the host:port of a load balancer in front of them",
        )
    if not any("worker" in node.roles for node in answers.nodes):
        yield Broken(("nodes",), "no node has the role worker, so nothing could run; write roles: [control-plane, worker] for one")
    for index, node in enumerate(answers.nodes):
        if not node.roles:
            yield Broken(("nodes", index, "roles"), f"{node.name} has no role while others have; write [worker] or [control-plane]")
        elif len(set(node.roles)) != len(node.roles):
            yield Broken(("nodes", index, "roles"), "a role is named twice")


def _unique(answers: Answers) -> Iterator[Broken]:
    names: dict[str, int] = {}
    addresses: dict[str, str] = {}
    local = ""
    for index, node in enumerate(answers.nodes):
        if node.name in names:
            yield Broken(("nodes", index, "name"), f"{node.name} is named twice; names must differ")
        if node.address in addresses:
            yield Broken(("nodes", index, "address"), f"{node.address} is {addresses[node.address]}'s address already")
        if node.name == "cluster":
            yield Broken(
                ("nodes", index, "name"), "a node can't be called 'cluster'; kfinstall means the whole cluster by that word"
            )
        if node.local and local:
            yield Broken(("nodes", index, "local"), f"{local} is this machine already; only one node can be local")
        local = node.name if node.local else local
        names[node.name] = index
        addresses[node.address] = node.name


def _release(answers: Answers) -> Iterator[Broken]:
    name = answers.cluster.release
    plain = name.removeprefix("v")
    # The old guide says 1.6, which was 1.6.0 and 1.6.1: refused for the reason of the newest of them.
    of_it = [known for known in releases.names() if known == plain or known.startswith(f"{plain}.")]
    if name not in releases.names() and of_it and (old := releases.load(of_it[-1])).refused:
        yield Broken(("cluster", "release"), f"{name} can't be installed any more: {old.refused}; take {old.instead}")
        return
    if name not in releases.names():
        good = [known for known in releases.names() if not releases.load(known).refused]
        yield Broken(("cluster", "release"), f"there is no release {name}{meant(name, good)}")
        return
    release = releases.load(name)
    if release.refused:
        yield Broken(("cluster", "release"), f"{name} can't be installed any more: {release.refused}; take {release.instead}")
        return
    if answers.kubeflow.release not in (None, name):
        yield Broken(("kubeflow", "release"), f"must be cluster.release, {name!r}; change that one, or take this key out")
    window, wanted = release.kubernetes, answers.cluster.kubernetes_version
    if window is not None and wanted is not None:
        minor = int(wanted.split(".")[1])
        low, high = (int(bound.split(".")[1]) for bound in (window.minimum, window.maximum))
        if not low <= minor <= high:
            fits = window.minimum if low == high else f"{window.minimum} to {window.maximum}"
            yield Broken(
                ("cluster", "kubernetesVersion"), f"release {name} runs on Kubernetes {fits}, not {wanted}; take {window.default}"
            )
    yield from _components(answers, release)
    yield from _proofs(answers, release)


def _proofs(answers: Answers, release: releases.Release) -> Iterator[Broken]:
    requested, row = answers.kubeflow.proofs, release.kubeflow
    if row is None or isinstance(requested, str) or not answers.kubeflow.enabled:
        return
    chosen = _with_needs(row, _chosen(answers))
    for index, name in enumerate(requested):
        path = ("kubeflow", "proofs", index)
        if name in requested[:index]:
            yield Broken(path, f"{name} stands in the list twice")
        elif name not in chosen:
            yield Broken(path, f"kubeflow.components leaves {name} out; add it there, or take it out here")


def _with_needs(row: releases.KubeflowRow, names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in row.components and name not in found:
            found.add(name)
            left += row.components[name].needs
    return found


def _components(answers: Answers, release: releases.Release) -> Iterator[Broken]:
    chosen = answers.kubeflow.components
    if release.kubeflow is None or isinstance(chosen, str):
        return
    known = release.kubeflow.components
    if not chosen:
        yield Broken(
            ("kubeflow", "components"),
            "no component is chosen; write a preset such as mini, or turn Kubeflow off (kubeflow.enabled)",
        )
    for index, name in enumerate(chosen):
        path = ("kubeflow", "components", index)
        if name not in known:
            yield Broken(path, f"there is no component {name!r}{meant(name, known)}")
        else:
            missing = [need for need in known[name].needs if need not in chosen]
            if name in chosen[:index]:
                yield Broken(path, f"{name} stands in the list twice")
            elif missing:
                yield Broken(path, f"{name} needs {', '.join(missing)}; add {'it' if len(missing) == 1 else 'them'} to the list")


def _notebook_images(answers: Answers) -> Iterator[Broken]:
    wanted = answers.kubeflow.notebook_images
    if not answers.kubeflow.enabled or answers.cluster.release not in releases.names():
        return
    release = releases.load(answers.cluster.release)
    if release.refused:
        return
    for index, name in enumerate(wanted):
        path = ("kubeflow", "notebookImages", index)
        if name in wanted[:index]:
            yield Broken(path, f"{name} stands in the list twice")
        elif name not in release.fitting_notebooks:
            pythons = " and ".join(release.notebooks[name].pythons)
            yield Broken(
                path, f"{name} works with Python {pythons}; the notebooks of {release.name} have {release.notebook_python}"
            )
    if wanted and "notebooks" not in _chosen(answers):
        yield Broken(("kubeflow", "notebookImages"), "kubeflow.components leaves notebooks out; add it there, or take this key out")
    if wanted and not answers.registry.enabled:
        yield Broken(
            ("kubeflow", "notebookImages"), "they are kept in the own registry, which is disabled; enable it, or take this key out"
        )


def _storage(answers: Answers) -> Iterator[Broken]:
    if answers.storage.type == "local-path" and answers.spark.enabled:
        yield Broken(
            ("storage", "type"),
            "local-path has no ReadWriteMany, which Spark's shared volume needs; write type: nfs, or spark: {enabled: false}",
        )
    server = answers.storage.nfs.server
    if answers.storage.type == "nfs" and server is not None and answers.nfs_node is None and not _is_foreign(server):
        names = [node.name for node in answers.nodes]
        message = f"{server!r} is neither a node nor an address of an existing server{meant(server, names)}"
        yield Broken(("storage", "nfs", "server"), message)


def _is_foreign(server: str) -> bool:
    """Whether it can be the address of a server that is no node; a word without a dot is taken for a mistyped node."""
    try:
        host_address(server)
    except ValueError:
        return False
    return "." in server or ":" in server


def _registry(answers: Answers) -> Iterator[Broken]:
    registry = answers.registry
    if registry.node is not None and registry.node not in {node.name for node in answers.nodes}:
        names = [node.name for node in answers.nodes]
        yield Broken(("registry", "node"), f"there is no node {registry.node!r}{meant(registry.node, names)}")
        return
    if not registry.enabled:
        if answers.spark.enabled and answers.spark.image is None:
            yield Broken(("registry", "enabled"), "Spark's image is kept in the registry; enable it, or name spark.image")
        return
    if registry.port in _KUBERNETES_PORTS or 30000 <= registry.port <= 32767:
        owner = _KUBERNETES_PORTS.get(registry.port, "Services of type NodePort")
        yield Broken(("registry", "port"), f"{registry.port} is used by {owner}; take for example 5000")
    if registry.insecure and not registry.password.generate:
        yield Broken(("registry", "password"), "an insecure registry has no login; take password out, or insecure: true")


def _access(answers: Answers) -> Iterator[Broken]:
    tls, access = answers.kubeflow.tls, answers.kubeflow.access
    if not answers.kubeflow.enabled:
        return
    if not tls.enabled and access.type != "port-forward":
        yield Broken(
            ("kubeflow", "tls", "enabled"),
            f"plain HTTP over {access.type} breaks every form (cookies are Secure) and sends passwords in clear; enable tls, or use port-forward",
        )
    if (tls.certificate is None) != (tls.key is None):
        missing = "key" if tls.key is None else "certificate"
        yield Broken(("kubeflow", "tls", missing), "certificate and key belong together; give both, or neither for an own CA")


def _spark(answers: Answers) -> Iterator[Broken]:
    spark = answers.spark
    if not spark.enabled:
        return
    if not answers.kubeflow.enabled and spark.operator:
        yield Broken(("spark", "operator"), "the Spark operator comes with Kubeflow, which is disabled; write operator: false")
    elif spark.operator and "spark-operator" not in _chosen(answers):
        yield Broken(("spark", "operator"), "kubeflow.components leaves spark-operator out; add it there, or write operator: false")
    if not answers.kubeflow.enabled and spark.namespace == answers.profile_namespace:
        yield Broken(
            ("spark", "namespace"),
            f"{spark.namespace} is the profile of the Kubeflow user, and Kubeflow is disabled; take the key out, or name another",
        )
    elif spark.namespace in _SYSTEM_NAMESPACES:
        yield Broken(("spark", "namespace"), f"{spark.namespace} belongs to the system; name one of its own, for example spark")
    if not (spark.operator or spark.submit):
        yield Broken(("spark", "submit"), "with neither submit nor operator nothing could start an application; enable one")


def _profile(answers: Answers) -> Iterator[Broken]:
    if len(answers.profile_namespace) > _LONGEST_NAMESPACE:
        yield Broken(
            ("kubeflow", "user", "email"),
            f"the profile's namespace {answers.profile_namespace} would be longer than {_LONGEST_NAMESPACE}; take a shorter address",
        )


def _chosen(answers: Answers) -> tuple[str, ...]:
    components = answers.kubeflow.components
    if not isinstance(components, str):
        return components
    try:
        row = releases.load(answers.cluster.release).kubeflow
    except KeyError:
        row = None
    # A release that is unknown or refused is told by its own rule.
    return row.presets.get(components, ()) if row is not None else ("spark-operator",)


def _ways(answers: Answers) -> Iterator[Broken]:
    for index, node in enumerate(answers.nodes):
        hops = node.ssh.jump_hosts if node.ssh and node.ssh.jump_hosts is not None else answers.ssh.jump_hosts
        if any(hop.address == node.address for hop in hops) and not node.local:
            yield Broken(("nodes", index, "address"), f"{node.name} is its own jump host; write ssh: {{jumpHosts: []}} for it")


def _aliases(answers: Answers) -> Iterator[Broken]:
    for index, node in enumerate(answers.nodes):
        if node.ssh is not None and node.ssh.host is not None and answers.ssh.use_ssh_config is False:
            yield Broken(
                ("nodes", index, "ssh", "host"),
                f"{node.ssh.host} is looked up in ~/.ssh/config, which ssh.useSshConfig leaves out when it is false; take one of the two out",
            )


def _secrets(answers: Answers) -> Iterator[Broken]:
    """A password that a machine has already can't be made up."""
    refs = list(_ssh_secrets(answers.ssh, ("ssh",)))
    for index, node in enumerate(answers.nodes):
        if node.ssh is not None:
            own = Ssh(password=node.ssh.password, sudo_password=node.ssh.sudo_password, jump_hosts=node.ssh.jump_hosts or ())
            refs += _ssh_secrets(own, ("nodes", index, "ssh"))
    for path, ref in refs:
        if ref is not None and ref.generate:
            yield Broken(path, "can't be generated, the machine has it already; write {env: NAME}, {file: path} or {prompt: true}")


def _ssh_secrets(ssh: Ssh, path: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], SecretRef | None]]:
    yield (*path, "passphrase"), ssh.passphrase
    yield (*path, "password"), ssh.password
    yield (*path, "sudoPassword"), ssh.sudo_password
    for index, hop in enumerate(ssh.jump_hosts):
        yield (*path, "jumpHosts", index, "password"), hop.password


_RULES: Final[dict[Callable[[Answers], Iterator[Broken]], frozenset[str]]] = {
    _roles: frozenset({"nodes", "cluster"}),
    _unique: frozenset({"nodes"}),
    networks.problems: frozenset({"nodes", "cluster", "storage"}),
    _release: frozenset({"cluster", "kubeflow"}),
    _notebook_images: frozenset({"cluster", "kubeflow", "registry"}),
    _storage: frozenset({"nodes", "storage", "spark"}),
    _registry: frozenset({"nodes", "registry", "storage", "spark"}),
    mirrors.problems: frozenset({"nodes", "registry", "cluster"}),
    paths.problems: frozenset({"nodes", "registry", "storage"}),
    _access: frozenset({"kubeflow"}),
    _spark: frozenset({"spark", "kubeflow", "cluster"}),
    _profile: frozenset({"kubeflow"}),
    _ways: frozenset({"nodes", "ssh"}),
    _aliases: frozenset({"nodes", "ssh"}),
    _secrets: frozenset({"nodes", "ssh"}),
}
"""Each rule with the sections of the answers that it looks at."""

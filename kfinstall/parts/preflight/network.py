"""The server's network: overlaps with pods and Services, names, ways out, firewall."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final
from urllib.parse import urlsplit

from kfinstall.answers.fragment import setting
from kfinstall.answers.mirrors import DEFAULT_MIRROR
from kfinstall.diagnose.symptoms import registry_of
from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Fix, Severity, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight import barriers, limits, membership, proxies, tls
from kfinstall.parts.preflight.facts import Filter, Proxies, Ways, images_from_hub
from kfinstall.text import sha256, shell

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_ALWAYS: Final = ("https://pkgs.k8s.io",)
_KUBERNETES_REGISTRY: Final = "registry.k8s.io"
_KUBEFLOW_REGISTRIES: Final = ("docker.io", "ghcr.io", "quay.io", "gcr.io")
_DOCKER_HUB: Final = "https://registry-1.docker.io"
_STUBS: Final = frozenset({"127.0.0.53", "127.0.0.54"})
"""systemd-resolved's own addresses, which say nothing: the servers that it asks are told beside them."""
_CANDIDATES: Final = ("10.244.0.0/16", "172.30.0.0/16", "10.42.0.0/16", "192.168.128.0/17", "100.64.0.0/16", "10.128.0.0/16")
_TCP_PORTS: Final = "5473, 10250, 30000-32767"
_TCP_PORTS_CONTROL_PLANE: Final = f"2379-2380, 6443, {_TCP_PORTS}"
_UDP_PORTS: Final = "4789"
_OPENED_FILE: Final = "/var/lib/kfinstall/proofs/mend-firewall.json"
"""What scripts/preflight/mend-firewall.sh let through."""


def _urls(view: View) -> frozenset[str]:
    """What the node has to reach for the plan: packages, registries or their mirrors, and downloads on the first control plane."""
    answers, release = view.answers, view.release
    registries = {_KUBERNETES_REGISTRY, *(registry_of(image) for image in release.images.values())}
    if answers.kubeflow.enabled:
        registries.update(_KUBEFLOW_REGISTRIES)
    urls = set(_ALWAYS)
    for registry in registries:
        mirror = answers.registry.mirrors.get(registry, answers.registry.mirrors.get(DEFAULT_MIRROR, ""))
        urls.update({mirror} - {""})
        # A mirror over plain HTTP is never asked which image a tag means: the registry itself has to answer that.
        if not mirror.startswith("https://"):
            urls.add(_DOCKER_HUB if registry == "docker.io" else f"https://{registry}")
    if view.target == answers.first_control_plane.name:
        sources = [artifact.url for artifact in release.artifacts.values()]
        if release.kubeflow is not None and answers.kubeflow.enabled:
            sources.append(release.kubeflow.repository)
        split = [urlsplit(source) for source in sources if source.startswith(("https://", "http://"))]
        urls.update(f"{part.scheme}://{part.netloc}" for part in split)
    return frozenset(url.rstrip("/") for url in urls if "{" not in url)


def _networks(view: View) -> Iterator[tuple[_Network, str]]:
    """Networks that pods and Services must not touch, with their names."""
    for name, facts in view.fleet.items():
        whose = "this server" if name == view.target else name
        for address in facts.network.addresses:
            yield ipaddress.ip_interface(address).network, f"the address {address} of {whose}"
    for route in view.facts.network.routes:
        yield ipaddress.ip_network(route), f"the route to {route} of this server"
    for node in view.answers.nodes:
        try:
            yield ipaddress.ip_network(node.address), f"the address of {node.name}"
        except ValueError:
            continue  # a DNS name


def _overlap(first: _Network, second: _Network) -> bool:
    return first.version == second.version and first.overlaps(second)


def _free_range(view: View) -> str:
    taken = [network for network, _name in _networks(view)]
    taken += [ipaddress.ip_network(view.answers.cluster.pod_cidr), ipaddress.ip_network(view.answers.cluster.service_cidr)]
    for text in _CANDIDATES:
        if not any(_overlap(ipaddress.ip_network(text), network) for network in taken):
            return text
    return ""


def _other_range(view: View, key: str) -> str:
    free = _free_range(view)
    return setting(key, free) if free else f"give {key} in the answers a range that nothing uses"


def _overlaps(view: View) -> Iterator[Finding]:
    cluster = view.answers.cluster
    for key, title, text in (
        ("cluster.podCIDR", "the pods' network", cluster.pod_cidr),
        ("cluster.serviceCIDR", "the Services' network", cluster.service_cidr),
    ):
        touched = [name for network, name in _networks(view) if _overlap(ipaddress.ip_network(text), network)]
        if touched:
            hint = _other_range(view, key)
            yield Finding(f"{title} {text} overlaps {touched[0]}", hint, name="networks-overlap", severity=Severity.BLOCKING)


def _gateway(view: View) -> str:
    """The usual place of a gateway: the first address of the server's own network."""
    for address in view.facts.network.addresses:
        network = ipaddress.ip_interface(address).network
        if network.version == 4 and network.num_addresses > 2:
            return str(network.network_address + 1)
    return "192.168.0.1"


def _names_and_routes(view: View) -> Iterator[Finding]:
    network, proxy = view.facts.network, view.answers.proxy
    loopback = {address for address in network.resolvers if address.startswith("127.") or address == "::1"}
    if loopback - _STUBS and loopback == set(network.resolvers):
        text = f"the only name server is this machine's own {', '.join(sorted(loopback))}: CoreDNS would ask itself in a loop"
        hint = f"echo nameserver {_gateway(view)} | sudo tee -a /etc/resolv.conf  # or your own name server"
        yield Finding(text, hint, warning=True, name="no-name-server")
    elif loopback == set(network.resolvers):
        yield Finding(
            "no name server is set, so neither images nor CoreDNS will work",
            f"echo nameserver {_gateway(view)} | sudo tee -a /etc/resolv.conf  # or your own name server",
            warning=bool(proxy.http or proxy.https),
            name="no-name-server",
        )
    if network.addresses and not network.default_route:
        text = "there is no default route; kubeadm and Calico may choose a wrong address"
        yield Finding(
            text,
            f"sudo ip route add default via {_gateway(view)}  # and the same in /etc/netplan",
            warning=True,
            name="default-route",
        )
    hosts = {address.partition("/")[0] for address in network.addresses}
    try:
        own = str(ipaddress.ip_address(view.node.address))
    except ValueError:
        return
    if hosts and own not in hosts and not ipaddress.ip_address(own).is_loopback:
        text = f"{own} is not an address of the server itself ({', '.join(sorted(hosts))}): is there address translation?"
        yield Finding(
            text,
            f"give {view.target} an address in the answers, under nodes, that the other servers reach",
            warning=True,
            name="own-address",
        )


def _egress(view: View) -> Iterator[Finding]:
    reachable: Mapping[str, str] = view.facts.network.reachable
    proxy = bool(view.answers.proxy.http or view.answers.proxy.https)
    failed = {url: reachable[url] for url in sorted(_urls(view)) if reachable.get(url, "ok") != "ok"}
    trusted = {url: reason for url, reason in failed.items() if not tls.about(reason)}
    yield from tls.findings({url: reason for url, reason in failed.items() if url not in trusted})
    if not trusted:
        return
    hosts: dict[str, list[str]] = {}
    for url, reason in trusted.items():
        hosts.setdefault(reason, []).append(url)
    # All of them: whoever opens a firewall is asked once.
    each = "; ".join(f"{', '.join(urls)}: {reason}" for reason, urls in hosts.items())
    own = proxies.proposed(view)
    fix = f"curl -sSI {next(iter(trusted))}"
    if own:
        fix += f"\n{own}"
    elif all("resolve host" in reason for reason in trusted.values()):
        fix = f"getent hosts {urlsplit(next(iter(trusted))).hostname}\nresolvectl status  # which name servers are asked, and whether they answer"
    else:
        mirror = f"{setting('registry.mirrors', {'docker.io': 'https://your-mirror'})}  # another host for these images"
        way = f"{setting('proxy.https', 'http://your-proxy:3128')}  # if there is one\n"
        fix += f"\n{'' if proxy else way}{mirror}"
    yield Finding(f"not to be reached: {each}", fix, warning=proxy or membership.member(view), name="ways-out")


def _nfs(view: View) -> Iterator[Finding]:
    for (host, port), open_ in view.fact(Ways).ports.items():
        if not open_ and host == view.answers.storage.nfs.server:
            text = f"the NFS server {host} takes no connection from here on TCP {port}: no volume could be mounted on this server"
            hint = f"showmount -e {shell(host)}\non {host}: sudo systemctl status nfs-server; sudo exportfs -v; and its firewall"
            yield Finding(text, hint, name="nfs-server")


def _pull_limit(view: View) -> Iterator[Finding]:
    hub = view.fact(Ways).hub
    if hub is None or membership.member(view):
        return
    left, of = hub
    needed = images_from_hub(view.release.images) + limits.HUB_PULLS_ROOM
    if left < needed:
        text = f"Docker Hub grants this address {left} more pulls now (of {of} in six hours); about {needed} are needed"
        hint = f"{setting('registry.mirrors', {'docker.io': 'https://your-mirror'})}  # or wait: the limit is of the address that all servers share"
        yield Finding(text, hint, warning=True, name="pull-limit")


def _sources(view: View) -> str:
    """Who has to come through: the other servers, and the pods."""
    others = [node.address for node in view.answers.nodes if node.name != view.target]
    return " ".join([*others, view.answers.cluster.pod_cidr])


def _firewall(view: View) -> Iterator[Finding]:
    firewall = view.facts.network.firewall
    if not firewall or view.facts.has_file(_OPENED_FILE, sha256(f"{firewall} {_sources(view)}\n")):
        return
    ports = _TCP_PORTS_CONTROL_PLANE if "control-plane" in view.node.roles else _TCP_PORTS
    sources = _sources(view).split()
    if firewall == "ufw":
        commands = [f"sudo ufw allow from {source}" for source in sources] + ["sudo ufw default allow routed"]
    else:
        commands = [f"sudo firewall-cmd --permanent --zone=trusted --add-source={source}" for source in sources]
        commands.append("sudo firewall-cmd --reload")
    text = f"the firewall {firewall} is active; the other servers need TCP {ports} and UDP {_UDP_PORTS}"
    offer = Fix(
        f"let the other servers and the pods through {firewall}",
        "mend-firewall",
        (("FIREWALL", firewall), ("SOURCES", _sources(view))),
    )
    yield Finding(text, "\n".join(commands), warning=True, fix=offer, name="firewall")


class PreflightNetwork(Step):
    """Networks of pods and Services that overlap nothing, names and routes, every host that something is fetched from and what stands before it (proxies, TLS inspection, pull limits, the NFS server), and firewalls between the servers, whoever wrote their rules."""

    id: ClassVar[str] = "preflight.network"
    title: ClassVar[str] = "Check the network"
    danger: ClassVar[Danger] = Danger.NONE
    reads = (Filter, Proxies, Ways)
    names = (
        "packet-filter-rules",
        "networks-overlap",
        "no-name-server",
        "default-route",
        "own-address",
        "ways-out",
        "tls-inspection",
        "certificates",
        "unnamed-proxy",
        "no-proxy",
        "nfs-server",
        "pull-limit",
        "firewall",
        "packet-filter",
    )

    def watch(self, view: View) -> NodeQuery:
        """The hosts that the plan needs, and whose member the node is."""
        return membership.WATCH | NodeQuery(hosts=_urls(view), files=frozenset({_OPENED_FILE}))

    def check(self, view: View) -> Check:
        """Satisfied where nothing overlaps, names resolve, every host of the plan answers and no firewall is in the way."""
        missing = not_read(view)
        if missing is not None:
            return missing
        found = [*_overlaps(view), *_names_and_routes(view), *_egress(view), *proxies.findings(view)]
        found += [*_nfs(view), *_pull_limit(view), *_firewall(view), *barriers.findings(view)]
        cluster, tried = view.answers.cluster, len(view.facts.network.reachable)
        evidence = f"pods {cluster.pod_cidr} and Services {cluster.service_cidr} touch nothing; {tried} hosts answer; no firewall"
        return verdict(found, evidence)

"""Rules across fields: each one broken on purpose, each says which key and what to write instead."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfinstall import releases
from kfinstall.answers.load import loads, problems
from kfinstall.answers.model import Answers
from kfinstall.answers.save import dump

NODES = "nodes:\n  - {name: a, address: 192.168.0.1}\n  - {name: b, address: 192.168.0.2}\n"


def problems_in(text):
    return [problem.text("f").split(": ", 1)[1] for problem in problems(text)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            "cluster: {podCIDR: 127.0.0.0/16}",
            "cluster.podCIDR: 127.0.0.0/16 overlaps 127.0.0.0/8 (loopback); take for example 10.244",
        ),
        ("cluster: {serviceCIDR: 169.254.0.0/16}", "link-local"),
        ("cluster: {podCIDR: 239.0.0.0/16}", "multicast"),
        ("cluster: {podCIDR: 172.17.0.0/16, runtime: docker}", "Docker's own bridge"),
        ("cluster: {podCIDR: 10.244.0.0/24}", "too small: each of 2 nodes takes a /24"),
        (
            "cluster: {serviceCIDR: 10.0.0.0/9, podCIDR: 10.244.0.0/16}",
            "serviceCIDR: 10.0.0.0/9 is too large; take one from /12 to /24",
        ),
        ("cluster: {serviceCIDR: 10.96.0.0/28}", "too small; take one from /12 to /24"),
        ("cluster: {podCIDR: 'fd00:1::/64', serviceCIDR: 'fd00:2::/112'}", "nodes.0.address: 192.168.0.1 is IPv4 and podCIDR IPv6"),
        ("storage: {nfs: {server: 10.244.3.4}}", "podCIDR: 10.244.0.0/16 holds the NFS server's address 10.244.3.4"),
        ("storage: {nfs: {server: 'a b.c'}}", "neither a node"),
        ("storage: {nfs: {path: /etc}}", "storage.nfs.path: /etc lies in /etc, which is the system's"),
        ("storage: {nfs: {path: /var}}", "/var holds the system's /var/lib/apt"),
        ("registry: {directory: /var/lib/docker/registry}", "registry.directory: /var/lib/docker/registry lies in /var/lib/docker"),
        ("registry: {directory: /srv}", "/srv lies in the NFS export /srv/nfs/kubeflow, or around it"),
        (
            "storage: {type: local-path, localPath: {directory: /srv/v}}\nspark: {enabled: false}\nregistry: {directory: /srv/v/r}",
            "registry.directory: /srv/v/r lies in the volumes' directory /srv/v",
        ),
        ("registry: {node: b, directory: /srv/nfs/kubeflow/r}", None),
        ("registry: {enabled: false}", "registry.enabled: Spark's image is kept in the registry; enable it, or name spark.image"),
        ("registry: {enabled: false}\nspark: {image: 'docker.io/library/spark:3.5.2'}", None),
        ("registry: {mirrors: {docker.io/library: 'https://mirror.example'}}", "'docker.io/library' is not a registry host"),
        ("registry: {mirrors: {docker.io/library: 'https://mirror.example'}}", "write docker.io"),
        ("registry: {mirrors: {'..': 'https://m.example'}}", "registry.mirrors...: '..' is not a registry host"),
        ("registry: {mirrors: {'.': 'https://m.example'}}", "'.' is not a registry host"),
        ("registry: {mirrors: {'': 'https://m.example'}}", "a key must be plain text"),
        ('registry: {mirrors: {"x\\nvar": "https://m.example"}}', "is not a registry host"),
        ('registry: {mirrors: {"x\\ty": "https://m.example"}}', "is not a registry host"),
        ("registry: {mirrors: {'a/../../etc': 'https://m.example'}}", "is not a registry host"),
        (
            "registry: {mirrors: {'https://quay.io': 'https://m.example'}}",
            "'https://quay.io' is not a registry host such as docker.io or registry.example.com:5000; write quay.io",
        ),
        ("registry: {mirrors: {Quay.io: 'https://m.example'}}", "write quay.io"),
        (
            "registry: {mirrors: {registry-1.docker.io: 'https://m.example'}}",
            "images of Docker Hub are named docker.io: write docker.io",
        ),
        ("registry: {mirrors: {index.docker.io: 'https://m.example'}}", "write docker.io"),
        ("registry: {mirrors: {'*': 'https://m.example'}}", "every registry without a key of its own is _default"),
        ("registry: {mirrors: {'quay.io:99999': 'https://m.example'}}", "is not a registry host"),
        ("registry: {mirrors: {'-x': 'https://m.example'}}", "is not a registry host"),
        ("registry: {mirrors: {_default: 'https://m.example'}}", None),
        (
            "registry: {mirrors: {'registry.corp:5000': 'https://m.example', '[fd00::1]:5000': 'https://m.example', localhost: 'https://m.example'}}",
            None,
        ),
        (
            "registry: {mirrors: {docker.io: 'https://m.example/v2/hub', quay.io: 'http://m.example:5000/', ghcr.io: 'https://[fd00::1]:8443'}}",
            None,
        ),
        ("registry: {mirrors: {docker.io: 'https://m.example?x'}}", "the mirror is not a URL"),
        ("registry: {mirrors: {docker.io: 'https://m.example/#a'}}", "the mirror is not a URL"),
        ("registry: {mirrors: {docker.io: 'https://m.example/a/../b'}}", "the mirror is not a URL"),
        ('registry: {mirrors: {docker.io: "https://m.example/\\"]"}}', "the mirror is not a URL"),
        ("registry: {mirrors: {docker.io: 'https://m.example:x'}}", "the mirror is not a URL"),
        ("registry: {mirrors: {docker.io: 'https://-'}}", "the mirror is not a URL"),
        (
            "registry: {enabled: false, mirrors: {'..': 'https://m.example'}}\nspark: {enabled: false}",
            "'..' is not a registry host",
        ),
        ("registry: {mirrors: {'192.168.0.1:5000': 'https://m.example'}}", "is the registry that the cluster gets of its own"),
        (
            "cluster: {runtime: docker}\nregistry: {mirrors: {quay.io: 'https://m.example'}}",
            "Docker has mirrors for docker.io only, so images of quay.io would not come from there",
        ),
        (
            "cluster: {runtime: docker}\nregistry: {mirrors: {_default: 'https://m.example'}}",
            "so images of other registries would not",
        ),
        (
            "cluster: {runtime: docker}\nregistry: {mirrors: {docker.io: 'https://m.example/v2/hub'}}",
            "Docker takes a mirror without a path",
        ),
        ("cluster: {runtime: docker}\nregistry: {mirrors: {docker.io: 'http://m.example'}}", "anybody in between can answer"),
        ("cluster: {runtime: docker}\nregistry: {mirrors: {docker.io: 'https://m.example'}}", None),
        (
            "kubeflow: {components: []}\nspark: {operator: false}",
            "no component is chosen; write a preset such as mini, or turn Kubeflow off (kubeflow.enabled)",
        ),
        (
            "kubeflow: {components: [namespaces, namespaces]}\nspark: {operator: false}",
            "components.1: namespaces stands in the list twice",
        ),
        (
            "kubeflow: {components: [namespaces, istio, dex]}\nspark: {operator: false}",
            "components.2: dex needs oauth2-proxy; add it",
        ),
        (
            "kubeflow: {enabled: false}\nspark: {operator: false, namespace: kubeflow-user-example-com}",
            "Kubeflow is disabled; take the key",
        ),
        ("kubeflow: {enabled: false}\nspark: {operator: false}", None),
        ("spark: {namespace: kube-system}", "spark.namespace: kube-system belongs to the system"),
        ("spark: {image: 'docker.io/library/spark:latest'}", "not latest"),
        ("spark: {image: docker.io/library/spark}", "not an image with a tag or a digest"),
        ("spark: {image: 'spark:3.5.2;rm -rf /'}", "not an image"),
        (f"kubeflow: {{user: {{email: {'x' * 60}@example.com}}}}", "kubeflow.user.email: the profile's namespace"),
        ("ssh: {sudoPassword: {generate: true}}", "ssh.sudoPassword: can't be generated, the machine has it already"),
        ("ssh: {jumpHosts: [{address: j, password: {generate: true}}]}", "ssh.jumpHosts.0.password: can't be generated"),
        ("ssh: {user: -oProxyCommand=x}", "is not a login name"),
        ("ssh: {user: 'a b'}", "is not a login name"),
        ("registry: {user: 'a:b'}", "registry.user: 'a:b' is not a login name"),
        ("proxy: {noProxy: ['a, b']}", "one per item of the list"),
        ("kubeflow: {tls: {key: k.pem}}", "kubeflow.tls.certificate: certificate and key belong together"),
        ("cluster: {release: 1.8.1}", "take 26.03"),
        ("cluster: {release: 1.11.0, kubernetesVersion: '1.35'}", "release 1.11.0 runs on Kubernetes 1.32 to 1.34, not 1.35"),
    ],
)
def test_each_rule_names_its_key_and_the_way_out(more, expected):
    found = problems_in(NODES + more + "\n")
    if expected is None:
        assert found == []
    else:
        assert any(expected in line for line in found), found


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("[{name: a, address: 127.0.0.1, local: true}]", "nodes.0.address: 127.0.0.1 can't be reached by the other nodes"),
        ("[{name: a, address: localhost}]", "nodes.0.address: localhost can't be reached"),
        ("[{name: a, address: 'fe80::1%eth0'}]", "write the address without '%'"),
        ("[{name: a, address: 'fd00::1'}]", "is IPv6 and podCIDR IPv4; all must be of one kind"),
        ("[{name: a, address: 10.0.0.1, roles: [control-plane]}]", "no node has the role worker"),
        (
            "[{name: a, address: 10.0.0.1, roles: []}, {name: b, address: 10.0.0.2, roles: [control-plane, worker]}]",
            "a has no role",
        ),
        ("[{name: a, address: 10.0.0.1, local: true}, {name: b, address: 10.0.0.2, local: true}]", "a is this machine already"),
        ("[{name: a, address: 10.0.0.1, roles: [worker, control-plane, worker]}]", "nodes.0.roles: a role is named twice"),
        ("[{name: cluster, address: 10.0.0.1}]", "can't be called 'cluster'"),
        ("[{name: a, address: 10.0.0.1, ssh: {password: {generate: true}}}]", "nodes.0.ssh.password: can't be generated"),
        ("[{name: a, address: HOST.example.com}, {name: b, address: host.example.com}]", "host.example.com is a's address already"),
        ("[{name: a, address: '::ffff:10.0.0.1'}]", "is IPv6"),
    ],
)
def test_each_rule_about_nodes(nodes, expected):
    found = problems_in(f"nodes: {nodes}\n")
    assert any(expected in line for line in found), found


@pytest.mark.parametrize(("count", "expected"), [(256, None), (257, "each of 257 nodes takes a /24; take a /15")])
def test_many_nodes_ask_for_a_large_enough_network(count, expected):
    nodes = [f"{{name: n{i}, address: 172.30.{i // 200}.{i % 200 + 1}}}" for i in range(count)]
    found = problems_in(f"nodes: [{', '.join(nodes)}]\n")
    assert [expected in line for line in found] == ([True] if expected else [])


def test_an_all_ipv6_cluster_is_good():
    text = "cluster: {podCIDR: 'fd00:1::/56', serviceCIDR: 'fd00:2::/112'}\nnodes: [{name: a, address: 'fd00:3::1'}]\n"
    assert loads(text).registry_host == "[fd00:3::1]:5000"


# The network that is suggested must not run into the next rule.
@pytest.mark.parametrize("second", [244, 96, 112, 128])
def test_what_a_rule_suggests_is_good(second):
    nodes = f"nodes: [{{name: a, address: 10.{second}.0.1}}, {{name: b, address: 10.96.7.7}}]\n"
    taken = problems_in(nodes + "cluster: {serviceCIDR: 10.64.0.0/16, podCIDR: 10.96.0.0/16}\n")
    suggested = taken[0].rpartition(" ")[2]
    assert problems_in(nodes + f"cluster: {{serviceCIDR: 10.64.0.0/16, podCIDR: {suggested}}}\n") == []


def test_every_component_that_a_rule_asks_for_is_enough():
    for name in ("26.03", "26.03.1", "1.11.0"):
        for component in releases.load(name).kubeflow.components:
            chosen = [component]
            while found := [line for line in problems_in(_with(name, chosen)) if " needs " in line]:
                chosen += [need for need in found[0].split(" needs ")[1].split("; ")[0].split(", ") if need not in chosen]
            assert problems_in(_with(name, chosen)) == []


def _with(release, components):
    return (
        NODES
        + f"cluster: {{release: '{release}'}}\nspark: {{operator: false}}\nkubeflow: {{components: [{', '.join(components)}]}}\n"
    )


NAMES = st.lists(
    st.sampled_from(["no", "a", "on", "n1", "1", "null", "1e3", "0x1", "w.example"]), min_size=1, max_size=5, unique=True
)


@settings(max_examples=80, deadline=None)
@given(
    NAMES,
    st.fixed_dictionaries(
        {},
        optional={
            "release": st.sampled_from(["26.03", "26.03.1", "1.11.0"]),
            "runtime": st.sampled_from(["docker", "containerd"]),
            "name": st.sampled_from(["kubeflow", "no", "1"]),
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "user": st.sampled_from(["ubuntu", "no", "1"]),
            "port": st.integers(1, 65535),
            "password": st.sampled_from([{"env": "X"}, {"file": "~/no"}, {"prompt": True}]),
            "keys": st.lists(st.sampled_from(["~/.ssh/id", "a: b", "- x", "#"]), max_size=2),
        },
    ),
    st.booleans(),
)
def test_what_is_saved_is_loaded_again_as_it_was(names, cluster, ssh, spark):
    nodes = [{"name": name, "address": f"10.0.0.{index + 1}"} for index, name in enumerate(names)]
    answers = Answers.model_validate({"nodes": nodes, "cluster": cluster, "ssh": ssh, "spark": {"enabled": spark}})
    text = dump(answers)
    assert loads(text) == answers
    assert dump(loads(text)) == text
    assert text.startswith("# Written by kfinstall")
    assert "storage" not in text

"""What the steps of phase prepare share: the contents of the files they write, as pure functions of the view."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from kfinstall.answers.model import Answers
from kfinstall.answers.types import endpoint_host
from kfinstall.engine.step import View
from kfinstall.facts.model import Facts
from kfinstall.parts.preflight import containerd_merge
from kfinstall.parts.preflight.changes import Change
from kfinstall.parts.preflight.runtime_files import CERTS_D, RuntimeFiles
from kfinstall.parts.prepare import limits
from kfinstall.parts.prepare.facts import OthersFiles
from kfinstall.releases import Artifact
from kfinstall.text import sha256

MODULES_FILE: Final = "/etc/modules-load.d/kfinstall.conf"
SYSCTL_FILE: Final = "/etc/sysctl.d/90-kfinstall.conf"
CONTAINERD_LIMITS: Final = "/etc/systemd/system/containerd.service.d/10-kfinstall.conf"

REQUIRED_MODULES: Final = ("overlay", "br_netfilter", "vxlan")
ISTIO_MODULES: Final = (
    "bridge",
    "ip_tables",
    "iptable_mangle",
    "iptable_nat",
    "iptable_raw",
    "nf_conntrack",
    "nf_nat",
    "x_tables",
    "xt_REDIRECT",
    "xt_connmark",
    "xt_conntrack",
    "xt_mark",
    "xt_multiport",
    "xt_owner",
    "xt_tcpudp",
)
"""What Istio's iptables backend asks for (istio.io, platform requirements); a kernel may lack some of them."""
FIXED_SYSCTLS: Final[Mapping[str, str]] = {
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.forwarding": "1",
}
LOWEST_SYSCTLS: Final[Mapping[str, int]] = {
    "fs.inotify.max_user_instances": limits.PREPARE_INOTIFY_INSTANCES,
    "fs.inotify.max_user_watches": limits.PREPARE_INOTIFY_WATCHES,
}
BASE_PACKAGES: Final = ("ca-certificates", "curl", "gnupg", "conntrack", "socat", "ebtables", "ipset", "iptables", "ethtool")
KUBERNETES_PACKAGES: Final = ("kubelet", "kubeadm", "kubectl")
MODULES_HEAD: Final = "# kfinstall: what Kubernetes and Istio need, as far as this kernel has it"
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_NUMBER: Final = re.compile(r"\s*-?[0-9]{1,18}")
"""Of a longer one the first digits: more than any setting needs."""
PROOFS: Final = "/var/lib/kfinstall/proofs"
PROXY_ENV: Final = "/var/lib/kfinstall/proxy.env"
"""Sourced by scripts/engine/lib.sh."""


def modules_content(facts: Facts) -> str:
    """The file that loads the modules at boot: the needed ones, and those of Istio's that this kernel has."""
    there = [name for name in ISTIO_MODULES if name in facts.modules]
    return "\n".join([MODULES_HEAD, *REQUIRED_MODULES, *there, ""])


def sysctl_values(view: View) -> dict[str, str]:
    """The values to set; one that the machine has higher already stays as it is."""
    values = dict(FIXED_SYSCTLS)
    if ":" in view.answers.cluster.pod_cidr:
        values["net.ipv6.conf.all.forwarding"] = "1"
    for name, lowest in LOWEST_SYSCTLS.items():
        values[name] = str(max(lowest, _whole(view.facts.sysctls.get(name, ""))))
    return values


def sysctl_content(view: View) -> str:
    """The file that sets them at boot."""
    return "# kfinstall: what Kubernetes and Kubeflow need\n" + "".join(
        f"{key} = {value}\n" for key, value in sysctl_values(view).items()
    )


def lowered_at_boot(view: View) -> list[tuple[str, str]]:
    """(file, `name = value`) of settings below ours that /etc sets later at boot than our file does."""
    wanted, found = sysctl_values(view), []
    for setting in view.fact(OthersFiles).settings:
        # Like awk's: what is no number counts as 0.
        number = _NUMBER.match(setting.value)
        later = setting.order > SYSCTL_FILE.rpartition("/")[2]
        if later and int(number[0] if number else 0) < int(wanted.get(setting.name, 0)):
            found.append((setting.path, f"{setting.name} = {setting.value}"))
    return found


def pause_image(view: View) -> str:
    """The sandbox image that this Kubernetes minor's kubeadm names.

    Raises:
        AnswersError: the minor is not known.
    """
    return view.release.pause_image(view.minor)


def containerd_v2(view: View, pause: str = "") -> str:
    """config.toml for containerd 1.6 and 1.7 (configuration version 2). `pause`: another sandbox image than this minor's."""
    plugin = 'plugins."io.containerd.grpc.v1.cri"'
    return (
        "# Written by kfinstall: what Kubernetes needs; other settings may stand beside these.\nversion = 2\ndisabled_plugins = []\n\n"
        f'[{plugin}]\n  sandbox_image = "{pause or pause_image(view)}"\n'
        f'[{plugin}.containerd.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n'
        f"[{plugin}.containerd.runtimes.runc.options]\n  SystemdCgroup = true\n"
        f'[{plugin}.cni]\n  bin_dir = "/opt/cni/bin"\n  conf_dir = "/etc/cni/net.d"\n'
        f'[{plugin}.registry]\n  config_path = "{CERTS_D}"\n'
    )


def containerd_v3(view: View, pause: str = "") -> str:
    """config.toml for containerd 2.x (configuration version 3). `pause`: another sandbox image than this minor's."""
    runtime, images = "plugins.'io.containerd.cri.v1.runtime'", "plugins.'io.containerd.cri.v1.images'"
    return (
        "# Written by kfinstall: what Kubernetes needs; other settings may stand beside these.\nversion = 3\ndisabled_plugins = []\n\n"
        f"[{runtime}.containerd.runtimes.runc]\n  runtime_type = 'io.containerd.runc.v2'\n"
        f"[{runtime}.containerd.runtimes.runc.options]\n  SystemdCgroup = true\n"
        f"[{images}.pinned_images]\n  sandbox = '{pause or pause_image(view)}'\n"
        f"[{images}.registry]\n  config_path = '{CERTS_D}'\n"
    )


def repaused(view: View, path: str, content: Callable[[str], str]) -> str:
    """What to say of a file of ours that names the sandbox image of another minor; empty where it does not. `content`: by image."""
    for image in view.release.pause_images:
        if image != pause_image(view) and view.facts.has_file(path, sha256(content(image))):
            return f"write {path}: sandbox image {pause_image(view)} instead of {image}"
    return ""


def containerd_changes(view: View, version: str) -> tuple[Change, ...]:
    """What has to change in the node's configuration of containerd, if it is of that version.

    Raises:
        Refused: what is there is not understood, or can't be kept beside what Kubernetes needs.
    """
    fresh = containerd_v3(view) if major(version) >= 2 else containerd_v2(view)
    return containerd_merge.changes(view.fact(RuntimeFiles), version, pause_image(view), fresh)


def containerd_record(view: View) -> str:
    """What the script leaves once the daemon runs with what is wanted; what others set beside it is none of it."""
    return f"{sha256(containerd_v2(view))}\n{sha256(containerd_limits())}\n"


def major(version: str) -> int:
    """The first number of a version, 0 where there is none."""
    return _whole(version.partition(".")[0])


def _whole(text: str) -> int:
    """A number in a few ASCII digits; 0 for any other text."""
    return int(text) if _DIGITS.fullmatch(text) else 0


def artifact(view: View, name: str) -> Artifact | None:
    """A pinned download for the node's architecture; None where the release has none."""
    return view.release.artifacts.get(f"{name}-{view.facts.os.architecture or 'amd64'}")


def containerd_limits() -> str:
    """containerd 2 dropped LimitNOFILE from its unit: with systemd's own limit pods meet 'too many open files'."""
    return f"# Written by kfinstall\n[Service]\nLimitNOFILE={limits.PREPARE_OPEN_FILES}\n"


def no_proxy(answers: Answers) -> str:
    """What goes direct: this machine, the nodes, pods, Services, cluster names, and what the answers add."""
    hosts = ["127.0.0.1", "localhost", ".svc", ".svc.cluster.local", ".cluster.local"]
    hosts += [node.address for node in answers.nodes] + [node.name for node in answers.nodes]
    hosts += [str(ipaddress.ip_network(answers.cluster.pod_cidr)), str(ipaddress.ip_network(answers.cluster.service_cidr))]
    if answers.cluster.api_endpoint:
        hosts.append(endpoint_host(answers.cluster.api_endpoint))
    if answers.storage.type == "nfs":
        hosts.append(answers.nfs_address)
    return ",".join(dict.fromkeys([*hosts, *answers.proxy.no_proxy]))


def proxied(answers: Answers) -> bool:
    """Whether the nodes use a proxy."""
    return bool(answers.proxy.http or answers.proxy.https)


def proxy_apt(answers: Answers) -> str:
    """apt's configuration."""
    lines = ["// Written by kfinstall"]
    for scheme, url in (("http", answers.proxy.http), ("https", answers.proxy.https)):
        if url:
            lines.append(f'Acquire::{scheme}::Proxy "{url.replace(chr(34), "%22")}";')
            lines += [f'Acquire::{scheme}::Proxy::{host} "DIRECT";' for host in answers.proxy.no_proxy if _plain(host)]
    return "\n".join(lines) + "\n"


def _plain(host: str) -> bool:
    """Whether it names one host, as apt wants it: no network, no domain."""
    return not host.startswith((".", "*")) and "/" not in host and ":" not in host


def proxy_variables(answers: Answers) -> dict[str, str]:
    """The usual variables; those that are set."""
    values = {"HTTP_PROXY": answers.proxy.http, "HTTPS_PROXY": answers.proxy.https, "NO_PROXY": no_proxy(answers)}
    return {name: value for name, value in values.items() if value}


def proxy_unit(answers: Answers) -> str:
    """A drop-in for containerd and Docker; a per cent sign is a specifier to systemd."""
    lines = ["# Written by kfinstall", "[Service]"]
    for name, value in proxy_variables(answers).items():
        quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
        lines.append(f'Environment="{name}={quoted}"')
    return "\n".join(lines) + "\n"


def proxy_env(answers: Answers) -> str:
    """What the scripts' own downloads use; curl reads the lower-case names only for http."""
    lines = ["# Written by kfinstall"]
    for name, value in proxy_variables(answers).items():
        lines += [f"export {spelled}={shlex.quote(value)}" for spelled in (name, name.lower())]
    return "\n".join(lines) + "\n"


def unwritten(facts: Facts, files: Mapping[str, str], paths: Iterable[str] | None = None) -> list[str]:
    """Changes for files that do not have the wanted content."""
    return [f"write {path}" for path in (paths or files) if not facts.has_file(path, sha256(files[path]))]

"""Public reports about real servers, and their siblings: each kind is found, with its cause and its fix."""

from dataclasses import replace

import pytest

from kfinstall.engine.step import Conflict, Satisfied, Severity
from kfinstall.parts.preflight.clock import PreflightClock
from kfinstall.parts.preflight.disk import PreflightDisk
from kfinstall.parts.preflight.file_systems import PreflightFileSystems
from kfinstall.parts.preflight.hardware import PreflightHardware
from kfinstall.parts.preflight.identity import PreflightIdentity
from kfinstall.parts.preflight.kernel import PreflightKernel
from kfinstall.parts.preflight.names import PreflightNames
from kfinstall.parts.preflight.network import PreflightNetwork
from tests.unit.parts.preflight.test_packet_filter import CIS, ORACLE
from tests.unit.parts.preflight.test_preflight import answers, check, machines, read


def findings(found):
    assert isinstance(found, Conflict | Satisfied), found
    return {each.name: each for each in reversed(found.findings)}  # of several of one name the heaviest


def one(found, name, weight, *words):
    each = findings(found)[name]
    assert each.weight is Severity(weight), each
    text = f"{each.reason}\n{each.hint}"
    assert all(word in text for word in words), text
    return each


def extra(section, text):
    """What a node says besides in a section of the facts."""

    def change(node):
        node.extra[section] = "\n".join(part for part in (node.extra.get(section, ""), text) if part)

    return change


# identity: Vagrant's NAT card, clones


def test_vagrants_nat_card_is_no_error(servers):
    def vagrant(node):
        nat = "02:1c:4d:00:00:15"
        node.extra["identity"] = f"mac\t{nat}"
        node.extra["host"] = f"card\t{nat} enp0s3"
        node.extra["network"] = "= ip\n3: enp0s3    inet 10.0.2.15/24 brd 10.0.2.255 scope global enp0s3"

    found = check(PreflightIdentity, servers(vagrant))
    assert isinstance(found, Satisfied)
    one(found, "mac-address", "info", "02:1c:4d:00:00:15", "ens18", "10.77.0.11")


def test_the_card_with_the_nodes_address_must_be_its_own(servers):
    def cloned(node):
        node.mac = "52:54:00:aa:aa:aa"

    one(
        check(PreflightIdentity, servers(cloned, on=("cp1", "worker2"))), "mac-address", "failing", "ens18", "worker2", "hypervisor"
    )


@pytest.mark.parametrize(("own", "weight"), [(True, "warning"), (False, "failing")])
def test_where_the_card_of_the_address_is_not_known_a_server_that_shares_all_its_cards_is_a_copy(servers, own, weight):
    def named(node):
        node.extra["identity"] = "mac\t02:00:00:00:00:01"
        node.mac = node.mac if own else "02:00:00:00:00:01"

    fleet = servers(named)
    fleet = {name: replace(facts, network=replace(facts.network, interfaces={})) for name, facts in fleet.items()}
    one(check(PreflightIdentity, fleet), "mac-address", weight, "not known")


def test_the_same_ssh_host_keys_tell_a_clone_after_its_machine_id_was_made_new(servers):
    change = extra("host", "host_key\tssh-rsa AAAAB3same")
    found = check(PreflightIdentity, servers(change, on=("cp1", "worker1")))
    one(found, "ssh-host-keys", "warning", "worker1", "dpkg-reconfigure", "ssh-keygen -R 10.77.0.11")
    assert "worker2" not in findings(found)["ssh-host-keys"].reason


# network: packet filters, proxies, TLS, limits, NFS


def filtered(tool, text, boot=""):
    return extra("filter", (f"at_boot\t{boot}\n" if boot else "") + f"= {tool}\n{text}")


def test_oracles_rules_are_in_the_way_and_the_rules_to_add_are_named(servers):
    found = check(PreflightNetwork, servers(filtered("iptables-save", ORACLE, "netfilter-persistent")))
    each = one(found, "packet-filter", "warning", "neither ufw nor firewalld", "REJECT", "INPUT", "FORWARD", "rules.v4")
    assert "sudo iptables -I INPUT -s 10.77.0.12 -j ACCEPT" in each.hint.splitlines()
    assert "sudo iptables -I INPUT -s 10.244.0.0/16 -j ACCEPT" in each.hint.splitlines()
    assert "sudo iptables -I FORWARD -d 10.244.0.0/16 -j ACCEPT" in each.hint.splitlines()


def test_rules_that_are_only_saved_come_at_the_next_boot_and_are_told_once_where_they_are_loaded(servers):
    saved = f"at_boot\tnetfilter-persistent\n= /etc/iptables/rules.v4\n{ORACLE}"
    each = one(check(PreflightNetwork, servers(extra("filter", saved))), "packet-filter", "warning", "at the next boot")
    assert "sudo iptables -I INPUT -s 10.77.0.12 -j ACCEPT" in each.hint.splitlines()
    both = servers(extra("filter", f"{saved}\n= iptables-save\n{ORACLE}"))
    each = one(check(PreflightNetwork, both), "packet-filter", "warning")
    assert "at the next boot" not in each.reason


def test_the_benchmarks_nftables_are_in_the_way(servers):
    found = check(PreflightNetwork, servers(filtered("nft inet filter", CIS, "nftables")))
    each = one(found, "packet-filter", "warning", "policy drop", "/etc/nftables.conf")
    rules = each.hint.splitlines()
    assert "sudo nft insert rule inet filter input 'ip saddr { 10.77.0.12, 10.77.0.13, 10.244.0.0/16 } accept'" in rules
    assert any(rule.startswith("sudo nft insert rule inet filter forward") for rule in rules)


def test_rules_that_let_the_others_through_are_no_finding(servers):
    rules = "-A INPUT -s 10.77.0.0/24 -j ACCEPT\n-A INPUT -s 10.244.0.0/16 -j ACCEPT\n-A INPUT -j REJECT"
    text = ORACLE.replace("-A INPUT -j REJECT", rules).replace(
        "-A FORWARD -j REJECT", "-A FORWARD -s 10.244.0.0/16 -j ACCEPT\n-A FORWARD -j REJECT"
    )
    assert "packet-filter" not in findings(check(PreflightNetwork, servers(filtered("iptables-save", text))))


def test_docker_on_a_server_is_no_packet_filter_in_the_way_of_input(servers):
    text = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j DOCKER-USER\nCOMMIT"
    assert "packet-filter" not in findings(check(PreflightNetwork, servers(filtered("iptables-save", text))))


def test_a_rule_of_ones_own_in_docker_user_and_one_in_the_raw_table_are_in_the_way(servers):
    text = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j DOCKER-USER\n-A DOCKER-USER ! -s 192.168.0.0/16 -j DROP\nCOMMIT"
    found = check(PreflightNetwork, servers(filtered("iptables-save", text)))
    one(found, "packet-filter", "warning", "-A DOCKER-USER ! -s 192.168.0.0/16 -j DROP", "what pods send")
    text = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 10250 -j DROP\nCOMMIT"
    each = one(check(PreflightNetwork, servers(filtered("iptables-save", text))), "packet-filter", "warning", "raw PREROUTING")
    assert "sudo iptables -t raw -I PREROUTING -s 10.77.0.12 -j ACCEPT" in each.hint.splitlines()


def test_a_filter_that_a_set_decides_is_told_as_not_known(servers):
    text = CIS.replace("tcp dport 22 accept", "ip saddr @friends accept")
    found = check(PreflightNetwork, servers(filtered("nft inet filter", text.partition("    chain forward")[0] + "}")))
    one(found, "packet-filter-rules", "unchecked", "could not be checked", "ip saddr @friends accept")
    assert "packet-filter" not in findings(found)


def test_a_filter_that_lets_the_servers_in_by_their_own_address_is_not_in_the_way(servers):
    text = "*filter\n:INPUT DROP [0:0]\n-A INPUT -d 10.77.0.11/32 -j ACCEPT\n-A INPUT -d 10.77.0.12/32 -j ACCEPT\n-A INPUT -d 10.77.0.13/32 -j ACCEPT\nCOMMIT"
    found = check(PreflightNetwork, servers(filtered("iptables-save", text)))
    assert "packet-filter" not in findings(found)


@pytest.mark.parametrize(
    ("service", "fix"),
    [
        ("armbian-zram-config.service", "/etc/default/armbian-zram-config"),
        ("walinuxagent.service (ResourceDisk.EnableSwap=y in /etc/waagent.conf)", "ResourceDisk.EnableSwap=n"),
    ],
)
def test_a_service_that_may_make_swap_again_is_told_before_anything_changes(servers, service, fix):
    fleet = servers()
    fleet = {name: replace(facts, swap=replace(facts.swap, again=(service,))) for name, facts in fleet.items()}
    each = one(check(PreflightKernel, fleet), "swap-at-boot", "warning", "next boot")
    assert fix in each.hint


def test_a_filter_that_could_not_be_listed_is_told(servers):
    found = check(PreflightNetwork, servers(extra("filter", "unchecked\tiptables-save ended with an error")))
    one(found, "packet-filter", "unchecked", "could not be checked", "iptables-save ended with an error")


ENVIRONMENT = "proxy\thttps_proxy http://proxy.corp:3128 /etc/environment"


@pytest.mark.parametrize(
    "line",
    [
        ENVIRONMENT,
        "proxy\thttps_proxy http://proxy.corp:3128 /etc/profile.d/proxy.sh",
        "proxy\thttps_proxy http://proxy.corp:3128 /etc/systemd/system.conf.d/proxy.conf",
        "proxy\tall_proxy http://proxy.corp:3128 /etc/environment",
        "proxy\thttp_proxy http://proxy.corp:3128 /etc/environment",
        "proxy\thttps_proxy proxy.corp:3128 /etc/environment",
    ],
)
def test_a_proxy_that_only_the_servers_own_files_know(servers, line):
    each = one(check(PreflightNetwork, servers(extra("proxies", line))), "unnamed-proxy", "warning", line.split()[-1])
    assert each.hint == "proxy: {https: 'http://proxy.corp:3128', http: 'http://proxy.corp:3128'}"
    assert "the answers none" in each.reason


def test_apts_own_proxy_is_worth_knowing_and_one_that_the_answers_have_is_nothing(servers):
    fleet = servers(extra("proxies", "proxy\tapt_http http://cache:3142 /etc/apt/apt.conf.d/01cache"))
    one(check(PreflightNetwork, fleet), "unnamed-proxy", "info", "apt goes through http://cache:3142")
    same = {"proxy": {"https": "http://proxy.corp:3128"}}
    fleet = servers(extra("proxies", ENVIRONMENT), **same)
    assert "unnamed-proxy" not in findings(check(PreflightNetwork, fleet, wanted=answers(**same)))


def test_no_proxy_must_name_nodes_pods_and_services(servers):
    text = f"{ENVIRONMENT}\nproxy\tno_proxy localhost,10.77.0.0/24 /etc/environment"
    each = one(check(PreflightNetwork, servers(extra("proxies", text))), "no-proxy", "warning", "10.244.0.0/16", "10.96.0.0/16")
    assert "10.77.0.12" not in each.reason
    whole = f"{ENVIRONMENT}\nproxy\tno_proxy localhost,10.0.0.0/8 /etc/environment"
    assert "no-proxy" not in findings(check(PreflightNetwork, servers(extra("proxies", whole))))


def test_the_look_that_fails_names_the_servers_own_proxy(servers):
    def walled(node):
        extra("proxies", ENVIRONMENT)(node)

    fleet = servers(walled)
    fleet["cp1"] = replace(
        fleet["cp1"],
        network=replace(fleet["cp1"].network, reachable={"https://pkgs.k8s.io": "Could not resolve host: pkgs.k8s.io"}),
    )
    one(check(PreflightNetwork, fleet), "ways-out", "failing", "pkgs.k8s.io", "proxy: {https: 'http://proxy.corp:3128'")


@pytest.mark.parametrize(
    ("reasons", "words", "never"),
    [
        (["Could not resolve host: a", "Could not resolve host: b"], "resolvectl status", "proxy: {"),
        (["Could not resolve host: a", "Connection timed out"], "proxy: {", "resolvectl"),
    ],
)
def test_names_that_nobody_resolves_are_no_proxys_matter(servers, reasons, words, never):
    fleet = servers(lambda _node: None)
    urls = ("https://pkgs.k8s.io", "https://registry.k8s.io")
    network = replace(fleet["cp1"].network, reachable=dict(zip(urls, reasons, strict=True)))
    fleet["cp1"] = replace(fleet["cp1"], network=network)
    assert never not in one(check(PreflightNetwork, fleet), "ways-out", "failing", words).hint


@pytest.mark.parametrize(
    ("reason", "name", "words"),
    [
        ("SSL certificate problem: unable to get local issuer certificate", "tls-inspection", "update-ca-certificates"),
        (
            "SSL certificate problem: self-signed certificate in certificate chain",
            "tls-inspection",
            "/usr/local/share/ca-certificates/",
        ),
        ("SSL certificate problem: self signed certificate in certificate chain", "tls-inspection", "update-ca-certificates"),
        (
            "server certificate verification failed. CAfile: /etc/ssl/certs/ca-certificates.crt",
            "tls-inspection",
            "openssl s_client",
        ),
        ("curl exit status 60", "tls-inspection", "update-ca-certificates"),
        ("SSL certificate problem: certificate is not yet valid", "certificates", "timedatectl"),
        ("SSL certificate problem: certificate has expired", "certificates", "clock"),
        ("SSL: no alternative certificate subject name matches target host name 'ghcr.io'", "certificates", "another host answers"),
        (
            "error setting certificate verify locations: CAfile: /etc/ssl/certs/ca-certificates.crt",
            "certificates",
            "reinstall ca-certificates",
        ),
    ],
)
def test_certificates_have_their_own_fix(servers, reason, name, words):
    fleet = servers()
    reachable = {**dict.fromkeys(fleet["cp1"].network.reachable, reason)}
    fleet["cp1"] = replace(fleet["cp1"], network=replace(fleet["cp1"].network, reachable=reachable))
    found = check(PreflightNetwork, fleet)
    one(found, name, "failing", words, reason)
    assert "ways-out" not in findings(found)
    assert "proxy.https" not in findings(found)[name].hint


def test_docker_hubs_limit(servers):
    one(
        check(PreflightNetwork, servers(extra("ways", "hub\t3 100"))),
        "pull-limit",
        "warning",
        "3 more pulls",
        "registry: {mirrors: ",
    )
    assert "pull-limit" not in findings(check(PreflightNetwork, servers()))


def test_an_nfs_server_that_one_node_does_not_reach(servers):
    more = {"storage": {"type": "nfs", "nfs": {"server": "nas.lan"}}}
    fleet = servers(extra("ways", "port\tnas.lan 2049 closed 1"), on=("worker1",), **more)
    one(
        check(PreflightNetwork, fleet, "worker1", wanted=answers(**more)),
        "nfs-server",
        "failing",
        "nas.lan",
        "2049",
        "showmount -e nas.lan",
    )
    assert "nfs-server" not in findings(check(PreflightNetwork, fleet, "cp1", wanted=answers(**more)))


def test_ufws_finding_asks_for_what_calico_uses_here(servers):
    def on(node):
        node.extra["network"] = "firewall\tufw"
        # Its rules are what ufw's own finding is about.
        filtered("iptables-save", "*filter\n:INPUT DROP [0:0]\nCOMMIT")(node)

    fleet = servers()
    fleet["cp1"] = replace(fleet["cp1"], network=replace(fleet["cp1"].network, firewall="ufw"))
    found = check(PreflightNetwork, fleet)
    each = one(found, "firewall", "warning", "UDP 4789", "6443")
    assert "179" not in each.reason
    assert "protocol 4" not in each.reason
    assert "packet-filter" not in findings(found)


# kernel: control groups, modules, AppArmor, settings


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            "cmdline_file\t/boot/firmware/cmdline.txt",
            ("cgroup_enable=memory cgroup_memory=1", "/boot/firmware/cmdline.txt", "reboot"),
        ),
        ("cmdline_file\t/boot/cmdline.txt", ("cgroup_enable=memory cgroup_memory=1", "/boot/cmdline.txt")),
        ("", ("/etc/default/grub", "update-grub", "cgroup_enable=memory", "cmdline.txt")),
        (
            "cmdline\tro cgroup_disable=memory quiet",
            ("s/ *cgroup_disable=memory//", "/etc/default/grub", "started with cgroup_disable=memory"),
        ),
    ],
)
def test_a_kernel_without_the_memory_controller(servers, more, words):
    fleet = servers(extra("host", f"controllers\tv2 cpuset cpu io pids\n{more}"))
    one(check(PreflightKernel, fleet), "cgroup-controllers", "blocking", "memory", *words)


def test_a_kernel_that_was_built_without_a_controller_is_to_be_another_one(servers):
    fleet = servers(extra("host", "controllers\tv2 cpu io memory pids"))
    each = one(check(PreflightKernel, fleet), "cgroup-controllers", "blocking", "cpuset", "linux-image-amd64")
    assert "cgroup_enable" not in each.hint


def test_a_raspberry_pi_is_known_by_its_kernel(servers):
    def pi(node):
        node.kernel = "6.6.31+rpt-rpi-2712"
        extra("host", "controllers\tv2 cpuset cpu io pids")(node)

    each = one(check(PreflightKernel, servers(pi)), "cgroup-controllers", "blocking", "/boot/firmware/cmdline.txt")
    assert "grub" not in each.hint


def without(*names):
    def change(fleet):
        from kfinstall.parts.preflight.facts import Host

        facts = fleet["cp1"]
        host = facts.section(Host)
        return {
            **fleet,
            "cp1": replace(facts, sections={**facts.sections, Host: replace(host, available=host.available - set(names))}),
        }

    return change


def test_vxlan_is_needed_and_ubuntus_package_has_it(servers):
    fleet = without("vxlan")(servers())
    one(check(PreflightKernel, fleet), "kernel-modules", "failing", "vxlan", "linux-modules-extra-$(uname -r)")


def test_a_kernel_whose_modules_went_with_an_upgrade_wants_a_reboot(servers):
    fleet = without("vxlan", "overlay", "br_netfilter")(servers(extra("host", "no_modules\t6.8.0-60-generic")))
    one(check(PreflightKernel, fleet), "kernel-modules", "failing", "upgraded since", "sudo reboot")


def test_a_kernel_of_which_nothing_is_known_was_not_checked(servers):
    fleet = without("vxlan")(servers(extra("host", "unknown_modules\t6.18.0-fc")))
    one(check(PreflightKernel, fleet), "kernel-modules", "unchecked", "vxlan", "6.18.0-fc")


def test_istios_modules_are_a_finding_where_kubeflow_is_wanted(servers):
    fleet = without("xt_owner", "iptable_nat", "nft_compat")(servers())
    one(check(PreflightKernel, fleet), "istio-modules", "warning", "xt_owner", "iptable_nat or nft_compat")
    wanted = answers(kubeflow={"enabled": False}, spark={"enabled": False})
    assert "istio-modules" not in findings(check(PreflightKernel, fleet, wanted=wanted))


def test_apparmor_without_its_parser_and_off(servers):
    fleet = servers(extra("host", "apparmor_parser\t"))
    one(check(PreflightKernel, fleet), "apparmor", "warning", "parser", "apt-get install apparmor")
    docker = {"cluster": {"runtime": "docker"}}
    one(check(PreflightKernel, fleet, wanted=answers(**docker)), "apparmor", "failing", "Docker")
    one(check(PreflightKernel, servers(extra("host", "apparmor\tN"))), "apparmor", "info", "off")


@pytest.mark.parametrize(
    ("path", "order", "name"),
    [
        ("/etc/sysctl.d/99-hardening.conf", "99-hardening.conf", "net.ipv4.ip_forward"),
        ("/etc/sysctl.conf", "99-sysctl.conf", "net.ipv4.ip_forward"),
        ("/etc/sysctl.d/98-cis.conf", "98-cis.conf", "net.ipv4.conf.all.forwarding"),
        ("/etc/ufw/sysctl.conf", "~ufw", "net.ipv4.ip_forward"),
        ("/etc/sysctl.d/99-bridge.conf", "99-bridge.conf", "net.bridge.bridge-nf-call-iptables"),
    ],
)
def test_a_setting_that_is_taken_back_at_the_next_boot(servers, path, order, name):
    fleet = servers(extra("boot", f"set\t{name}\t0\t{path}\t{order}"))
    each = one(check(PreflightKernel, fleet), "settings-at-boot", "warning", path, name, "next boot", "sudo sed -i")
    assert dict(each.fix.parameters) == {"NAME": name, "VALUE": "1", "FILE": path}


def test_what_is_read_before_ours_or_set_right_again_is_no_finding(servers):
    early = "set\tnet.ipv4.ip_forward\t0\t/etc/sysctl.d/10-router.conf\t10-router.conf"
    assert "settings-at-boot" not in findings(check(PreflightKernel, servers(extra("boot", early))))
    late = "set\tnet.ipv4.ip_forward\t0\t/a\t95-a.conf\nset\tnet.ipv4.ip_forward\t1\t/b\t99-b.conf"
    assert "settings-at-boot" not in findings(check(PreflightKernel, servers(extra("boot", late))))


def test_arp_and_reverse_path(servers):
    arp = extra("boot", "set\tnet.ipv4.conf.all.arp_ignore\t1\t/etc/sysctl.d/lvs.conf\tlvs.conf")
    one(check(PreflightKernel, servers(arp)), "arp-settings", "warning", "arp_ignore", "lvs.conf")
    strict = extra("boot", "now\tnet.ipv4.conf.all.rp_filter\t1")
    assert "reverse-path" not in findings(check(PreflightKernel, servers(strict)))

    def two(node):
        strict(node)
        node.extra["network"] = "= ip\n3: ens19    inet 192.168.9.5/24 scope global ens19"

    fleet = servers(two)
    if len(fleet["cp1"].network.addresses) > 1:
        one(check(PreflightKernel, fleet), "reverse-path", "warning", "several networks")


# hardware: huge pages, graphics


def test_memory_for_pods_is_without_huge_pages(servers):
    def huge(node):
        node.memory_bytes = 6 * 2**30

    fleet = servers(huge)
    fleet["cp1"] = replace(fleet["cp1"], hardware=replace(fleet["cp1"].hardware, memory_bytes=1024 * 2**20, huge_bytes=56 * 2**30))
    one(check(PreflightHardware, fleet), "memory", "blocking", "1024 MiB", "57344 MiB set apart as huge pages", "vm.nr_hugepages")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("gpu\t0x10de /sys/bus/pci/drivers/nouveau", ("NVIDIA", "nouveau", "ubuntu-drivers")),
        ("gpu\t0x10de -", ("NVIDIA", "without a driver")),
        (
            "gpu\t0x10de /x/nvidia\ngpu\t0x10de /x/nvidia\nnvidia\tNVRM version: NVIDIA 550.90.07",
            ("2 graphics processors", "550.90.07"),
        ),
        ("gpu\t0x1002 /x/amdgpu", ("AMD", "amdgpu")),
    ],
)
def test_a_graphics_processor_and_its_driver_are_told(servers, lines, words):
    found = check(PreflightHardware, servers(extra("host", lines)))
    assert isinstance(found, Satisfied)
    one(found, "graphics", "info", *words)


# disks


LVM = "mount\t{}\t/\text4\t/dev/mapper/ubuntu--vg-ubuntu--lv\t,rw,relatime,"


def on_lvm(text, kind="ext4"):
    paths = ("/var/lib/kubelet", "/var/lib/containerd", "/var/lib/etcd")
    lines = [LVM.format(path).replace("ext4", kind) for path in paths]
    return extra("mounts", "\n".join([*lines, f"lvm\t/dev/mapper/ubuntu--vg-ubuntu--lv\tubuntu--vg-ubuntu--lv\t{text}"]))


def small(node):
    node.disk_free_bytes = 3 * 2**30


def test_room_that_ubuntus_installer_left_in_the_group(servers):
    def half(node):
        small(node)
        on_lvm("ubuntu-vg|ubuntu-lv|-wi-ao----|418759311360")(node)

    each = one(check(PreflightDisk, servers(half)), "free-space", "failing", "3.0 GiB free at /", "390.0 GiB left")
    assert each.hint.splitlines()[0].startswith("sudo lvextend -r -l +100%FREE /dev/mapper/ubuntu--vg-ubuntu--lv")


@pytest.mark.parametrize(
    ("text", "kind", "named"),
    [
        ("data|root|-wi-ao----|418759311360", "xfs", True),
        ("", "ext4", True),
        ("vg0|thin|Vwi-aotz--|418759311360", "ext4", False),
        ("vg0|root|-wi-ao----|0", "ext4", False),
        ("vg0|root|-wi-ao----|418759311360", "zfs", False),
    ],
)
def test_other_groups_and_file_systems_thin_pools_and_full_groups(servers, text, kind, named):
    def change(node):
        small(node)
        on_lvm(text, kind)(node)

    found = findings(check(PreflightDisk, servers(change)))
    assert ("lvextend" in found["free-space"].hint) is named


def test_unused_room_is_worth_knowing(servers):
    found = check(PreflightDisk, servers(on_lvm("vg0|root|-wi-ao----|107374182400")))
    assert isinstance(found, Satisfied)
    one(found, "unused-room", "info", "100.0 GiB", "lvextend")


def mounted(kind, options="rw,relatime", more="", directory="/var/lib/containerd"):
    return extra("mounts", f"mount\t{directory}\t/var\t{kind}\tpool/var\t,{options},\n{more}")


@pytest.mark.parametrize(
    ("change", "name", "weight", "word"),
    [
        (mounted("nfs4"), "file-system", "failing", "disk of the server's own"),
        (mounted("fuse.sshfs"), "file-system", "failing", "disk of the server's own"),
        (mounted("vfat"), "file-system", "failing", "can't hold"),
        (mounted("tmpfs"), "file-system", "failing", "gone at the next boot"),
        (mounted("overlay"), "file-system", "failing", "laid over"),
        (mounted("zfs"), "file-system", "warning", "OpenZFS 2.2"),
        (mounted("xfs", more="ftype\t0 /var"), "file-system", "failing", "ftype=0"),
        (mounted("xfs", more="ftype\t? /var"), "file-system", "unchecked", "xfs_info"),
        (mounted("squashfs"), "file-system", "blocking", "read-only"),
        (mounted("ext4", "ro,relatime"), "file-system", "blocking", "remount"),
        (mounted("ext4", "rw,noexec,nodev"), "noexec", "warning", "fstab"),
        (mounted("nfs", directory="/var/lib/etcd"), "file-system", "failing", "/var/lib/etcd"),
    ],
)
def test_file_systems_that_can_not_hold_it(servers, change, name, weight, word):
    one(check(PreflightFileSystems, servers(change)), name, weight, word)


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "ext3"])
def test_file_systems_that_can(servers, kind):
    assert isinstance(check(PreflightFileSystems, servers(mounted(kind))), Satisfied)
    assert isinstance(check(PreflightFileSystems, servers(mounted("xfs", more="ftype\t1 /var"))), Satisfied)


@pytest.mark.parametrize(
    ("line", "weight"),
    [
        ("took\t250 4000 18000 /var/lib", "warning"),
        ("took\t250 9000 160000 /var/lib", "failing"),
        ("took\t9 250000 260000 /var/lib", "failing"),
        ("unchecked\t/var/lib: Read-only file system", "unchecked"),
    ],
)
def test_a_disk_that_is_too_slow_for_etcd(servers, line, weight):
    def slow(node):
        node.extra["latency"] = line

    fleet = servers(slow, on=("cp1",))
    one(check(PreflightFileSystems, fleet), "disk-latency", weight, "/var/lib")


def test_only_control_planes_are_measured(servers):
    from kfinstall.parts.preflight.disk_facts import Latency

    fleet = servers()
    assert fleet["cp1"].section(Latency).writes
    assert not fleet["worker1"].section(Latency).writes


# names


@pytest.mark.parametrize(
    ("line", "name", "weight", "word"),
    [
        ("name\tcp1 10.77.0.12", "own-name", "failing", "which is worker1"),
        ("name\tcp1", "own-name", "warning", "resolves to nothing"),
        ("name\tcp1 203.0.113.7", "own-name", "warning", "none of its addresses"),
        ("name\tworker1 10.77.0.13", "node-names", "warning", "which is worker2"),
        ("name\tworker1 127.0.1.1", "node-names", "warning", "this server itself"),
        ("name\tworker1 203.0.113.7", "node-names", "warning", "in the answers it is 10.77.0.12"),
        ("wildcard\tcorp.example 203.0.113.9", "wildcard-domain", "warning", "corp.example"),
    ],
)
def test_names_that_lead_astray(servers, line, name, weight, word):
    one(check(PreflightNames, servers(extra("ways", line))), name, weight, word)


@pytest.mark.parametrize("line", ["name\tcp1 127.0.1.1", "name\tcp1 10.77.0.11", "name\tcp1 ::1", "name\tworker1 10.77.0.12"])
def test_names_that_are_well(servers, line):
    found = check(PreflightNames, servers(extra("ways", line)))
    assert isinstance(found, Satisfied)


def test_names_that_nobody_knows_are_only_told(servers):
    one(check(PreflightNames, servers()), "node-names", "info", "10.77.0.12 worker1", "/etc/hosts")


def test_more_than_three_name_servers(servers):
    text = "\n".join(f"nameserver\t/run/systemd/resolve/resolv.conf 10.0.0.{number}" for number in range(1, 5))
    one(check(PreflightNames, servers(extra("host", text))), "name-servers", "warning", "10.0.0.4", "first 3")


def test_time_zones_are_told_once(servers):
    fleet = servers(extra("host", "zone\tEurope/Berlin"), on=("worker2",))
    one(check(PreflightClock, fleet), "time-zone", "info", "worker2 Europe/Berlin", "set-timezone UTC")
    assert "time-zone" not in findings(check(PreflightClock, fleet, "worker1"))


# what was not read


def test_what_a_node_did_not_tell_is_no_pass():
    from kfinstall.parts.preflight.disk_facts import Mounts
    from kfinstall.parts.preflight.facts import Filter, Host, Ways

    fleet = read(answers(), machines())
    facts = fleet["cp1"]
    bare = {kind: section for kind, section in facts.sections.items() if kind not in (Filter, Host, Mounts, Ways)}
    fleet["cp1"] = replace(facts, sections=bare)
    for step, name in (
        (PreflightKernel, "kernel-modules"),
        (PreflightNetwork, "packet-filter"),
        (PreflightFileSystems, "file-system"),
        (PreflightNames, "node-names"),
    ):
        one(check(step, fleet), name, "unchecked", "could not be checked")

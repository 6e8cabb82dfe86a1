import base64
import hashlib
import json
import shutil
import stat
import subprocess
import tarfile
from dataclasses import replace
from io import BytesIO

import pytest
import yaml

from kfinstall import resources
from kfinstall.answers.model import Answers
from kfinstall.engine.step import Conflict, Needed, Satisfied, View
from kfinstall.facts.model import Facts, FileFact, NetworkFacts, PackageFact, RuntimeFacts, UnitFact
from kfinstall.parts.preflight.runtime_files import RuntimeFiles
from kfinstall.parts.registry import files as registry_files
from kfinstall.parts.registry import proof_image
from kfinstall.parts.registry.facts import RegistryFacts
from kfinstall.parts.registry.pull_proof import RegistryPullProof
from kfinstall.parts.registry.push import RegistryPush
from kfinstall.parts.registry.server import RegistryServer
from kfinstall.parts.registry.trust import RegistryTrust
from kfinstall.releases import Release
from kfinstall.releases import load as load_release
from kfinstall.simulator.nodes.model import ScriptError, SimNode, World
from kfinstall.simulator.parts import registry as _registry  # noqa: F401
from kfinstall.simulator.parts.preflight_facts import render as render_files
from kfinstall.simulator.parts.registry_facts import render
from tests.fakes.context import FakeContext

NODES = [{"name": "cp", "address": "10.0.0.1"}, {"name": "w1", "address": "10.0.0.2"}]


def make_answers(**sections):
    return Answers.model_validate({"nodes": NODES, **sections})


class Lab:
    """Simulated nodes, and views of them as the engine would have them."""

    def __init__(self, **sections):
        self.answers = make_answers(**sections)
        self.release = Release(name="26.03")
        self.world = World({n.name: SimNode(n.name, n.address, i) for i, n in enumerate(self.answers.nodes)})

    def facts(self, name, **more):
        node = self.world.nodes[name]
        files = {
            p: FileFact("file" if f.content is not None else "directory", f.mode, f.owner, 0, f.sha256)
            for p, f in node.files.items()
        }
        return Facts(
            node=name,
            files=files,
            packages={p: PackageFact(v.version, "installed") for p, v in node.packages.items()},
            units={u: UnitFact("loaded", "active" if v.active else "inactive", "enabled") for u, v in node.units.items()},
            network=more.pop("network", NetworkFacts(listeners=dict(node.listeners))),
            runtime=RuntimeFacts(ca_sha256="cluster1"),
            sections={RegistryFacts: RegistryFacts.parse(render(node, RegistryFacts.query(self.answers)).splitlines())},
            read_at=more.pop("read_at", __import__("time").time()),
            **more,
        )

    def view(self, target):
        return View(self.answers, self.release, target, {n: self.facts(n) for n in self.world.nodes})

    def check(self, step, target):
        return step().check(self.view(target))

    async def apply(self, step, target, password="hunter2-hunter2"):
        context = FakeContext(self.view(target), self.world, {"registry.password": password})
        await step().apply(context)
        return context


async def test_the_whole_phase_is_done_once_and_then_satisfied():
    lab = Lab()
    for step, targets in (
        (RegistryServer, ["cp"]),
        (RegistryTrust, ["cp", "w1"]),
        (RegistryPush, ["cp"]),
        (RegistryPullProof, ["cp", "w1"]),
    ):
        for target in targets:
            assert isinstance(lab.check(step, target), Needed)
            await lab.apply(step, target)
        for target in targets:
            check = lab.check(step, target)
            assert isinstance(check, Satisfied), check
            assert check.evidence


async def test_insecure_needs_no_login_and_no_certificate():
    lab = Lab(registry={"insecure": True})
    for step, target in ((RegistryServer, "cp"), (RegistryTrust, "w1"), (RegistryPush, "cp"), (RegistryPullProof, "w1")):
        await lab.apply(step, target)
        assert isinstance(lab.check(step, target), Satisfied)
    assert "ca =" not in lab.world.nodes["w1"].files["/etc/containerd/certs.d/10.0.0.1:5000/hosts.toml"].content
    assert not any("htpasswd" in path for path in lab.world.nodes["cp"].files)


async def test_a_wrong_password_is_refused_with_a_hint():
    lab = Lab()
    await lab.apply(RegistryServer, "cp")
    with pytest.raises(ScriptError) as caught:
        await lab.apply(RegistryPush, "cp", password="another password")
    assert any("refuses the login" in line for line in caught.value.lines)


async def test_another_cluster_or_source_of_the_password_asks_for_a_new_login():
    lab = Lab()
    await lab.apply(RegistryServer, "cp")
    assert isinstance(lab.check(RegistryServer, "cp"), Satisfied)
    lab.answers = make_answers(registry={"password": {"env": "REGISTRY_PASSWORD"}})
    assert lab.check(RegistryServer, "cp") == Needed((f"write {registry_files.LOGIN}",))


async def test_a_certificate_that_ends_soon_is_signed_anew():
    lab = Lab()
    await lab.apply(RegistryServer, "cp")
    view = lab.view("cp")
    late = {"cp": lab.facts("cp", read_at=view.facts.read_at + 1800 * 86400)}
    assert RegistryServer().check(View(lab.answers, lab.release, "cp", late)) == Needed(("sign a server certificate",))


async def test_a_new_address_asks_for_a_new_certificate():
    lab = Lab()
    await lab.apply(RegistryServer, "cp")
    node = lab.world.nodes["cp"]
    node.files["/run/sim/registry"].content = node.files["/run/sim/registry"].content.replace("IP:10.0.0.1", "IP:10.9.9.9")
    check = lab.check(RegistryServer, "cp")
    assert isinstance(check, Needed)
    assert "sign a server certificate for" in check.changes[0]


async def test_a_new_ca_makes_trust_and_proofs_needed_again():
    lab = Lab()
    for step, target in ((RegistryServer, "cp"), (RegistryTrust, "w1"), (RegistryPush, "cp"), (RegistryPullProof, "w1")):
        await lab.apply(step, target)
    state = lab.world.nodes["cp"].files["/run/sim/registry"]
    state.content = "\n".join(
        line if not line.startswith("ca_sha256") else "ca_sha256=other" for line in state.content.splitlines()
    )
    assert isinstance(lab.check(RegistryTrust, "w1"), Needed)
    assert isinstance(lab.check(RegistryPush, "cp"), Needed)
    assert isinstance(lab.check(RegistryPullProof, "w1"), Needed)


def test_a_foreign_listener_on_the_port_is_a_conflict():
    lab = Lab()
    facts = {"cp": lab.facts("cp", network=NetworkFacts(listeners={5000: "python3"}))}
    check = RegistryServer().check(View(lab.answers, lab.release, "cp", facts))
    assert isinstance(check, Conflict)
    assert "python3" in check.reason


def test_the_password_is_in_no_parameter():
    lab = Lab()
    for step, target in ((RegistryServer, "cp"), (RegistryTrust, "w1"), (RegistryPush, "cp"), (RegistryPullProof, "w1")):
        assert "PASSWORD" not in step().parameters(lab.view(target))


async def test_the_login_goes_by_standard_input_and_bcrypt_fits():
    import bcrypt

    lab = Lab(registry={"user": "pusher"})
    context = await lab.apply(RegistryServer, "cp", password='q"uo\\te $x')
    password, line = context.stdins["registry-server"].split("\n")[:2]
    user, _, hashed = line.partition(":")
    assert (password, user) == ('q"uo\\te $x', "pusher")
    assert bcrypt.checkpw(password.encode(), hashed.encode())


def test_config_is_yaml_and_asks_for_tls_and_login():
    config = yaml.safe_load(registry_files.config(make_answers()))
    assert config["http"]["tls"]["minimumtls"] == "tls1.2"
    assert config["auth"]["htpasswd"]["path"] == registry_files.HTPASSWD
    assert "auth" not in yaml.safe_load(registry_files.config(make_answers(registry={"insecure": True})))


@pytest.mark.parametrize("directory", ["/srv/a b", '/srv/q"uote', "/srv/co:lon;x$y"])
def test_the_data_directory_is_quoted_for_systemd(directory):
    unit = registry_files.unit(make_answers(registry={"directory": directory}))
    line = next(line for line in unit.splitlines() if line.startswith("BindPaths="))
    quoted = line.removeprefix("BindPaths=").removesuffix(":/run/kfinstall-registry/data")
    assert json.loads(quoted) == directory  # the same escapes as JSON: backslash and double quote


def test_hosts_toml_names_the_ca_for_the_host_and_for_containerds_fallback():
    import tomllib

    bare = View(make_answers(), load_release("26.03"), "cp")
    parsed = tomllib.loads(registry_files.trust_files(bare)["/etc/containerd/certs.d/10.0.0.1:5000/hosts.toml"])
    ca = "/etc/containerd/certs.d/10.0.0.1:5000/ca.crt"
    assert parsed["ca"] == ca
    assert parsed["host"]["https://10.0.0.1:5000"]["ca"] == ca


def test_docker_is_told_by_its_own_folder_and_by_field():
    answers = make_answers(
        cluster={"runtime": "docker"}, registry={"insecure": True, "mirrors": {"docker.io": "https://m.example"}}
    )
    assert registry_files.trust_files(View(answers, load_release("26.03"), "cp")) == {}
    # The mirror stands there since phase prepare.
    assert registry_files.docker_daemon(answers) == {"insecure-registries": ["10.0.0.1:5000"]}


def test_the_daemons_json_is_merged_by_field(tmp_path):
    script = resources.script("registry/trust")
    program = script.split("<<'PYTHON'\n")[1].split("\nPYTHON")[0].replace("/etc/docker/daemon.json", str(tmp_path / "daemon.json"))
    (tmp_path / "daemon.json").write_text('{"storage-driver": "overlay2", "insecure-registries": ["old:5000"]}')
    wanted = json.dumps({"insecure-registries": ["10.0.0.1:5000"]})
    first = subprocess.run(["python3", "-c", program, wanted], capture_output=True, text=True, check=True).stdout
    assert json.loads(first) == {"storage-driver": "overlay2", "insecure-registries": ["old:5000", "10.0.0.1:5000"]}
    (tmp_path / "daemon.json").write_text(first)
    assert subprocess.run(["python3", "-c", program, wanted], capture_output=True, text=True, check=True).stdout == ""


def test_the_proof_image_is_a_valid_oci_image_and_always_the_same():
    image = proof_image.build("kubeflow")
    assert image == proof_image.build("kubeflow")
    assert image.digest != proof_image.build("other").digest
    manifest, config = json.loads(image.manifest), json.loads(image.config)
    layer = manifest["layers"][0]
    assert layer["digest"] == config["rootfs"]["diff_ids"][0] == "sha256:" + hashlib.sha256(image.layer).hexdigest()
    assert layer["size"] == len(image.layer)
    assert manifest["config"]["size"] == len(image.config)
    with tarfile.open(fileobj=BytesIO(image.layer)) as archive:
        member = archive.getmembers()[0]
        assert archive.extractfile(member).read() == b"pushed by kfinstall for cluster kubeflow\n"
        assert stat.S_IMODE(member.mode) == 0o444
    assert base64.b64decode(image.parameters["LAYER"]) == image.layer


def test_names_of_the_certificate_fit_address_and_name():
    assert registry_files.subject_names(make_answers()) == ("DNS:cp", "DNS:localhost", "IP:10.0.0.1", "IP:127.0.0.1")
    named = Answers.model_validate({"nodes": [{"name": "cp", "address": "cp.example"}]})
    assert "DNS:cp.example" in registry_files.subject_names(named)


def test_facts_without_sense_count_as_absent():
    found = RegistryFacts.parse(["status=abc", "nonsense", "expires_at=", "names=B A "])
    assert found == RegistryFacts(names=("A", "B"))
    assert not found.answers
    # Digits are more than 0 to 9 to Python, and more than 4300 of them are no number to it.
    assert RegistryFacts.parse(["status=\u00b2", f"used_bytes={'9' * 5000}", f"expires_at={'9' * 400}"]) == RegistryFacts()


SCRIPTS = ["registry-server", "registry-trust", "registry-push", "registry-pull-proof", "spark-image", "spark-submit-script"]


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_clean(name):
    path = resources.root() / "scripts" / f"{resources.step_script(name)}.sh"
    done = subprocess.run(["shellcheck", "-x", "-s", "bash", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("paths", ["/etc/containerd/registry.d", "/etc/containerd/registry.d:/data/certs.d"])
async def test_the_registry_is_told_where_containerds_configuration_looks(paths):
    lab = Lab()
    config = f'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "{paths}"\n'
    lab.world.nodes["w1"].write("/etc/containerd/config.toml", config)
    theirs = "/etc/containerd/registry.d/quay.io/hosts.toml"
    lab.world.nodes["w1"].write(theirs, 'server = "https://quay.io"\n')
    await lab.apply(RegistryServer, "cp")

    def seen():
        """What is asked for before anything is known of the node holds no file of that directory."""
        facts = lab.facts("w1")
        node = lab.world.nodes["w1"]
        told = RuntimeFiles.parse(render_files(node, RuntimeFiles.query(lab.answers)).splitlines())
        files = {path: fact for path, fact in facts.files.items() if not path.startswith("/etc/containerd/registry.d/")}
        facts = replace(facts, files=files, sections={**facts.sections, RuntimeFiles: told})
        return View(lab.answers, lab.release, "w1", {"cp": lab.facts("cp"), "w1": facts})

    folder = "/etc/containerd/registry.d/10.0.0.1:5000"
    assert RegistryTrust().parameters(seen())["FOLDER"] == folder
    assert isinstance(RegistryTrust().check(seen()), Needed)
    await RegistryTrust().apply(FakeContext(seen(), lab.world, {"registry.password": "hunter2-hunter2"}))
    files = lab.world.nodes["w1"].files
    assert f'ca = "{folder}/ca.crt"' in files[f"{folder}/hosts.toml"].content
    assert files[theirs].content == 'server = "https://quay.io"\n'
    assert not any(path.startswith("/etc/containerd/certs.d/") for path in files)
    check = RegistryTrust().check(seen())
    assert isinstance(check, Satisfied), check
    assert RegistryPullProof().parameters(seen())["FOLDER"] == folder
    files[f"{folder}/ca.crt"].content = "another\n"
    assert RegistryTrust().check(seen()) == Needed((f"write {folder}/ca.crt",))

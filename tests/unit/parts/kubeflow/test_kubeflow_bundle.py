"""The offline bundle and the render script itself: git, vendored bases, a second rendering without a network, and what a bundle may not be."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from functools import cache
from pathlib import Path

import pytest

from kfinstall import resources
from kfinstall.answers.model import Answers
from kfinstall.cli import main
from kfinstall.engine.step import Needed, View
from kfinstall.errors import CommandError, UsageError
from kfinstall.kube import raw
from kfinstall.parts.kubeflow import bundle, choice, render_here
from kfinstall.parts.kubeflow.images import images
from kfinstall.parts.kubeflow.render import KubeflowRender
from kfinstall.parts.prepare.tools import PrepareTools
from kfinstall.releases import Artifact, Component, load
from kfinstall.simulator.nodes import kubeflow as simulated
from kfinstall.simulator.nodes.model import SimNode, World
from kfinstall.simulator.parts import kubeflow as _effects  # noqa: F401 (registers them)
from tests.fakes.context import FakeContext

REAL = Path(__file__).parents[5] / "shared" / "data" / "kubeflow-26.03.yaml.gz"
NODES = [{"name": "cp", "address": "10.0.0.1"}, {"name": "w1", "address": "10.0.0.2"}]


def view(release="26.03", facts=None, **kubeflow) -> View:
    answers = Answers.model_validate({"nodes": NODES, "cluster": {"release": release}, "kubeflow": kubeflow})
    return View(answers, load(release), "cp", {"cp": facts} if facts else {})


@cache
def made(release="26.03", **kubeflow) -> bundle.Bundle:
    seen = view(release, **kubeflow)
    return bundle.of(seen, simulated.rendering(choice.paths(seen.answers, seen.release)), ["docker.io/library/spark:3.5.2"])


class TestImages:
    def test_pods_configuration_and_the_injected_sidecar(self):
        documents = [
            {
                "kind": "Deployment",
                "metadata": {"name": "d"},
                "spec": {"containers": [{"image": "busybox:1.37"}, {"image": "auto"}]},
            },
            {"kind": "Deployment", "metadata": {"name": "e"}, "env": [{"name": "LAUNCHER_IMAGE", "value": "kserve/agent:v1"}]},
            {
                "kind": "ConfigMap",
                "metadata": {"name": "c"},
                "data": {"x": "a: quay.io/y/z:1.2, b", "j": '{"image": "kserve/router:v1"}'},
            },
            {
                "kind": "ConfigMap",
                "metadata": {"name": "n"},
                "data": {"text": "see github.com/kubeflow/manifests:readme", "image": "{{x}}"},
            },
        ]
        values = {"global": {"hub": "gcr.io/istio-release", "tag": "1.29.0", "proxy": {"image": "proxyv2"}}}
        documents.append(
            {"kind": "ConfigMap", "metadata": {"name": "istio-sidecar-injector"}, "data": {"values": json.dumps(values)}}
        )
        assert images(documents) == (
            "docker.io/kserve/agent:v1",
            "docker.io/kserve/router:v1",
            "docker.io/library/busybox:1.37",
            "gcr.io/istio-release/proxyv2:1.29.0",
            "quay.io/y/z:1.2",
        )

    def test_every_image_that_was_found_by_hand_in_the_published_rendering(self):
        listed = REAL.with_name("kubeflow-26.03-images.txt")
        if not listed.exists():
            pytest.skip(f"the images of Kubeflow 26.03 are not here ({listed.name})")
        found = set(images(raw.read(gzip.decompress(REAL.read_bytes()).decode())))
        by_hand = {line.split("\t")[1] for line in listed.read_text().splitlines() if line}
        wanted = set(images([{"kind": "Pod", "metadata": {"name": "p"}, "spec": [{"image": image} for image in by_hand]}]))
        assert wanted <= found
        assert found - wanted == {"docker.io/filebrowser/filebrowser:v2.25.0"}  # the viewer of volumes, named in JSON


class TestFile:
    def test_what_is_packed_is_read_and_the_same_gives_the_same_bytes(self, tmp_path):
        path = tmp_path / "kf.bundle"
        bundle.write(path, made())
        assert bundle.read(path) == made()
        assert path.read_bytes() == bundle.pack(made())
        assert "gcr.io/istio-release/pilot:1.28.0" in made().images
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("part", ["rendering.yaml.gz", "record.json", "images.txt"])
    def test_a_changed_part_is_damage(self, tmp_path, part):
        def changed(name, content):
            return content + b"x" if name == part else content

        path = tmp_path / "kf.bundle"
        path.write_bytes(repacked(bundle.pack(made()), changed))
        with pytest.raises(CommandError, match="is damaged") as caught:
            bundle.read(path)
        assert part in caught.value.why

    def test_a_cut_one_and_one_of_another_format_are_told(self, tmp_path):
        path = tmp_path / "kf.bundle"
        whole = bundle.pack(made())
        for length in (0, 100, 5000, len(whole) // 2):
            path.write_bytes(whole[:length])
            with pytest.raises(CommandError, match="damaged"):
                bundle.read(path)
        path.write_bytes(repacked(whole, lambda name, c: c.replace(b'"format": 1', b'"format": 2') if name == "bundle.json" else c))
        with pytest.raises(CommandError, match="format 2"):
            bundle.read(path)
        with pytest.raises(CommandError, match="can't be read"):
            bundle.read(tmp_path / "none")

    def test_a_rendering_that_lacks_a_folder_makes_no_bundle(self):
        seen = view()
        with pytest.raises(CommandError, match="not whole"):
            bundle.of(seen, simulated.rendering(choice.paths(seen.answers, seen.release)[:-1]))

    @pytest.mark.parametrize(
        ("wanted", "words"),
        [
            ({"release": "26.03.1"}, "is of release 26.03, the answers want 26.03.1"),
            ({"components": "full"}, "it lacks training-operator, model-registry"),
            ({"components": "mini"}, "beyond them"),
        ],
    )
    def test_one_of_something_else_is_refused(self, wanted, words):
        with pytest.raises(CommandError) as caught:
            bundle.refuse_another(made(), view(**wanted), "kf.bundle")
        assert words in f"{caught.value.message} {caught.value.why}"
        assert "kfinstall" in caught.value.hint

    def test_one_from_other_manifests_is_refused(self):
        old = bundle.Bundle(
            **{**{f: getattr(made(), f) for f in ("release", "components", "rendering", "images")}, "record": "{}\n"}
        )
        with pytest.raises(CommandError, match="other manifests"):
            bundle.refuse_another(old, view(), "kf.bundle")


def repacked(packed, change):
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(packed)) as source, tarfile.open(fileobj=out, mode="w") as target:
        for entry in source:
            content = change(entry.name, source.extractfile(entry).read())
            entry.size = len(content)
            target.addfile(entry, io.BytesIO(content))
    return out.getvalue()


class TestStep:
    @pytest.fixture
    def world(self):
        return World({"cp": SimNode("cp", "10.0.0.1", 0), "w1": SimNode("w1", "10.0.0.2", 1)})

    async def test_the_rendering_comes_from_the_bundle_and_is_recorded_as_if_made_there(self, tmp_path, world):
        path = tmp_path / "kf.bundle"
        bundle.write(path, made())
        seen = view(bundle=str(path))
        assert KubeflowRender().check(seen) == Needed((f"take the rendering from {path}",))
        context = FakeContext(seen, world)
        await KubeflowRender().apply(context)
        node = world.nodes["cp"]
        assert node.files[choice.record_path(seen)].content == choice.record(seen)
        assert not any("fetching" in line for line in context.lines)
        assert len((await choice.fetch(context)).documents) == len(choice.parse(made().rendering))
        assert not any(name.endswith(".incoming") for name in node.files)
        assert not PrepareTools().applies(seen.answers)  # neither git nor kustomize, which need a network

    async def test_a_wrong_bundle_changes_nothing_on_the_node(self, tmp_path, world):
        path = tmp_path / "kf.bundle"
        bundle.write(path, made(components="mini"))
        before = set(world.nodes["cp"].files)
        with pytest.raises(CommandError, match="other components"):
            await KubeflowRender().apply(FakeContext(view(bundle=str(path)), world))
        assert set(world.nodes["cp"].files) == before

    def test_the_check_is_the_same_with_and_without(self):
        assert choice.record(view(bundle="/x")) == choice.record(view())
        assert isinstance(KubeflowRender().check(view()), Needed)


BASH, GIT = shutil.which("bash"), shutil.which("git")
on_linux = pytest.mark.skipif(
    sys.platform != "linux" or not BASH or not GIT, reason="runs the nodes' script: needs Linux, bash and git"
)


class TestScripts:
    @on_linux
    def test_what_arrives_is_held_against_its_checksum_and_put_in_place(self, tmp_path):
        file = tmp_path / "kubeflow" / "r.yaml.gz"
        packed = made().rendering

        def ask(content, wanted):
            text = f"export KF_FILE={file} KF_SHA256={wanted}\n{resources.script('kubeflow/ask-bundle')}"
            return subprocess.run(
                [BASH, "-c", text], input=base64.b64encode(content), capture_output=True, check=False, timeout=20
            ).returncode

        good = hashlib.sha256(packed).hexdigest()
        assert ask(packed[:-3], good) == 4
        assert not list(file.parent.iterdir())
        assert ask(packed, good) == 0
        owner = f"{os.getuid()}:{os.getgid()}"
        step = resources.script("engine/lib") + resources.script("kubeflow/bundle").replace("root:root", owner)
        environment = {
            "KF_STATE_DIRECTORY": str(tmp_path / "state"),
            "KF_FILE": str(file),
            "KF_SHA256": good,
            "KF_RECORD_PATH": str(file.with_suffix(".json")),
            "KF_RECORD": "record\n",
        }
        for _again in range(2):
            done = subprocess.run([BASH, "-c", step], env=environment, capture_output=True, text=True, check=False, timeout=20)
            assert done.returncode == 0, done.stdout
            assert file.read_bytes() == packed
            assert file.with_suffix(".json").read_text() == "record\n"
        file.write_bytes(b"damaged")
        done = subprocess.run([BASH, "-c", step], env=environment, capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 57
        assert "kf-hint: bring it again: kfinstall resume" in done.stdout


KUSTOMIZE = f"""#!{sys.executable} -S
# Enough of kustomize for a folder with resources; the real one where it is at hand.
import os, re, sys
def build(folder):
    for line in open(os.path.join(folder, "kustomization.yaml")).read().splitlines():
        found = re.match(r"- (\\S+)", line)
        if found:
            path = os.path.join(folder, found.group(1))
            if "://" in path: sys.exit("a remote base was asked for: " + path)
            if os.path.isdir(path): build(path)
            else: print("---"); print(open(path).read().strip())
build(sys.argv[-1])
"""


def config_map(name):
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n"


def commit(folder, files, tag):
    """A repository with one tag; its commit."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"], ["tag", tag]):
        subprocess.run([GIT, "-C", str(folder), *words], check=True, capture_output=True)
    return subprocess.run([GIT, "-C", str(folder), "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """(view, cache, server that can be stopped): manifests and a base in git, another base by HTTP, kustomize by file."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifests.yaml").write_text(config_map("from-http"))
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *words: handler(*words, directory=str(tmp_path / "web")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    by_http = f"http://127.0.0.1:{server.server_port}/manifests.yaml"
    by_git = "https://git.invalid/owner/base/manifests/inner?ref=v3"
    base = {
        "manifests/inner/kustomization.yaml": "resources:\n- cm.yaml\n- ../beside\n",
        "manifests/inner/cm.yaml": config_map("from-git"),
    }
    base |= {"manifests/beside/kustomization.yaml": "resources:\n- b.yaml\n", "manifests/beside/b.yaml": config_map("beside")}
    commit(tmp_path / "base", base, "v3")
    manifests = {
        "common/a/kustomization.yaml": f"resources:\n- own.yaml\n- {by_git}\n- {by_http}\n",
        "common/a/own.yaml": config_map("own"),
        "common/b/kustomization.yaml": "resources:\n- b.yaml\n",
        "common/b/b.yaml": config_map("b"),
    }
    made = commit(tmp_path / "manifests", manifests, "t1")
    program = tmp_path / "kustomize"
    program.write_text(KUSTOMIZE)
    program.chmod(0o755)
    with tarfile.open(tmp_path / "kustomize.tar.gz", "w:gz") as archive:
        archive.add(program, "kustomize")
    (tmp_path / "gitconfig").write_text(
        f'[url "file://{tmp_path}/base"]\n insteadOf = https://git.invalid/owner/base\n'
        f'[url "file://{tmp_path}/manifests"]\n insteadOf = https://git.invalid/manifests\n[safe]\n directory = *\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    release = load("26.03")
    packed = (tmp_path / "kustomize.tar.gz").read_bytes()
    tool = Artifact(version="1", url=f"file://{tmp_path}/kustomize.tar.gz", sha256=hashlib.sha256(packed).hexdigest())
    row = release.kubeflow.model_copy(
        update={
            "repository": "https://git.invalid/manifests",
            "tag": "t1",
            "commit": made,
            "remote_bases": (by_git, by_http),
            "components": {
                "a": Component(title="A", paths=("common/a",)),
                "b": Component(title="B", paths=("common/b",), needs=("a",)),
            },
            "presets": {"mini": ("a",), "standard": ("a", "b"), "full": ("a", "b")},
        }
    )
    tools = {f"kustomize-{arch}": tool for arch in ("amd64", "arm64")}
    changed = release.model_copy(update={"kubeflow": row, "artifacts": {**release.artifacts, **tools}})
    answers = Answers.model_validate({"nodes": NODES})
    yield View(answers, changed, "cp"), tmp_path / "cache", server
    server.shutdown()
    server.server_close()


def names(packed):
    return {folder: [d["metadata"]["name"] for d in found] for folder, found in choice.by_folder(packed).items() if folder}


@on_linux
class TestRendering:
    def test_the_second_rendering_needs_no_network(self, served, monkeypatch):
        seen, cache, server = served
        lines = []
        first = render_here.render_here(seen, KubeflowRender().parameters(seen), cache, lines.append)
        assert names(first) == {"common/a": ["own", "from-git", "beside", "from-http"], "common/b": ["b"]}
        assert sum(line.startswith("fetching ") for line in lines) == 3
        server.shutdown()
        server.server_close()
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")  # from here on git.invalid leads nowhere
        shutil.rmtree(cache.parent / "manifests")
        lines.clear()
        assert render_here.render_here(seen, KubeflowRender().parameters(seen), cache, lines.append) == first
        assert not any(line.startswith(("fetching ", "downloaded ")) for line in lines)
        found = bundle.of(seen, first)
        assert found.components == ("a", "b")

    def test_a_moved_tag_is_refused_and_forgotten(self, served):
        seen, cache, _server = served
        with pytest.raises(CommandError, match="is commit") as caught:
            render_here.render_here(seen, {**KubeflowRender().parameters(seen), "COMMIT": "0" * 40}, cache, lambda _line: None)
        assert "do not go on" in caught.value.hint
        assert not (cache / "kubeflow-t1").exists()

    def test_a_folder_that_is_not_there_is_named(self, served):
        seen, cache, _server = served
        with pytest.raises(CommandError, match="no folder common/c"):
            render_here.render_here(seen, {**KubeflowRender().parameters(seen), "PATHS": "common/c"}, cache, lambda _line: None)

    def test_elsewhere_than_on_linux_the_way_is_another(self, served, monkeypatch):
        seen, cache, _server = served
        monkeypatch.setattr(sys, "platform", "darwin")
        with pytest.raises(UsageError, match="only be rendered on Linux") as caught:
            render_here.render_here(seen, {}, cache, lambda _line: None)
        assert "--answers" in caught.value.hint


class TestCommandLine:
    def test_show_prints_images_on_stdout_and_the_rest_beside_it(self, tmp_path, capsys):
        path = tmp_path / "kf.bundle"
        bundle.write(path, made())
        assert main(["bundle", "--show", str(path)]) == 0
        out, err = capsys.readouterr()
        assert out.split() == list(made().images)
        assert made().sha256 in err
        assert main(["bundle", "--show", str(path), "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert (printed["event"], printed["release"], printed["sha256"]) == ("bundle", "26.03", made().sha256)

    @pytest.mark.parametrize(
        ("words", "version"), [([], "1.35.9"), (["--kubernetes", "1.36"], "1.36.4"), (["--kubernetes", "1.34.2"], "1.34.2")]
    )
    def test_the_images_to_mirror_are_those_of_the_control_plane_too(self, tmp_path, capsys, monkeypatch, words, version):
        def rendered(seen, *_more):
            return simulated.rendering(choice.paths(seen.answers, seen.release))

        monkeypatch.setattr(render_here, "render_here", rendered)  # git and a network
        path = tmp_path / "kf.bundle"
        assert main(["bundle", "--out", str(path), "--release", "26.03.1", "--components", "mini", *words]) == 0
        assert f"images of the control plane: those of Kubernetes {version}, and of no other" in capsys.readouterr().err
        assert main(["bundle", "--show", str(path)]) == 0
        listed = capsys.readouterr().out.split()
        wanted = load("26.03.1").control_plane_images(version)
        assert len(wanted) == 7
        assert [i for i in listed if re.search(r"/(kube-(?!rbac)[a-z-]+|etcd|coredns|pause):", i)] == sorted(wanted)

    def test_an_older_bundle_lacks_them_and_says_so(self, tmp_path, capsys):
        path = tmp_path / "kf.bundle"
        bundle.write(path, made())
        assert main(["bundle", "--show", str(path)]) == 0
        assert "images of the control plane: not among them" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "status", "text"),
        [
            (["--out", "/nowhere.bundle", "--kubernetes", "1.36", "--answers", "f"], 2, "exclude each other"),
            (["--out", "/nowhere.bundle", "--release", "26.03", "--kubernetes", "1.36"], 15, "runs on Kubernetes 1.33 to 1.34"),
            (["--out", "/nowhere.bundle", "--kubernetes", "newest"], 15, "kubernetesVersion"),
            (["--out", "x/y/z"], 2, "is no folder"),
            (["--out", "/nowhere.bundle", "--release", "1.6"], 15, "can't be installed any more"),
            (["--out", "/nowhere.bundle", "--release", "26.03", "--components", "katib"], 15, "katib needs"),
            (["--out", "/nowhere.bundle", "--release", "26.03", "--answers", "f"], 2, "not allowed with"),
            (["--show", "/nowhere.bundle"], 2, "can't be read"),
        ],
    )
    def test_what_can_not_be_is_said(self, words, status, text, capsys):
        assert main(["bundle", *words]) == status
        assert text in capsys.readouterr().err

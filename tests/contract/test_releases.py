"""The version matrix: every row and every shared file has the right shape, and nothing is unpinned."""

import re
from pathlib import Path

import pytest
import yaml

from kfinstall import releases, resources
from kfinstall.errors import AnswersError
from kfinstall.releases import load

FILES = sorted(resources.asset("releases").glob("*.yaml"))
GOOD = [name for name in releases.names() if not releases.load(name).refused]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files(path):
    data = yaml.safe_load(path.read_text())
    for name, image in (data.get("images") or {}).items():
        assert re.fullmatch(r"[a-z0-9.-]+\.[a-z]+(:\d+)?/[\w./-]+(:[\w.-]+)?(@sha256:[0-9a-f]{64})?", image), (name, image)
        assert ":" in image.rpartition("/")[2], f"{name} has neither tag nor digest"
        assert not image.endswith(":latest")
    for name, artifact in (data.get("artifacts") or {}).items():
        assert artifact["url"].startswith("https://"), name
        assert re.fullmatch(r"([0-9a-f]{64})?", artifact.get("sha256", "")), name


@pytest.mark.parametrize("name", releases.names())
def test_rows(name):
    release = releases.load(name)
    if release.refused:
        assert release.instead in GOOD
        return
    window, kubeflow = release.kubernetes, release.kubeflow
    low, high, default = (int(version.split(".")[1]) for version in (window.minimum, window.maximum, window.default))
    assert low <= default <= high
    assert set(window.patches) == {f"1.{minor}" for minor in range(low, high + 1)}
    assert window.patches[f"1.{default}"] == window.default
    for component in kubeflow.components.values():
        assert set(component.needs) <= set(kubeflow.components)
        assert all(not path.startswith("/") and ".." not in path for path in (*component.paths, *component.profile_paths))
        assert component.paths or component.profile_paths
    for preset in kubeflow.presets.values():
        for chosen in preset:
            assert set(kubeflow.components[chosen].needs) <= set(preset), chosen


REQUESTS = yaml.safe_load((Path(__file__).parent / "data" / "kubeflow-requests.yaml").read_text())
PRESETS = {
    "1.11.0": {"mini": (15, 800, 2404, 0), "standard": (51, 2922, 6862, 50), "full": (55, 3422, 8910, 60)},
    "26.03": {"mini": (15, 800, 2404, 0), "standard": (52, 3022, 7162, 50), "full": (56, 3522, 9210, 60)},
    "26.03.1": {"mini": (16, 800, 2404, 0), "standard": (53, 3022, 7162, 50), "full": (59, 3522, 9210, 65)},
}
"""Pods, CPU millicores, memory mebibytes and volumes gibibytes; 26.03.1 as published without the training operator's pod."""


def cost(component):
    return (component.pods, component.cpu_millicores, component.memory_mebibytes, component.volumes_gibibytes)


@pytest.mark.parametrize("name", GOOD)
def test_costs_are_those_of_the_rendered_workloads(name):
    for component_id, component in load(name).kubeflow.components.items():
        if (name, component_id) == ("26.03.1", "kserve"):
            assert cost(component) == cost(load("26.03").kubeflow.components["kserve"])
            continue
        found = REQUESTS[name][component_id]
        pods, cpu, memory = (sum(column) for column in zip((0, 0, 0), *(found.get("workloads") or {}).values(), strict=True))
        assert cost(component) == (pods, cpu, round(memory), sum((found.get("claims") or {}).values())), component_id


@pytest.mark.parametrize("name", GOOD)
def test_presets_cost_what_was_measured(name):
    row = load(name).kubeflow
    for preset, wanted in PRESETS[name].items():
        parts = [cost(row.components[component]) for component in row.presets[preset]]
        assert tuple(map(sum, zip(*parts, strict=True))) == wanted, preset


def test_the_document_tells_what_presets_cost():
    rows = re.findall(
        r"^\| (mini|standard|full) \| (.*) \| [^|]*\|$", (resources.root() / "docs" / "kubeflow.md").read_text(), re.MULTILINE
    )
    assert [preset for preset, _cells in rows] == ["mini", "standard", "full"]
    for preset, cells in rows:
        for name, cell in zip(GOOD, cells.split(" | "), strict=True):
            pods, cpu, memory, volumes = PRESETS[name][preset]
            wanted = f"{pods} pods, {cpu / 1000:.1f} CPU, {memory / 1024:.1f} GiB" + (f", {volumes} GiB volumes" if volumes else "")
            assert cell == wanted


def test_components_come_after_what_they_need():
    for name in GOOD:
        seen = set()
        for component_id, component in releases.load(name).kubeflow.components.items():
            assert set(component.needs) <= seen, component_id
            seen.add(component_id)


def test_the_default_release_and_version():
    assert releases.load("26.03").patch(None).startswith("1.34.")
    assert releases.load("26.03").patch("1.33") == releases.load("26.03").kubernetes.patches["1.33"]
    assert releases.load("26.03").minor("1.33.1") == "1.33"


def test_no_version_hides_in_the_code():
    pattern = re.compile(r"https?://[^\s\"'`]*(?:github\.com|pkgs\.k8s\.io|githubusercontent)[^\s\"'`]*v?\d+\.\d+")
    for path in [*(resources.root() / "kfinstall").rglob("*.py"), *(resources.root() / "scripts").rglob("*.sh")]:
        if "simulator" not in path.parts and "_bundle" not in path.parts:
            assert not pattern.search(path.read_text()), path


@pytest.mark.parametrize("name", GOOD)
def test_a_row_that_can_be_installed_is_pinned(name):
    row = releases.load(name).kubeflow
    assert row.repository.startswith("https://github.com/")
    assert re.fullmatch(r"([0-9a-f]{40})?", row.commit)
    assert all(
        re.fullmatch(r"https://github\.com/[^ ]+(\?ref=v|/download/v)[0-9.]+(/manifests\.yaml)?", base) for base in row.remote_bases
    )
    folders = [path for component in row.components.values() for path in (*component.paths, *component.profile_paths)]
    assert len(folders) == len(set(folders))
    assert all(path.startswith(("common/", "applications/")) for path in folders)
    assert set(row.presets) == {"mini", "standard", "full"}
    assert set(row.presets["mini"]) < set(row.presets["standard"]) < set(row.presets["full"]) <= set(row.components)
    assert "spark-operator" in row.presets["standard"]
    for version in releases.load(name).kubernetes.patches.values():
        assert re.fullmatch(r"1\.[0-9]+\.[0-9]+", version)


def test_the_guides_release_and_all_older_ones_are_refused_with_a_way_out():
    refused = [name for name in releases.names() if name not in GOOD]
    assert set(refused) == {
        *("1.5.0", "1.5.1", "1.6.0", "1.6.1", "1.7.0", "1.8.0", "1.8.1", "1.9.0", "1.9.1", "1.10.0", "1.10.1", "1.10.2"),
    }
    for name in refused:
        assert "images" in releases.load(name).refused
        assert releases.load(name).kubeflow is None


@pytest.mark.parametrize("name", GOOD)
def test_every_package_of_a_notebook_image_is_pinned(name):
    release = load(name)
    assert release.images["jupyter"].startswith("ghcr.io/kubeflow/")
    for image in release.notebooks.values():
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+(; python_version (<|>=) '3\.12')?", pin) for pin in image.packages)
        assert any(pin.partition("==")[2] == image.version for pin in image.packages)
        assert resources.asset(f"kubeflow/{image.dockerfile}").is_file()


# An empty checksum is only good where a signature is checked instead.
def test_every_download_has_a_checksum_or_is_an_apt_repository():
    for name, artifact in releases.load("26.03").artifacts.items():
        signed = "repository" in name and ("apt" in artifact.url or "/deb/" in artifact.url or "linux/" in artifact.url)
        assert artifact.sha256 or signed, name
        assert not artifact.url.startswith("http://")


LISTED = {
    # What `kubeadm config images list` of these versions says, in its order, below registry.k8s.io/; then its own four.
    "1.32.1": ("coredns/coredns:v1.11.3", "pause:3.10", "etcd:3.5.16-0"),
    "1.32.13": ("coredns/coredns:v1.11.3", "pause:3.10", "etcd:3.5.24-0"),
    "1.33.5": ("coredns/coredns:v1.12.0", "pause:3.10", "etcd:3.5.21-0"),
    "1.33.10": ("coredns/coredns:v1.12.0", "pause:3.10", "etcd:3.5.24-0"),
    "1.34.1": ("coredns/coredns:v1.12.1", "pause:3.10.1", "etcd:3.6.4-0"),
    "1.34.9": ("coredns/coredns:v1.12.1", "pause:3.10.1", "etcd:3.6.5-0"),
    "1.35.9": ("coredns/coredns:v1.13.1", "pause:3.10.1", "etcd:3.6.6-0"),
    "1.36.4": ("coredns/coredns:v1.14.2", "pause:3.10.2", "etcd:3.6.8-0"),
}
OWN = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")


@pytest.mark.parametrize("version", LISTED)
def test_the_images_of_a_control_plane_are_those_that_its_kubeadm_names(version):
    named = [*(f"{part}:v{version}" for part in OWN), *LISTED[version]]
    assert releases.shared("kubernetes").control_plane_images(version) == tuple(f"registry.k8s.io/{image}" for image in named)


@pytest.mark.parametrize("name", GOOD)
def test_every_version_that_can_be_installed_has_its_images(name):
    release = releases.load(name)
    for minor, patch in release.kubernetes.patches.items():
        images = release.control_plane_images(patch)
        assert len(images) == len(set(images)) == 7
        assert images[5] == release.pause_image(minor)
        assert all(re.fullmatch(r"registry\.k8s\.io/[a-z/-]+:v?[0-9][\w.-]+", image) for image in images)
        # The first patch of a minor has some too, whatever is named later.
        assert release.control_plane_images(f"{minor}.0")[:5] == tuple(i.replace(f"v{patch}", f"v{minor}.0") for i in images[:5])
    # One home: no image of a control plane hides among those that every version has.
    assert not {"pause", *OWN, "etcd", "coredns"} & set(release.images)
    assert "pause" not in release.versions


@pytest.mark.parametrize("minor", ["1.31", "1.37", "1.3", "1.360", "2.36"])
def test_a_minor_that_nobody_looked_at_has_no_images_and_no_guess(minor):
    release = releases.load("26.03.1")
    for ask in (lambda: release.pause_image(minor), lambda: release.control_plane_images(f"{minor}.1")):
        with pytest.raises(AnswersError, match=f"images of Kubernetes {re.escape(minor)} are not known") as caught:
            ask()
        assert caught.value.why == "known are those of 1.32, 1.33, 1.34, 1.35, 1.36"
        assert caught.value.hint == "in the answers: cluster.kubernetesVersion, one of 1.34, 1.35, 1.36"

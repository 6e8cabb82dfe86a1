"""The version matrix: every row and every shared file has the right shape, and nothing is unpinned."""

import re

import pytest
import yaml

from kfinstall import releases, resources

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
        assert all(not path.startswith("/") and ".." not in path for path in component.paths)
    for preset in kubeflow.presets.values():
        for chosen in preset:
            assert set(kubeflow.components[chosen].needs) <= set(preset), chosen


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

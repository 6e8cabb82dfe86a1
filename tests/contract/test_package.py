"""The wheel and the sdist build, install into a clean environment, and run from outside the checkout."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from kfinstall import resources

ROOT = resources.root()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return out


def test_the_wheel_has_every_script_and_asset(built):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("scripts", "assets"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file():
                assert f"kfinstall/_bundle/{path.relative_to(ROOT).as_posix()}" in names
    assert "screens/__init__.py" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]
    assert list(built.glob("*.tar.gz"))


def test_the_wheel_installs_and_runs_the_demo_from_elsewhere(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=False, system_site_packages=False)
    python = next((tmp_path / "venv").glob("[bS]*/python*"))
    # The dependencies come from the environment that runs the tests: what is tested is the wheel, not an index.
    libs = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
        timeout=120,
        capture_output=True,
    )
    program = (
        "import sys; sys.path.append(sys.argv.pop(1)); import kfinstall; "
        "assert '_bundle' in str(__import__('kfinstall.resources').resources.root()); "
        "from kfinstall.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [str(python), "-I", "-c", program, str(libs), "demo", "--headless", "--pace", "0", "--state-dir", str(tmp_path / "state")],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "PROOF" in done.stdout

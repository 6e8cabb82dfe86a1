"""The guard in tests/conftest.py: no test writes to this machine's own undo record."""

import asyncio
import subprocess

import pytest

from kfinstall import resources


def test_a_script_without_a_state_directory_is_not_run(tmp_path):
    text = f"{resources.script('engine/lib')}\nkf_keep {tmp_path}/x"
    for environment in ({}, {"KF_STATE_DIRECTORY": ""}, None):
        with pytest.raises(AssertionError, match="KF_STATE_DIRECTORY"):
            subprocess.run(["bash", "-c", text], env=environment, check=False)
    with pytest.raises(AssertionError, match="KF_STATE_DIRECTORY"):
        asyncio.run(asyncio.create_subprocess_exec("bash", "-c", text, env={}))


def test_one_with_its_own_is(tmp_path):
    environment = {"KF_STATE_DIRECTORY": str(tmp_path / "state")}
    subprocess.run(["bash", "-c", f"{resources.script('engine/lib')}\nkf_keep {tmp_path}/x"], env=environment, check=True)
    assert [path.name for path in (tmp_path / "state/undo").iterdir()] == [f"{tmp_path}/x.absent".replace("/", "%2F")]

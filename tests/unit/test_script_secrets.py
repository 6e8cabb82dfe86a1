"""Scripts take a secret as it is: its last line need not end, as a password does not."""

import shutil
import subprocess
import sys

import pytest

from kfinstall import resources

BASH = shutil.which("bash") or ""
pytestmark = pytest.mark.skipif(sys.platform != "linux" or not BASH, reason="runs the nodes' scripts: needs Linux and bash")
SCRIPTS = ["registry-push", "registry-pull-proof", "spark-image", "kubeflow-notebook-images"]


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("secret", ["pass word\\", "pass word\\\n"])
def test_a_password_without_an_end_of_line_is_read(name, secret):
    beginning = resources.script(resources.step_script(name)).partition("\nfi\n")[0]
    text = f"set -euo pipefail\n{beginning}\nfi\nprintf 'read: %s' \"$kf_password\"\n"
    done = subprocess.run(
        [BASH, "-c", text], input=secret, env={"KF_SECURED": "yes"}, capture_output=True, text=True, timeout=10, check=False
    )
    assert (done.returncode, done.stdout) == (0, "read: pass word\\")

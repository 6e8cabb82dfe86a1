"""Programs that come with the development dependencies (shellcheck) are found beside this interpreter.

No test runs a step's script with this machine's own state directory, whose undo record a later reset would go by.
"""

import os
import sys
from pathlib import Path

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def pytest_addoption(parser):
    parser.addoption("--update-pictures", action="store_true", help="write the screens' pictures anew")


def _state_of_its_own(event, arguments):
    if event != "subprocess.Popen":
        return
    _program, words, _folder, environment = arguments
    text = "\0".join(map(os.fsdecode, words)) if isinstance(words, (list, tuple)) else os.fsdecode(words)
    if "${KF_STATE_DIRECTORY:-/var/lib/kfinstall}" not in text:
        return
    given = os.environ if environment is None else {os.fsdecode(name): value for name, value in environment.items()}
    if not given.get("KF_STATE_DIRECTORY"):
        message = "this would write to /var/lib/kfinstall of this machine: give the script a KF_STATE_DIRECTORY"
        raise AssertionError(message)


sys.addaudithook(_state_of_its_own)

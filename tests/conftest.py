"""Programs that come with the development dependencies (shellcheck) are found beside this interpreter."""

import os
import sys
from pathlib import Path

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def pytest_addoption(parser):
    parser.addoption("--update-pictures", action="store_true", help="write the screens' pictures anew")

"""Programs that come with the development dependencies (shellcheck) are found beside this interpreter."""

import os
import sys
from pathlib import Path

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"

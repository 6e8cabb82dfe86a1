"""`python -m kfinstall` is `kfinstall`."""

from __future__ import annotations

import sys

from kfinstall.cli import main

if __name__ == "__main__":
    sys.exit(main())

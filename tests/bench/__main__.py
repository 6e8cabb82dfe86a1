"""`make bench`: get the peers into an environment of their own and measure everything side by side.

Run: python -m tests.bench [--without-ansible]; needs Linux and OpenSSH's sshd. The figures in docs/benchmarks.md come from it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE.parents[1] / ".bench"


def peers() -> Path:
    """The folder with the peers' programs, made on first use or where their versions changed."""
    wanted = (HERE / "requirements.txt").read_text(encoding="utf-8")
    stamp = PEERS / "requirements.txt"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        venv.create(PEERS, with_pip=True, clear=True)
        install = [PEERS / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--requirement", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return PEERS / "bin"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--without-ansible", action="store_true", help="leave out what takes minutes")
    options = parser.parse_args()
    if not shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"):
        print("bench: no sshd here; install OpenSSH's server (Debian: apt-get install openssh-server)", file=sys.stderr)
        return 2
    programs = peers()
    command = [sys.executable, "-m", "tests.bench.bench_transport", "--pyinfra", str(programs / "pyinfra")]
    if not options.without_ansible:
        command += ["--ansible", str(programs / "ansible-playbook")]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

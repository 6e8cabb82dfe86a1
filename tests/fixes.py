"""What findings, conflicts and errors tell people to do, line by line: commands that a shell takes, and settings that the answers take."""

import re
import shutil
import subprocess
from functools import lru_cache

import yaml

from kfinstall.answers.load import loads
from kfinstall.answers.model import Answers
from kfinstall.errors import AnswersError
from tests.commands import refused

PARTS = tuple(Answers.model_json_schema(by_alias=True)["properties"])
_FRAGMENT = re.compile(rf"(?:{'|'.join(PARTS)}):(?: |$)")
_DOTTED = re.compile(rf"(?<![\w/.-])(?:{'|'.join(PARTS)})(?:\.[a-zA-Z]+)+: \S")
"""A setting that no file takes as it stands: YAML has no dots in keys that mean a level."""
_ON = re.compile(r"^(?:on [\w.-]+|or|try|there|here): ")
_PROGRAMS = (
    *("sudo", "kubectl", "ip", "curl", "getent", "resolvectl", "openssl", "echo", "ssh", "ssh-keygen", "showmount", "findmnt"),
    *("mtr", "ethtool", "nc", "perl", "timedatectl", "date", "systemctl", "apt-get", "sed", "lsblk", "journalctl", "grep", "cat"),
)
BASE = {"nodes": [{"name": "cp1", "address": "10.0.0.1"}, {"name": "w1", "address": "10.0.0.2"}]}


def troubles(text):
    """Why lines of a fix can't be used as they stand; empty where all can."""
    lines = text.split("\n")
    found = [f"{line}: {why}" for line in lines if (why := _trouble(line))]
    # Settings of several lines are one proposal.
    pasted = "\n".join(line for line in lines if _FRAGMENT.match(line) and not _DOTTED.search(line))
    if pasted and (why := fragment_trouble(pasted)):
        found.append(f"{pasted}: {why}")
    return [*found, *refused(text)]


def _trouble(line):
    if _DOTTED.search(line):
        return "a key with dots in it, which no answers file takes"
    line = _ON.sub("", line)
    if line.partition(" ")[0] in _PROGRAMS:
        return _shell_trouble(line)
    return ""


@lru_cache(None)
def _shell_trouble(line):
    bash = shutil.which("bash")
    if bash is None:
        return ""
    done = subprocess.run([bash, "-n", "-c", line], capture_output=True, text=True, check=False)
    return done.stderr.strip()


@lru_cache(None)
def fragment_trouble(line):
    """Why a line can't be pasted at the top level of an answers file."""
    try:
        given = yaml.safe_load(line)
        if not isinstance(given, dict) or not all(isinstance(below, dict) for below in given.values()):
            return "no setting"
        loads(yaml.safe_dump({**BASE, **given}))
    except yaml.YAMLError as error:
        return f"no YAML: {error}"
    except AnswersError as error:
        return "; ".join(error.problems or (error.message,))
    return ""

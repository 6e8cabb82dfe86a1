"""What an import costs, and what it must never bring along: checked in a fresh process, where deferred imports show too."""

import subprocess
import sys

import pytest


def modules_after(statement):
    program = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["kfinstall.engine.session", "kfinstall.workflows", "kfinstall.cli", "kfinstall.cli.runs"])
def test_the_engine_brings_no_user_interface_and_no_kubernetes(module):
    assert not {"textual", "rich", "kubernetes", "screens"} & modules_after(f"import {module}")


def test_help_and_completion_are_light():
    assert not {"asyncssh", "kubernetes", "textual", "pydantic"} & modules_after(
        "import kfinstall.cli.parser; kfinstall.cli.parser.build_parser()"
    )


def test_the_official_client_is_used_without_its_models():
    # Each is a module of its own; all of them are 80 MiB and a second.
    known = modules_after("import kubernetes.aio.client as package; package.ApiClient, package.Configuration")
    assert "kubernetes.aio.client.rest" in known
    assert not [name for name in known if name.startswith(("kubernetes.aio.client.models.", "kubernetes.client.models."))]

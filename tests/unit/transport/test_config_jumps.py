"""What is told of a jump host of ~/.ssh/config: a cause is named only where asyncssh really compared its key."""

import asyncssh
import pytest

from kfinstall.errors import ChangedHostKeyError
from kfinstall.transport import config_jumps


@pytest.mark.parametrize(
    ("written", "told"),
    [("jump.example", "has CHANGED"), ("Jump.Example", "can't be compared"), ("other", "is not known")],
)
def test_a_name_in_another_spelling_is_not_told_as_a_changed_key(tmp_path, written, told):
    key = " ".join(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2])
    config, known_hosts = tmp_path / "config", tmp_path / "known_hosts"
    config.write_text("Host w1\n  ProxyJump jump.example\n")
    known_hosts.write_text(f"{written} {key}\n")
    error = config_jumps.refused("w1", "w1", 22, config, known_hosts)
    assert told in error.message
    assert isinstance(error, ChangedHostKeyError) is (written == "jump.example")
    assert str(known_hosts) in error.why
    assert "ssh.jumpHosts" in error.hint or f"ssh-keygen -R jump.example -f {known_hosts}" in error.hint

"""The wire protocol: what is rendered is parsed back, whatever is in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfinstall.errors import UsageError
from kfinstall.secrets import Secret
from kfinstall.transport import wire
from kfinstall.transport.base import Program

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


@given(values=st.dictionaries(st.sampled_from(("A", "PATHS", "X_1")), TEXTS), body=TEXTS, payload=TEXTS)
def test_any_text_comes_back(values: dict[str, str], body: str, payload: str) -> None:
    program = Program("ask", "registry-ca", body, values, Secret(payload))
    for password in (None, Secret("pass word'$(x)")):
        command = wire.line_of(wire.root_command(12.5, "b1", password=password is not None))
        first = wire.encode_password(password) if password else b""
        request = wire.parse_request(command, first + wire.encode(program))
        assert request.program == wire.Parsed("ask", "registry-ca", values, body + "\n")
        assert request.payload == payload.encode()
        assert request.password == (password.reveal() if password else None)


def test_a_step_keeps_its_parameters_apart() -> None:
    step = Program("step", "prepare-swap-off", "swapoff -a", {"CONTENT": "a\n'b'"}, Secret("schlüssel"))
    start = wire.unit_start(step, run="r1", mark="m1", seconds=90, attach=False, folder="/spool")
    parsed = wire.parse_program(start.render().encode())
    assert (parsed.kind, parsed.name) == ("unit-start", "prepare-swap-off")
    assert wire.step_parameters(parsed.parameters) == {"CONTENT": "a\n'b'"}
    assert parsed.parameters["UNIT"] == "kf-prepare-swap-off"
    assert parsed.parameters["UNIT_SCRIPT"] == "swapoff -a"
    assert parsed.parameters["UNIT_STDIN"] == "10"  # bytes, not characters
    follow = wire.parse_program(wire.unit_follow("prepare-swap-off", mark="m1", offset=7, folder="/spool").render().encode())
    assert follow.parameters == {"UNIT": "kf-prepare-swap-off", "UNIT_FOLDER": "/spool", "OFFSET": "7", "MARK": "m1"}


def test_names_that_would_break_out_are_refused() -> None:
    for name in ("../x", "a b", "a;b", "$(x)", ""):
        with pytest.raises(UsageError):
            wire.unit_name(name)
    with pytest.raises(UsageError, match="MARK"):
        wire.unit_start(Program("step", "x", "", {"MARK": "1"}), run="r", mark="m", seconds=1, attach=False)


def test_commands_are_told_apart() -> None:
    plain = wire.line_of(wire.root_command(60, "b1", password=False))
    for bash in (wire.BASH, wire.RESTRICTED_BASH):
        free = wire.line_of(wire.root_command(60, "b1", password=False, bash=bash))
        asked = wire.line_of(wire.root_command(60, "b1", password=True, bash=bash))
        assert wire.parse_command(free) == wire.RootCommand(timeout_seconds=60, begin="b1")
        assert wire.parse_command(asked) == wire.RootCommand(password=True, timeout_seconds=60, begin="b1")
        assert wire.parse_command(wire.line_of(wire.verify_command("b1", bash=bash))) == wire.RootCommand(
            password=True, verify=True, begin="b1"
        )
    for foreign in ("true", "bash -c 'x", "", plain + " x"):
        assert wire.parse_command(foreign) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"# kfinstall ask x\nexport KF_A='1\n# kfinstall body\n", b"# kfinstall ask x\necho 1\n", b"# kfinstall ask x;y\n"],
)
def test_what_is_no_program_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"header|body"):
        wire.parse_program(data)


def test_a_request_cut_short_is_refused() -> None:
    command = wire.line_of(wire.root_command(60, "b1", password=False))
    data = wire.encode(Program("ask", "x", "echo"))
    with pytest.raises(ValueError, match="short"):
        wire.parse_request(command, data[:-1])

"""Our configuration of containerd against what containerd itself says of it: 1.6, 1.7 and 2.1, recorded by tests/unit/parts/prepare/data/containerd/record.sh."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.engine.step import View
from kfinstall.parts.prepare import files as prepare_files

RECORDED = Path(__file__).with_name("data") / "containerd"
OLD, NEW = ("1.6.20", "1.7.24"), "2.1.9"
Flat = dict[tuple[str, ...], Any]
_VERSION = ("version",)
_CNI = ("plugins", "io.containerd.cri.v1.runtime", "cni", "bin_dirs")


def _leaves(table: dict[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*at, key))
        else:
            yield (*at, key), value


def recorded(name: str) -> Flat:
    return dict(_leaves(tomllib.loads((RECORDED / f"{name}.toml").read_text(encoding="utf-8"))))


def ours(version: str) -> Flat:
    answers = Answers.model_validate({"nodes": [{"name": "cp1", "address": "10.77.0.11"}]})
    view = View(answers, releases.load(answers.cluster.release), "cp1")
    form = prepare_files.containerd_v3 if version == NEW else prepare_files.containerd_v2
    return dict(_leaves(tomllib.loads(form(view))))


# A key that a release does not know is ignored without a word (1.x), or with one in its log (2.x).
@pytest.mark.parametrize("version", [*OLD, NEW])
def test_every_key_is_one_that_its_release_has(version: str) -> None:
    default = recorded(version)
    for key, value in ours(version).items():
        assert key in default, (version, key)
        assert type(default[key]) is type(value), (version, key)


@pytest.mark.parametrize("version", [*OLD, NEW])
def test_the_daemon_takes_every_value(version: str) -> None:
    taken = recorded(f"{version}-ours")
    # It writes the form that it reads, whatever the form that it was given.
    assert {key: taken.get(key) for key in ours(version)} == ours(version)


# 2.x turns the form of 1.x into its own: whoever had ours before an upgrade has the same after it, by the daemon or by the step.
def test_both_forms_are_one_configuration() -> None:
    migrated, untouched = recorded(f"{NEW}-migrated-ours"), recorded(NEW)
    meant = {key: value for key, value in migrated.items() if untouched.get(key) != value}
    # Debian's defaults name that folder beside its own, so that ours of 2.x leaves them.
    assert meant.pop(_CNI) == ["/opt/cni/bin"]
    assert "/opt/cni/bin" in recorded(f"{NEW}-ours")[_CNI]
    differs = {key: value for key, value in ours(NEW).items() if untouched[key] != value}
    assert meant == differs


# What 2.x makes of the defaults of 1.7 and of its own is the same where ours says something: no setting has only moved.
def test_a_migrated_default_needs_what_ours_says() -> None:
    migrated = recorded(f"{NEW}-migrated-default")
    lacking = {key for key, value in ours(NEW).items() if migrated.get(key, value) != value}
    assert lacking == {key for key, value in ours(NEW).items() if recorded(NEW)[key] != value}

"""Servers as other people have them: a fleet whose nodes are changed before they are read."""

import pytest

from tests.unit.parts.preflight.test_preflight import answers, machines, read


@pytest.fixture
def servers():
    """Read three servers after `change(node)` for those that are named; `more` are keys of the answers."""

    def make(change=lambda node: None, *, on=("cp1", "worker1", "worker2"), **more):
        nodes = machines()
        for name in on:
            change(nodes[name])
        return read(answers(**more), nodes)

    return make

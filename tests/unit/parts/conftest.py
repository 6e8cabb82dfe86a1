"""What the parts' checks tell people to do can be done as it stands, in every test that makes one say it."""

import pytest

from kfinstall.engine.step import Conflict, Finding
from tests.fixes import troubles


@pytest.fixture(autouse=True)
def fixes_can_be_used(monkeypatch):
    """Look at every fix that a Finding or a Conflict is made with: commands parse, settings are answers."""
    hints = set()
    for kind in (Finding, Conflict):

        def made(self, *args, _first=kind.__init__, **more):
            _first(self, *args, **more)
            hints.add(self.hint)

        monkeypatch.setattr(kind, "__init__", made)
    yield
    assert [why for hint in sorted(hints) for why in troubles(hint)] == []

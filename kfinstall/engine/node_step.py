"""A step that wants packages, files, units and the like on a node: said once, checked, planned, sent and simulated from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from typing_extensions import override

from kfinstall.engine import wanted
from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.engine.wanted import Wanted
from kfinstall.facts.model import NodeQuery


class NodeStep(Step):
    """Subclasses set `script` and write `wanted`; a script that has nothing else to do is the one line `kf_wanted`.

    What can't be said so is added by hand: `options` for more parameters, `check` around `compare`, lines of the script, and in
    the simulator an effect of the script, which then does only that.
    """

    hashes_wanted: ClassVar[bool] = True
    """Whether WANTED is part of the fingerprint. Not in steps whose fingerprints journals know from before there was WANTED."""

    def wanted(self, view: View) -> Wanted:
        """What must be on the target node: a pure function of the view."""
        raise NotImplementedError

    @override
    def watch(self, view: View) -> NodeQuery:
        """What is wanted."""
        return self.wanted(view).watch

    def options(self, view: View) -> Mapping[str, str]:  # noqa: ARG002
        """Parameters of the script that no wanted item names. Never a secret."""
        return {}

    @override
    def parameters(self, view: View) -> Mapping[str, str]:
        """Options and what is wanted, see Wanted.parameters.

        Raises:
            ValueError: an option has the name of a parameter that a wanted item gives, or what is wanted can't be told.
        """
        options, given = self.options(view), self.wanted(view).parameters
        if both := options.keys() & given.keys():
            raise ValueError(f"{min(both)} is the name of an option and of what is wanted")
        return {**options, **given}

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """All parameters."""
        given = self.parameters(view)
        return given if self.hashes_wanted else {name: value for name, value in given.items() if name != wanted.PARAMETER}

    @override
    def check(self, view: View) -> Check:
        """All that is wanted is there."""
        return self.compare(view)

    def compare(
        self, view: View, *, before: Sequence[str] = (), also: Sequence[str] = (), otherwise: str = "", evidence: str = ""
    ) -> Needed | Satisfied:
        """Needed with a line for each wanted item that is not there, else Satisfied.

        `before` and `also`: more lines, ahead of those and behind them. `otherwise`: a line that counts only where there is no
        other. `evidence`: how it is known, where a count of the items does not say it.
        """
        found = self.wanted(view)
        changes = (*before, *found.changes(view.facts), *also) or ((otherwise,) if otherwise else ())
        return Needed(changes) if changes else Satisfied(evidence or found.evidence)

"""The proof card of a run: written when an installation hands over, taken away by what makes it untrue."""

from __future__ import annotations

import json

from kfinstall.durable import write_atomically
from kfinstall.engine.journal import IGNORED, Entry
from kfinstall.engine.session import Session
from kfinstall.engine.step import CLUSTER_TARGET
from kfinstall.parts.handoff import html as handoff_html
from kfinstall.parts.handoff import proof_card as handoff_proof_card

HANDOFF = "handoff"
"""The phase that hands over."""


def proof_card(session: Session) -> handoff_proof_card.ProofCard:
    """The proof card as things are known now."""
    fleet = session.fleet
    missing = [
        handoff_proof_card.Missing(name, session.answers.node(name).address, reason, fleet.hints.get(name, ""))
        for name, reason in fleet.set_aside.items()
    ]
    view = session.situation.view(CLUSTER_TARGET)
    return handoff_proof_card.card(view, session.journal.entries(), set_aside=missing, ignored=_ignored(session))


def _ignored(session: Session) -> tuple[Entry, ...]:
    """What the preflight found and is ignored: what this run found, or the runs before it where it had no preflight of its own."""
    run = session.record.id if session.executor.ignored is not None else ""
    newest: dict[tuple[str, str, str], Entry] = {}
    for entry in session.journal.entries(run or None):
        wanted = {entry.fingerprint, entry.step} & set(session.options.ignore)
        if entry.outcome == IGNORED and wanted and entry.target not in session.fleet.set_aside:
            newest[entry.step, entry.target, entry.fingerprint] = entry
    return tuple(newest.values())


def hands_over(session: Session) -> bool:
    """Whether there is something to prove."""
    return any(phase.id == HANDOFF for phase in session.phases)


def lines(session: Session) -> tuple[str, ...]:
    """The card's lines without secrets; none where the run does not hand over."""
    return tuple(session.redact(line) for line in proof_card(session).lines()) if hands_over(session) else ()


def write(session: Session) -> None:
    """Write the card into the state directory.

    Raises:
        StateError: it can't be written.
    """
    proof = proof_card(session)
    text = session.redact(json.dumps(proof.to_json(), indent=1, ensure_ascii=False)) + "\n"
    write_atomically(session.state.path / "proof.json", text)
    write_atomically(session.state.path / "proof.html", session.redact(handoff_html.html(proof)))


def drop(session: Session) -> None:
    """It tells of what is no more; an installation that hands over writes it anew."""
    for name in ("proof.json", "proof.html"):
        (session.state.path / name).unlink(missing_ok=True)

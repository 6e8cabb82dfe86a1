"""The proof card as one HTML file: no script, nothing fetched, light and dark, fit to print. Every value is escaped."""

from __future__ import annotations

from html import escape

from kfinstall import resources
from kfinstall.parts.handoff.proof_card import Line, Login, Missing, Place, ProofCard


def html(card: ProofCard) -> str:
    """The whole page."""
    title = f"{card.cluster}: proof card"
    count = f"{len(card.nodes)} of {len(card.nodes) + len(card.set_aside)}" if card.set_aside else f"{len(card.nodes)}"
    subtitle = f"Kubernetes {card.kubernetes} · release {card.release} · {count} nodes · {_time(card.at)}"
    parts = [
        f"<h1>{escape(card.cluster)}</h1>",
        f'<p class="sub">{escape(subtitle)}</p>',
        *(["<h2>Not proven</h2>", _table([_missing(gone) for gone in card.set_aside])] if card.set_aside else ()),
        "<h2>Proven</h2>",
        _table([_proof(line) for line in card.proofs]) if card.proofs else '<p class="note">Nothing has been proven yet.</p>',
        *(["<h2>Ignored</h2>", _table([_proof(line, mark="") for line in card.ignored])] if card.ignored else ()),
        "<h2>Where everything is</h2>",
        _table([_place(place) for place in card.places]),
    ]
    if card.logins:
        parts += ["<h2>Logins</h2>", _table([_login(login) for login in card.logins])]
    parts += ["<h2>Nodes</h2>", _table([_place(node) for node in card.nodes])]
    parts += ["<h2>Next</h2>", _table([_place(place) for place in card.next_commands])]
    if card.done:
        rows = _table([_proof(line, mark="") for line in card.done])
        parts.append(f"<details><summary>What was done ({len(card.done)})</summary>{rows}</details>")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{resources.asset('handoff/proof.css').read_text(encoding='utf-8')}</style>",
    ]
    lines = ["<!doctype html>", '<html lang="en"><head>', *head, "</head><body><main>", *parts, "</main></body></html>", ""]
    return "\n".join(lines)


def _table(rows: list[str]) -> str:
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _time(iso: str) -> str:
    return iso.replace("T", " ").replace("+00:00", " UTC").replace("Z", " UTC")


def _proof(line: Line, mark: str = "✓ ") -> str:
    when = escape(_time(line.when))
    return f'<th><span class="ok">{mark}</span>{escape(line.what)}</th><td>{escape(line.evidence)}</td><td class="when">{when}</td>'


def _missing(gone: Missing) -> str:
    hints = _code(tuple(gone.hint.splitlines()))
    return (
        f'<th><span class="bad">✗ </span>{escape(gone.node)}</th>'
        f'<td>{escape(gone.address)}: set aside: {escape(gone.reason)}{hints}</td><td class="when"></td>'
    )


def _place(place: Place) -> str:
    where = escape(place.where)
    if place.where.startswith(("https://", "http://")):
        where = f'<a href="{where}" rel="noreferrer">{where}</a>'
    note = f' <span class="note">{escape(place.note)}</span>' if place.note else ""
    return f"<th>{escape(place.what)}</th><td>{where}{note}{_code(place.commands)}</td>"


def _login(login: Login) -> str:
    command = _code((login.command,)) if login.command else ""
    return f"<th>{escape(login.what)}</th><td>user {escape(login.user)}; password: {escape(login.place)}{command}</td>"


def _code(commands: tuple[str, ...]) -> str:
    return "".join(f"<code>{escape(command)}</code>" for command in commands)

"""E-mail addresses in lists of servers: somebody to ask, which looks like user@host and is no server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from kfinstall.answers.inventory import names, roles

WHY: Final = "taken for an e-mail address, not for a server's login; write user@host:22 where it is one"
_MAIL: Final = re.compile(r"(?:mailto:)?[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\.?")
_MARKED: Final = re.compile(r"(?i)mailto:|<[^<>\s]+@[^<>\s]+>")
_SOMEBODY_WORDS: Final = (
    "contact contacts mail mails email emails e-mail maintainer maintainers owner owners author authors admin admins administrator support "
    "helpdesk help ask questions question responsible team from to cc bcc reply-to abuse oncall on-call escalation by "
    "ansprechpartner kontakt verantwortlich besitzer contacto responsable correo courriel contatto"
)
_SOMEBODY: Final = frozenset(_SOMEBODY_WORDS.split())
_POST: Final = re.compile(
    r"(?i)(?:gmail|googlemail|outlook|hotmail|live|yahoo|icloud|proton(?:mail)?|gmx|web|aol|qq|163|126|yandex|mail)\.[a-z.]{2,6}"
)


def is_mail(line: str, parts: Sequence[str], *, only_addresses: bool) -> bool:
    """Whether the words of a line name somebody to write to. `only_addresses`: every other server of the text is a plain IP address."""
    mails = [one for one in parts if _MAIL.fullmatch(one.strip("<>,;"))]
    if not mails:
        return False
    others = [one for one in parts if one not in mails]
    if any(names.is_address(one.rpartition("@")[2]) for one in others):
        return False
    if _MARKED.search(line) or any(_POST.fullmatch(one.strip("<>,;.").rpartition("@")[2]) for one in mails):
        return True
    if any(one.lower().strip(":") in _SOMEBODY for one in others):
        return True
    return only_addresses and not any(_names(one, mails[0]) for one in others)


def _names(other: str, login: str) -> bool:
    """Whether a word beside a login could be that server's name or role."""
    plain = other.strip(":").lower()
    labels = login.rpartition("@")[2].lower().split(".")
    return plain in labels or bool(roles.of_word(plain)) or (bool(re.search(r"[0-9-]", plain)) and names.node_name(plain) == plain)

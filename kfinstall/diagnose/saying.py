"""A cause in the user's words with its remedy, and how remote text becomes part of a line. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kfinstall.invocation import spoken
from kfinstall.kube.base import NotReady, Ref
from kfinstall.text import clean

_BEGIN_CHARACTERS: Final = 90
_END_CHARACTERS: Final = 150
MADE: Final = "if it is Kubeflow's, make it: kfinstall --answers FILE"
"""What to do about an object that is not there."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """A cause at one object."""

    key: tuple[str, ...]
    """What makes two causes one and the same."""
    waiting: NotReady
    vague: bool = False
    """A state that passes rather than a cause."""
    about: Ref | None = None
    """The object that the reason itself speaks of, where its chain need not say so again."""
    requested: Mapping[str, float] | None = None
    """What a pod asks for that no node has free: resource to amount (bytes, CPUs, pods)."""
    cause: str = ""
    """What kind of cause it is, in a word ('registry-dns'); empty where the texts do not say it."""


def line(message: object) -> str:
    """Remote text as part of one line: cleaned. Of a long one the begin stays, which says what it is about, and the end, where the cause stands."""
    text = clean(str(message or "").replace("\r", " ").replace("\n", " ")).strip()
    if len(text) <= _BEGIN_CHARACTERS + _END_CHARACTERS:
        return text
    return f"{text[:_BEGIN_CHARACTERS]} … {text[-_END_CHARACTERS:]}"


def symptom(key: Sequence[str], reason: str, hint: str = "", *, hopeless: bool = False, cause: str = "") -> Symptom:
    """A symptom in short."""
    return Symptom(tuple(key), NotReady(reason, spoken(hint), hopeless), cause=cause)


def about(ref: Ref, reason: str, hint: str = "", *, cause: str = "") -> Symptom:
    """A symptom that speaks of an object itself: 'it does not exist'."""
    return Symptom((str(ref), reason), NotReady(reason, spoken(hint)), about=ref, cause=cause)


def vague(reason: str, hint: str = "", *, cause: str = "") -> Symptom:
    """A state that passes, or of which nothing more is known."""
    return Symptom(("vague", reason), NotReady(reason, spoken(hint)), vague=True, cause=cause)


def registry_of(image: str) -> str:
    """The registry that an image's name means; docker.io where it names none."""
    head, separator, _rest = image.partition("/")
    return head if separator and ("." in head or ":" in head or head == "localhost") else "docker.io"


def filled(template: str, **values: str) -> str:
    """Like format, but for texts that may hold braces themselves."""
    for key, value in values.items():
        template = template.replace(f"{{{key}}}", value)
    return template

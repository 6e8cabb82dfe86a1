"""The forms of inventories, in the order in which a text is tried for them. A new form is a module and its line here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from kfinstall.answers.inventory import (
    ansible_ini,
    ansible_yaml,
    etc_hosts,
    fences,
    k0sctl,
    kubekey,
    kubeone,
    own,
    plain,
    refused,
    rke,
    sealos,
    ssh_config,
    table,
    tree,
)
from kfinstall.answers.inventory.found import Imported, word
from kfinstall.answers.inventory.limits import LARGEST_BYTES, MOST_FENCES, MOST_PLACES
from kfinstall.answers.source import NotYamlError


@dataclass(frozen=True, slots=True)
class TextForm:
    """A form that is read by lines."""

    name: str
    title: str
    looks_like: Callable[[str], bool]
    read: Callable[[str], Imported]


@dataclass(frozen=True, slots=True)
class DataForm:
    """A form in YAML or JSON."""

    name: str
    title: str
    fits: Callable[[Any], bool]
    read: Callable[[Any], Imported]


DATA_FORMS: Final = (
    DataForm(kubekey.NAME, kubekey.TITLE, kubekey.fits, kubekey.read),
    DataForm(kubeone.NAME, kubeone.TITLE, kubeone.fits, kubeone.read),
    DataForm(sealos.NAME, sealos.TITLE, sealos.fits, sealos.read),
    DataForm(k0sctl.NAME, k0sctl.TITLE, k0sctl.fits, k0sctl.read),
    DataForm(own.NAME, own.TITLE, own.fits, own.read),
    DataForm(rke.NAME, rke.TITLE, rke.fits, rke.read),
    DataForm(table.NAME_RECORDS, table.TITLE_RECORDS, table.fits, table.read_records),
    DataForm(ansible_yaml.NAME_JSON, ansible_yaml.TITLE_JSON, ansible_yaml.fits_json, ansible_yaml.read_json),
    DataForm(ansible_yaml.NAME, ansible_yaml.TITLE, ansible_yaml.fits, ansible_yaml.read),
)
TEXT_FORMS: Final = (
    TextForm(ssh_config.NAME, ssh_config.TITLE, ssh_config.looks_like, ssh_config.read),
    TextForm(ansible_ini.NAME, ansible_ini.TITLE, ansible_ini.looks_like, ansible_ini.read),
    TextForm(table.NAME, table.TITLE, table.looks_like, table.read),
    TextForm(etc_hosts.NAME, etc_hosts.TITLE, etc_hosts.looks_like, etc_hosts.read),
    TextForm(plain.NAME, plain.TITLE, lambda _text: True, plain.read),
)
NAMES: Final = tuple(form.name for form in (*TEXT_FORMS, *DATA_FORMS))
_SEEN_BYTES: Final = 4096
"""Looked at for the form of a text without a mark: every second byte of Latin letters in UTF-16 is 0."""
_TITLE: Final = re.compile(r"[A-Za-z][A-Za-z _-]*:")
_ADDRESS_FIRST: Final = re.compile(r"(?:[A-Za-z0-9_.-]+@)?[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:[\s,;:/]|$)")
_YAML: Final = re.compile(r"""(?m)^\s*(?:-\s+)?["']?[A-Za-z_][A-Za-z0-9_./-]*["']?\s*:(?:\s|$)|^---\s*$|\A\s*[\[{]""")


def decode(content: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 and UTF-32 with or without their marks, else Latin-1, in which every byte is a character."""
    if content[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return content.decode("utf-32", errors="replace")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    even, odd = (content[:_SEEN_BYTES:2], content[1:_SEEN_BYTES:2])
    for empty, full, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if empty and b"\0" not in full and empty.count(b"\0") * 4 > len(empty) * 3:
            return content.decode(name, errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read(text: str, form: str = "") -> Imported:
    """Take a text for what it looks like, or for the form that is named (one of NAMES). Nothing is raised, whatever it is."""
    if len(text) > LARGEST_BYTES:
        return Imported(left=(f"larger than {LARGEST_BYTES // 1024} KiB; no list of servers is",))
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        return Imported(left=("not a text: it has NUL bytes",))
    if not text.strip():
        return Imported(left=("it is empty",))
    fenced = fences.blocks(text)
    if fenced:
        return _of_fences(text, form, fenced)
    return _read(text, form)


def _of_fences(text: str, form: str, blocks: list[tuple[int, int]]) -> Imported:
    """The first block with servers in it; what else stands there is told."""
    tried = [(block, _read(fences.alone(text, block), form)) for block in blocks[:MOST_FENCES]]
    block, found = next((one for one in tried if one[1].nodes), tried[0])
    others = fences.outside(text, block)
    if not others:
        return found
    shown = ", ".join(map(str, others[:MOST_PLACES])) + (
        f" and {len(others) - MOST_PLACES} more" if len(others) > MOST_PLACES else ""
    )
    why = f"line{'s' if len(others) > 1 else ''} {shown}: outside of the block in lines {block[0]} to {block[1]}, and not read"
    return replace(found, left=(*found.left, why))


def _read(text: str, form: str) -> Imported:
    if form:
        return _named(text, form)
    known = refused.of_text(text)
    if known is not None:
        return _refused(*known)
    if not ssh_config.looks_like(text) and _YAML.search(text):
        found = _of_data(text)
        if found is not None:
            return found
    if refused.holds_a_key(text):
        return Imported(left=("a private key stands in it, so it was not read; take that out and give its path as ssh.keys",))
    return next(one for one in TEXT_FORMS if one.looks_like(text)).read(text)


def _broken(error: NotYamlError, kind: str, form: str = "") -> Imported:
    instead = f"mend line {error.line}, or the one above it (a blank behind ':' or a quote may be missing), and import it again"
    return Imported(left=(f"line {error.line}: {error.message}",), kind=kind, form=form, instead=instead)


def _refused(what: str, instead: str) -> Imported:
    return Imported(left=(f"this was taken for {what}, which is no list of servers: {instead}",), kind=what, instead=instead)


def _of_data(text: str) -> Imported | None:
    """The first document that is a form that is known; None where the text may be one of lines."""
    by_lines = any(one.looks_like(text) for one in TEXT_FORMS[:-1])
    try:
        documents = [one for one in tree.documents(text) if one is not None]
    except NotYamlError as error:
        if by_lines or not _is_meant(text) or _is_list_with_titles(text):
            return None
        return _broken(error, "YAML")
    for number, data in enumerate(documents):
        for one in DATA_FORMS:
            if one.fits(data):
                return _with_others(one.read(data), documents, number)
    return None if by_lines else _not_known(text, documents)


def _not_known(text: str, documents: list[Any]) -> Imported | None:
    """A refusal of YAML or JSON that is no form; None where it may be meant as lines."""
    if not any(isinstance(data, (tree.Map, tree.Seq)) for data in documents):
        return None
    for data in documents:
        known = refused.of_data(data)
        if known is not None:
            return _refused(*known)
    if (len(documents) == 1 and _is_list_of_words(documents[0])) or not _is_meant(text):
        return None
    return Imported(left=(_UNKNOWN,), kind="YAML")


_UNKNOWN: Final = (
    "YAML, but no inventory that is known (Ansible, k0sctl, RKE, KubeKey, KubeOne, Sealos, answers); write lines: name address role"
)


def _is_meant(text: str) -> bool:
    """Whether lines can't be meant: it begins as JSON does, or has keys with something set in below them."""
    return text.lstrip()[:1] == "{" or bool(re.search(r"(?m)^[ \t]*[A-Za-z_][A-Za-z0-9_.-]*\s*:\s*([\[{&*|>].*)?$", text))


def _is_list_with_titles(text: str) -> bool:
    """Whether it is lines of addresses below titles (`Masters:`), which is no YAML: nothing is set in or has braces."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return all(_TITLE.fullmatch(line) or _ADDRESS_FIRST.match(line) for line in lines)


def _is_list_of_words(data: Any) -> bool:
    """Whether it is a YAML list of plain texts, or a mapping of names to addresses, which the plain list reads too."""
    values = list(data.values()) if isinstance(data, tree.Map) else data
    return isinstance(values, list) and bool(values) and all(isinstance(value, tree.Text) for value in values)


def _with_others(found: Imported, documents: list[Any], number: int) -> Imported:
    others = [one for index, one in enumerate(documents) if index != number]
    if not others:
        return found
    kinds = ", ".join(word(tree.text(tree.mapping(one).get("kind")) or "a document without a kind") for one in others[:5])
    left = (*found.left, f"{len(others)} more document(s) in it are not read: {kinds}")
    return replace(found, left=left)


def _named(text: str, form: str) -> Imported:
    for one in TEXT_FORMS:
        if one.name == form:
            held = refused.holds_a_key(text)
            return _refused("a private key", "take it out and give its path as ssh.keys") if held else one.read(text)
    wanted = next(one for one in DATA_FORMS if one.name == form)
    try:
        documents = [data for data in tree.documents(text) if data is not None]
    except NotYamlError as error:
        return _broken(error, wanted.title, form)
    fit = [number for number, data in enumerate(documents) if wanted.fits(data)]
    if not fit:
        return Imported(left=(f"it is not the form {form} ({wanted.title})",), kind=wanted.title, form=form)
    return _with_others(wanted.read(documents[fit[0]]), documents, fit[0])

"""`kfinstall answers import FILE`: an inventory of another tool as answers, and on stderr whatever it did not take."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from kfinstall import invocation
from kfinstall.answers.inventory.beside import completed
from kfinstall.answers.inventory.forms import NAMES, decode, read
from kfinstall.answers.inventory.found import Imported, at
from kfinstall.answers.inventory.limits import LARGEST_BYTES
from kfinstall.answers.load import examine
from kfinstall.answers.save import HEAD
from kfinstall.cli.terminal import Terminal
from kfinstall.durable import write_atomically, write_new
from kfinstall.errors import AnswersError, ExitCode, UsageError
from kfinstall.frontend.importers import read_file

STDIN: Final = "-"


def import_answers(options: argparse.Namespace, terminal: Terminal) -> int:
    """Write answers made of an inventory, to a file or to stdout.

    Raises:
        UsageError: the file to write exists, or can't be written.
        AnswersError: nothing could be taken, a name stands for two servers, or with --strict something was left.
    """
    target = Path(options.output) if options.output else None
    if target is not None and not options.overwrite and target.exists():
        raise UsageError(f"{target} exists and is not overwritten", hint="name another file, or add --overwrite")
    source = "standard input" if options.file == STDIN else options.file
    found = _read(options.file, options.format)
    refusal = _refusal(found, source, strict=options.strict)
    if found.nodes:
        done = "taken from" if refusal is None else "read in"
        terminal.say(f"{source}: {len(found.nodes)} server(s) {done} {found.kind} (--format {found.form})")
    for line in (*found.notes, *found.about_roles):
        terminal.say(f"note: {line}")
    for line in found.left:
        terminal.say(f"left: {line}")
    data = {"version": 1, "nodes": list(found.nodes)}
    if options.json:
        record: dict[str, Any] = {
            "version": 1,
            "event": "imported",
            "form": found.form,
            "nodes": len(found.nodes),
            "left": list(found.left),
        }
        given = {} if target or refusal else {"answers": data}
        terminal.record(record | {"notes": [*found.notes, *found.about_roles]} | given)
    if refusal is not None:
        raise refusal
    text = HEAD + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)
    if target is not None:
        _write(target, text, overwrite=options.overwrite)
        terminal.say(f"wrote {target}; look at it, then: {invocation.command('answers check', invocation.path(str(target)))}")
    elif not options.json:
        terminal.data(text.rstrip("\n"))
    problems = sorted(examine(text)[1])
    for problem in problems:
        terminal.say(f"still to do: {problem.key or 'answers'}: {problem.message}")
    return ExitCode.ANSWERS if problems else ExitCode.DONE


def _read(name: str, form: str) -> Imported:
    try:
        if name != STDIN:
            path = Path(name).expanduser()
            if path.is_dir():
                raise UsageError(f"{name} is a folder", hint="name the inventory's file in it, such as inventory.ini or hosts.yaml")
            return read_file(path, form)
        content = sys.stdin.buffer.read(LARGEST_BYTES + 1)
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"{name} can't be read", why=getattr(error, "strerror", None) or str(error), hint="check the path"
        ) from error
    if len(content) > LARGEST_BYTES:
        return Imported(left=(f"larger than {LARGEST_BYTES // 1024} KiB; no list of servers is",))
    return completed(read(decode(content), form), Path())


def _refusal(found: Imported, source: str, *, strict: bool) -> AnswersError | None:
    """Why nothing is written; None where what was meant is known."""
    if not found.nodes:
        known = f"this was taken for {found.kind}" if found.kind else "it looks like no form that is known"
        return AnswersError(
            f"no server was taken from {source}",
            why=f"{known}; what was left stands above",
            hint=found.instead or f"name the form with --format ({', '.join(NAMES)}), or write lines: name address role",
        )
    if found.clashes:
        names = sorted({clash.name for clash in found.clashes})
        first = {node["name"]: node for node in found.nodes}
        return AnswersError(
            f"{', '.join(names[:10])}: one name for several servers in {source}",
            problems=tuple(
                f"{at(clash.line)}{clash.words(first[clash.name], found.lines.get(clash.name, 0))}" for clash in found.clashes[:20]
            ),
            hint="give each server a name of its own, or take out the rows that are old",
        )
    if strict and found.left:
        return AnswersError(
            f"{len(found.left)} thing(s) of {source} were left",
            why="they stand above",
            hint="leave --strict out to go on without them",
        )
    return None


def _write(target: Path, text: str, *, overwrite: bool) -> None:
    try:
        if overwrite:
            write_atomically(target, text)
        else:
            write_new(target, text)
    except FileExistsError:
        raise UsageError(f"{target} exists and is not overwritten", hint="name another file, or add --overwrite") from None
    except OSError as error:
        raise UsageError(f"{target} can't be written", why=error.strerror or str(error)) from error

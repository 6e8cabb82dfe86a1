"""Commands of kfinstall in the texts that it prints, and whether its own parser takes them."""

import re
import shlex

from kfinstall.cli.parser import COMMANDS, build_parser, normalise
from kfinstall.errors import UsageError

_BEGIN = re.compile(
    rf"(?:(?<=\s)|(?<=[(`:\"'])|^)[^\s`(\"']*\bkfinstall(?=(?: --answers| --only| --state-dir| (?:{'|'.join(COMMANDS)})\b))",
    re.MULTILINE,
)
_END = re.compile(r"[;,)`?]| {2,}|\n|$| \(| [>|] |…")


def commands_in(text):
    """The commands in a text, each as it would be pasted: it ends with its line, or before a mark."""
    for found in _BEGIN.finditer(text):
        rest = text[found.end() :]
        yield found[0] + _upto(rest)


def _upto(rest):
    quoted = ""
    for number, letter in enumerate(rest):
        if quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in "'\"":
            quoted = letter
        elif _END.match(rest, number):
            return rest[:number]
    return rest


def trouble(command):
    """Why the parser refuses a command; empty where it takes it."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        return str(error)
    at = next(number for number, word in enumerate(words) if word.rpartition("/")[2] == "kfinstall")
    try:
        build_parser().parse_args(normalise(words[at + 1 :]))
    except UsageError as error:
        return error.message
    except SystemExit as exit_:
        return "" if not exit_.code else f"exit {exit_.code}"
    return ""


def refused(text):
    """'command: why' of every command in a text that the parser refuses."""
    return [f"{command}: {why}" for command in commands_in(text) if (why := trouble(command))]

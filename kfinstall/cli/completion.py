"""Shell completion for bash, zsh and fish, made from the parser itself so that it can't fall behind."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_FILES = ("--answers", "--export", "file")
_ROOT_OPTIONS_OF = "install"
"""`kfinstall --answers FILE` is `kfinstall install --answers FILE`, so its options are offered there too."""


@dataclass(frozen=True, slots=True)
class _Level:
    """One command (a tuple of words) with its sub-commands and options."""

    words: tuple[str, ...]
    commands: dict[str, str]
    options: dict[str, str]
    choices: dict[str, tuple[str, ...]]


def _levels(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[_Level]:
    commands: dict[str, str] = {}
    options: dict[str, str] = {}
    choices: dict[str, tuple[str, ...]] = {}
    children: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:  # noqa: SLF001 (argparse has no public list of its actions)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            children = dict(action.choices)
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            commands = {name: helps.get(name, "") for name in children}
        for option in action.option_strings:
            options[option] = (action.help or "").replace("%%", "%")
            if action.choices:
                choices[option] = tuple(str(choice) for choice in action.choices)
        if not action.option_strings and action.choices and not isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            commands = dict.fromkeys((str(choice) for choice in action.choices), "")
    yield _Level(words, commands, options, choices)
    for name, child in children.items():
        yield from _levels(child, (*words, name))


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The completion script for bash, zsh or fish."""
    from kfinstall.simulator.faults import FAULTS

    levels = list(_levels(parser))
    for level in levels:
        if "--fault" in level.options:
            level.choices["--fault"] = tuple(f"{name}:worker1" for name in FAULTS)
    root = next(level for level in levels if not level.words)
    install = next(level for level in levels if level.words == (_ROOT_OPTIONS_OF,))
    root.options.update({name: text for name, text in install.options.items() if name.startswith("--")})
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](levels)


def _cases(levels: list[_Level]) -> Iterator[str]:
    for level in levels:
        words, options = " ".join(level.commands), " ".join(level.options)
        yield f"    {shlex.quote(' '.join(level.words))}) words={shlex.quote(words)} options={shlex.quote(options)} ;;"


def _choice_cases(levels: list[_Level]) -> Iterator[str]:
    merged = {option: values for level in levels for option, values in level.choices.items()}
    for option, values in merged.items():
        yield f'    {option}) COMPREPLY=($(compgen -W {shlex.quote(" ".join(values))} -- "$current")); return ;;'


def _bash(levels: list[_Level]) -> str:
    known = " ".join(name for level in levels for name in level.commands)
    return "\n".join(
        [
            "# bash completion of kfinstall: source <(kfinstall completion bash)",
            "_kfinstall() {",
            '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"',
            # zsh ties a variable `path` to PATH, and wants the arithmetic spelled out.
            '  local chain="" word words="" options=""',
            '  local before=("${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}")',
            '  case "$previous" in',
            *_choice_cases(levels),
            '    --answers|--export|--state-dir) COMPREPLY=($(compgen -f -- "$current")); return ;;',
            "  esac",
            '  for word in "${before[@]}"; do',
            f'    case " {known} " in *" $word "*) chain="${{chain:+$chain }}$word" ;; esac',
            "  done",
            '  case "$chain" in',
            *_cases(levels),
            "  esac",
            '  case "$current" in -*) words="$options" ;; esac',
            '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
            '  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))',
            "}",
            "complete -o filenames -F _kfinstall kfinstall",
            "",
        ]
    )


def _zsh(levels: list[_Level]) -> str:
    return (
        "#compdef kfinstall\n# zsh completion of kfinstall: source <(kfinstall completion zsh)\n"
        "autoload -Uz bashcompinit && bashcompinit\n" + _bash(levels).split("\n", 1)[1]
    )


def _fish(levels: list[_Level]) -> str:
    lines = ["# fish completion of kfinstall: kfinstall completion fish | source", "complete -c kfinstall -f"]
    for level in levels:
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in level.words)
        names = " ".join(level.commands)
        condition = seen or "true"
        for name, text in level.commands.items():
            inner = f"{condition}; and not __fish_seen_subcommand_from {names}"
            lines.append(f"complete -c kfinstall -n {shlex.quote(inner)} -a {shlex.quote(name)} -d {shlex.quote(text)}")
        for option, text in level.options.items():
            if not option.startswith("--"):
                continue
            values = level.choices.get(option)
            extra = f" -x -a {shlex.quote(' '.join(values))}" if values else " -r -F" if option in _FILES else ""
            lines.append(f"complete -c kfinstall -n {shlex.quote(condition)} -l {option[2:]} -d {shlex.quote(text)}{extra}")
    return "\n".join(lines) + "\n"

"""Shell completion for bash, zsh and fish: shtab makes it from the parser itself, so that it can't fall behind."""

from __future__ import annotations

import argparse
from functools import partial

from kfinstall.cli.parser import build_parser, install_options

_FAULTS = "_kfinstall_faults"


def script(shell: str) -> str:
    """The completion script for bash, zsh or fish."""
    import shtab

    from kfinstall.frontend.demo import fault_names

    parser = build_parser(fault=partial(_offer_faults, fault_names()))
    # `kfinstall --answers FILE` is `kfinstall install --answers FILE`, so its options are offered there too.
    install_options(parser, required=False)
    text = shtab.complete(parser, shell)
    # shtab registers itself under zsh's eval only; `source <(kfinstall completion zsh)` is in people's files too.
    return text.replace("[[ $zsh_eval_context[-1] == eval ]]", "[[ $zsh_eval_context[-1] != loadautofunc ]]")


def _offer_faults(names: tuple[str, ...], action: argparse.Action) -> None:
    """Offer each fault on worker1. It is no list of choices: any node may be named."""
    words = " ".join(f"{name}:worker1" for name in names)
    action.metavar = "FAULT"  # a colon is a separator to zsh
    action.complete = {  # type: ignore[attr-defined]
        "bash": _FAULTS,
        "zsh": _FAULTS,
        "fish": words,
        "preamble": {
            "bash": f'{_FAULTS}() {{ compgen -W "{words}" -- "$1"; }}',
            "zsh": f"{_FAULTS}() {{ compadd -- {words} }}",
        },
    }

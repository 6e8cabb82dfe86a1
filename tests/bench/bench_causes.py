"""How often the right cause is named: the corpus of what a cluster says (tests/unit/diagnose/corpus.yaml), played.

Run: python -m tests.bench.bench_causes [--each]. Precision: of the causes that are named, those that are right. Recall: of the texts
that say a cause, those whose cause is named. `held`: written from the sources before there was a rule for
them; `reported`: from what people reported, after the rules were written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.unit.diagnose.corpus import UNKNOWN, Outcome, entries, play


def figures(name: str, outcomes: Sequence[Outcome]) -> str:
    right = sum(outcome.right and outcome.cause != UNKNOWN for outcome in outcomes)
    wrong = sum(outcome.wrong for outcome in outcomes)
    sayable = sum(outcome.entry["cause"] != UNKNOWN for outcome in outcomes)
    unknown = sum(outcome.cause == UNKNOWN for outcome in outcomes)
    precision, recall = right / max(right + wrong, 1), right / max(sayable, 1)
    return (
        f"{name:8} {len(outcomes):4} texts  precision {precision:6.1%}  recall {recall:6.1%}  "
        f"wrong {wrong:3}  unknown {unknown:3} ({unknown / max(len(outcomes), 1):.1%})"
    )


def main(arguments: argparse.Namespace) -> int:
    outcomes = [play(entry) for entry in entries()]
    for outcome in outcomes:
        if arguments.each or not outcome.right:
            reason = outcome.found.waiting.reason if outcome.found else "nothing"
            print(f"{outcome.entry['id']}: {outcome.cause} (is {outcome.entry['cause']}): {reason}")
    print(figures("all", outcomes))
    for name in ("held", "reported"):
        print(figures(name, [outcome for outcome in outcomes if outcome.entry.get(name)]))
    print(figures("others", [outcome for outcome in outcomes if not (outcome.entry.get("held") or outcome.entry.get("reported"))]))
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", action="store_true", help="what is said of every text")
    sys.exit(main(parser.parse_args()))

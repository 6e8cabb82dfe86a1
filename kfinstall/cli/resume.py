"""`kfinstall resume`: an earlier run is gone on with, on its servers or on the simulated ones it was rehearsed on."""

from __future__ import annotations

import argparse

from kfinstall import invocation
from kfinstall.answers.load import load
from kfinstall.cli.runs import consented, drive, ignored, only_phases, tell_resumed
from kfinstall.cli.terminal import Terminal
from kfinstall.engine.fleet import spare_nodes
from kfinstall.workflows import resuming, runs


def resume(options: argparse.Namespace, terminal: Terminal) -> int:
    """Go on with the last (or named) run: from its answers, about what it was about, but for what the command line gives anew."""
    chosen = resuming.choose(options.state_dir, options.run)
    cluster, record = chosen.cluster, chosen.record
    given = resuming.Selection(
        only_phases(options), options.start, strict=options.strict, ignore=ignored(options), prune=options.prune
    )
    invocation.learn(answers=record.answers_file, demo=bool(record.demo))
    if runs.apart(record):
        invocation.learn(command=record.kind)
    for line in chosen.passed_over:
        terminal.say(line)
    if record.demo:
        from kfinstall.cli.demo import resume_demo

        return resume_demo(options, terminal, cluster, record, given)
    answers = load(cluster.run_directory(record.id) / "answers.yaml")
    wanted = resuming.options_of(cluster, record, given, spare=spare_nodes(answers))
    terminal.say(f"going on with run {record.id} of cluster {record.cluster}")
    tell_resumed(terminal, resuming.notes(record, wanted, given))
    return drive(answers, consented(wanted, options, terminal), options, terminal)

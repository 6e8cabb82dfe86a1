"""install, check, plan, doctor, reset, uninstall and rotate: a session around the engine, reporters on its events, signals into it."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO, cast

from kfinstall import durable, invocation
from kfinstall.answers.load import load
from kfinstall.answers.model import Answers, SecretRef
from kfinstall.answers.secrets import resolve
from kfinstall.cli.terminal import Steady, Terminal
from kfinstall.engine import runbook, state
from kfinstall.engine.executor import Stop
from kfinstall.engine.fixes import apply_fix, hints, offered
from kfinstall.engine.fleet import open_cluster
from kfinstall.engine.options import Options
from kfinstall.engine.plan import Plan
from kfinstall.engine.reporters.jsonl import JsonLines
from kfinstall.engine.reporters.junit import JUnit
from kfinstall.engine.reporters.plain import Plain
from kfinstall.engine.session import Session, open_session
from kfinstall.engine.step import Fix
from kfinstall.engine.workflow import Question, Workflow
from kfinstall.errors import ExitCode, InterruptedRunError, KfError, NodesSetAsideError, UsageError
from kfinstall.events import EventBus, Notice
from kfinstall.secrets import Redactor, Secret
from kfinstall.text import duration
from kfinstall.workflows import WORKFLOWS, card, check, doctor, resuming
from kfinstall.workflows.check import CHECK
from kfinstall.workflows.plan import PLAN

Work = Callable[[Session], Awaitable[int]]
_NOTHING_TO_FIX: Final = "there is nothing that kfinstall can mend itself"


def run_on_answers(options: argparse.Namespace, terminal: Terminal) -> int:
    """install, check, plan, doctor, reset, uninstall and rotate on an answers file."""
    path = Path(options.answers).expanduser()
    answers = load(path)
    state.refuse_demos(options.state_dir, answers.cluster.name)
    wanted = run_options(options, terminal, WORKFLOWS[options.command], answers_file=str(path.resolve()))
    return drive(answers, wanted, options, terminal)


def tell_resumed(terminal: Terminal, lines: tuple[str, ...]) -> None:
    """Say what is gone on with."""
    for line in lines:
        terminal.say(line)


def consented(wanted: Options, options: argparse.Namespace, terminal: Terminal) -> Options:
    """Options with what this call of the command line consents to, or can be asked."""
    return dataclasses.replace(
        wanted,
        accept_new_host_keys=getattr(options, "accept_new_host_keys", False),
        host_key_question=terminal.ask_host_keys if terminal.interactive else None,
    )


def run_options(options: argparse.Namespace, terminal: Terminal, workflow: Workflow, *, answers_file: str = "") -> Options:
    """The session's options from those of the command line."""
    wanted = Options(
        workflow=workflow,
        only=only_phases(options),
        rotate=tuple(dict.fromkeys(getattr(options, "rotating", None) or ())),
        start=getattr(options, "start", None),
        strict=getattr(options, "strict", False),
        ignore=ignored(options),
        answers_file=answers_file,
        delete_data=getattr(options, "delete_data", False),
        force_finalizers=getattr(options, "force_finalizers", False),
        prune=getattr(options, "prune", False),
        dry_run=getattr(options, "dry_run", False),
        tolerant=workflow is CHECK,
    )
    return consented(wanted, options, terminal)


def only_phases(options: argparse.Namespace) -> tuple[str, ...] | None:
    """The phases that --only names, each once; None where it was not given."""
    named: list[str] | None = getattr(options, "only", None)
    return tuple(dict.fromkeys(named)) if named else None


def ignored(options: argparse.Namespace) -> tuple[str, ...]:
    """What --ignore names, each once.

    Raises:
        UsageError: no finding and no check has that name.
    """
    named = tuple(dict.fromkeys(getattr(options, "ignore", None) or ()))
    for name in named:
        check.refuse_unknown(name)
    return named


def drive(answers: Answers, wanted: Options, options: argparse.Namespace, terminal: Terminal) -> int:
    """Open a session, do the command's work in it, and stop cleanly on signals."""
    return asyncio.run(in_session(answers, wanted, options, terminal, work_of(wanted.workflow, options, terminal)))


def work_of(workflow: Workflow, options: argparse.Namespace, terminal: Terminal) -> Work:
    """What the command line does around the work of a workflow."""
    if workflow.question is not None:
        return partial(_after_question, options=options, terminal=terminal, question=workflow.question)
    looks: dict[Workflow, Callable[..., Awaitable[int]]] = {CHECK: _check, PLAN: _plan, doctor.DOCTOR: _doctor}
    return partial(looks.get(workflow, _install), options=options, terminal=terminal)


async def in_session(answers: Answers, wanted: Options, options: argparse.Namespace, terminal: Terminal, work: Work) -> int:
    """One session, with reporters attached and signals wired."""
    redact = Redactor()
    bus = EventBus(redact)
    if options.json:
        bus.subscribe(JsonLines(cast("TextIO", Steady(sys.stdout))))
    narration = cast("TextIO", Steady(sys.stderr))
    bus.subscribe(
        Plain(
            narration,
            colour=terminal.colour,
            unicode=terminal.unicode,
            verbose=options.verbose,
            columns=terminal.columns,
            table_columns=terminal.table_columns,
        )
    )
    report = _report(options, wanted, bus)
    stop = Stop()

    def find(ref: SecretRef, purpose: str) -> Secret:
        prompt = terminal.ask_secret if terminal.interactive else None
        return resolve(ref, purpose, prompt=prompt, environ=terminal.environ, warn=terminal.say)

    task = asyncio.current_task()
    if task is None:
        raise InterruptedRunError("not inside a task")
    with_signals(asyncio.get_running_loop(), task, stop, bus)
    try:
        async with open_session(
            answers,
            wanted,
            state_root=options.state_dir,
            bus=bus,
            redact=redact,
            resolve=find,
            open_cluster=open_cluster,
            stop=stop,
        ) as session:
            session.outcome = ExitCode(await work(session))
    finally:
        report(terminal)
    return int(session.outcome)


def _report(options: argparse.Namespace, wanted: Options, bus: EventBus) -> Callable[[Terminal], None]:
    """Have the run's findings collected for --junit, where that was given; the result writes the file.

    Raises:
        UsageError: it can't be written there.
    """
    if not getattr(options, "junit", ""):
        return lambda _terminal: None
    path = Path(options.junit).expanduser()
    if path.is_dir() or not path.parent.is_dir():
        why = "it is a directory" if path.is_dir() else f"there is no directory {path.parent}"
        raise UsageError(f"--junit {options.junit} can't be written: {why}", hint="name a file in a directory that is there")
    found = JUnit(strict=wanted.strict)
    bus.subscribe(found)

    def write(terminal: Terminal) -> None:
        try:
            durable.replace(path, found.text(), mode=0o644)
        except OSError as error:
            terminal.say(f"{path} can't be written: {error.strerror or error}")

    return write


def with_signals(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], stop: Stop, bus: EventBus) -> None:
    """First Ctrl-C (or SIGTERM) asks to stop after what runs; the second, and SIGHUP, stop now."""

    def politely() -> None:
        if stop.requested or not stop.working:
            task.cancel()
        else:
            stop.requested = True
            bus.emit(Notice(level="warning", text="stopping after what runs now; once more to stop at once"))

    def at_once() -> None:
        stop.requested = True
        task.cancel()

    handlers = {"SIGINT": politely, "SIGTERM": politely, "SIGHUP": at_once}
    for name, handler in handlers.items():
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, handler)
        except NotImplementedError:  # Windows' event loop has none
            signal.signal(number, lambda *_args, handler=handler: loop.call_soon_threadsafe(handler))


async def _install(session: Session, *, options: argparse.Namespace, terminal: Terminal) -> int:
    """The plan, a question where somebody is there to answer, the run, the proof card."""
    plan = session.plan()
    confirm = terminal.interactive and not session.options.demo and not options.yes
    if confirm and plan.pending:
        _confirm(plan, terminal)
    try:
        await session.work()
    except NodesSetAsideError:
        if not options.json:
            _show_card(session, terminal)
        raise
    if not options.json:
        _show_card(session, terminal)
    return ExitCode.DONE


def _confirm(plan: Plan, terminal: Terminal) -> None:
    for line in runbook.text(plan):
        if not line.startswith("  = "):
            terminal.say(line)
    mark = plan.point_of_no_return
    warning = f"; point of no return: {mark.step.title} on {mark.target}" if mark else ""
    if not terminal.confirm(f"{len(plan.pending)} changes, about {duration(plan.seconds)}{warning}. Go on? [y/N] "):
        raise resuming.declined()


def _show_card(session: Session, terminal: Terminal) -> None:
    path = session.state.path / "proof.html"
    if not card.hands_over(session) or not path.exists():
        return
    terminal.data("")
    terminal.data(f"PROOF of cluster {session.answers.cluster.name}")
    if session.options.demo:
        terminal.data("a rehearsal: the machines are simulated, so the commands below are what they would be")
    for line in card.lines(session):
        terminal.data(line)
    terminal.data(f"  the card: {path}")


async def _check(session: Session, *, options: argparse.Namespace, terminal: Terminal) -> int:
    asked = not options.mend or options.yes or terminal.interactive
    if options.mend and asked:
        await fix_offered(session, options, terminal)
    try:
        await session.work()
    except KfError as error:
        if not asked and (more := _unconfirmed(session)):
            error.advise(more)
        raise
    if not asked:
        terminal.say(_unconfirmed(session) or _NOTHING_TO_FIX)
    return ExitCode.DONE


def _unconfirmed(session: Session) -> str:
    """What to add where fixes are offered and nobody is there to confirm each; empty where none is offered."""
    fixes = offered(session)
    if not fixes:
        return ""
    what = "; ".join(f"{node}: {'; '.join(fix.title for fix in each)}" for (node, _check), each in fixes.items())
    return (
        f"nothing was fixed: each fix has to be confirmed, and there is nobody to ask ({what})\n"
        f"make all of them: {invocation.command(CHECK.id, '--fix', '--yes')}; a reset takes them back"
    )


async def fix_offered(session: Session, options: argparse.Namespace, terminal: Terminal) -> None:
    """Fix what findings offer, each after a question at a terminal or all by --yes."""
    wanted = offered(session)
    for (node, step), fixes in wanted.items():
        if (node, step) not in offered(session):
            terminal.say(f"{node}: {step}: well by what was fixed before")
            continue
        for line in _by_hand(session, node, step, fixes):
            terminal.say(line)
        title = "; ".join(fix.title for fix in fixes)
        if options.yes or terminal.confirm(f"{node}: {title}? [y/N] "):
            done = await apply_fix(session, node, step)
            terminal.say(f"{node}: {step}: {'well now' if done.level in ('ok', 'info') else done.level}: {done.message}")
    if not wanted:
        terminal.say(_NOTHING_TO_FIX)


def _by_hand(session: Session, node: str, step: str, fixes: Sequence[Fix]) -> list[str]:
    """What is wrong, and what would be typed for each fix."""
    found = hints(session, node, step)
    lines = [f"{node}: {step}: {finding.reason}" for finding in found if finding.fix in fixes]
    typed = [line for finding in found if finding.fix in fixes for line in finding.hint.splitlines()]
    return [*lines, *(f"  by hand: {line}" for line in dict.fromkeys(typed))]


async def _plan(session: Session, *, options: argparse.Namespace, terminal: Terminal) -> int:
    plan = session.plan()
    _tell_plan(plan, options, terminal)
    if options.export:
        _write(Path(options.export), runbook.markdown(plan, session.situation))
        terminal.say(f"wrote {options.export}")
    return ExitCode.CHANGES if options.detailed_exitcode and plan.pending else ExitCode.DONE


def _tell_plan(plan: Plan, options: argparse.Namespace, terminal: Terminal) -> None:
    if options.json:
        for item in runbook.data(plan):
            terminal.record(item)
    else:
        for line in runbook.text(plan):
            terminal.data(line)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} can't be written", why=error.strerror or str(error)) from error


async def _after_question(session: Session, *, options: argparse.Namespace, terminal: Terminal, question: Question) -> int:
    """The plan, the question of the workflow, the run."""
    plan = session.plan()
    if session.options.dry_run:
        _tell_plan(plan, options, terminal)
        return ExitCode.DONE
    name, data = session.answers.cluster.name, session.options.delete_data
    if plan.pending and not session.options.demo and not options.yes:
        if not terminal.interactive:
            raise UsageError(
                f"{session.options.workflow.called} has to be confirmed, and there is nobody to ask",
                why=f"it would make {len(plan.pending)} change(s) on {len({item.target for item in plan.pending})} target(s)",
                hint="see what it would do with --dry-run, then give --yes",
            )
        terminal.say(question.warning.format(name=name, data="deleted" if data else "kept"))
        _confirm(plan, terminal)
    await session.work()
    if not options.json:
        kept = "" if data else question.kept
        terminal.data(question.done.format(name=name) + kept)
    return ExitCode.DONE


async def _doctor(session: Session, *, options: argparse.Namespace, terminal: Terminal) -> int:
    plan = await doctor.look(session)
    _tell_plan(plan, options, terminal)
    doctor.judge(plan, doctor.ignored(session))
    return ExitCode.DONE

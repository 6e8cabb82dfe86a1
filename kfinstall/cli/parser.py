"""The grammar of the command line. A contract: see docs/cli.md."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, Final

from typing_extensions import override

from kfinstall import __version__, invocation
from kfinstall.answers.inventory.names_of_forms import FORMS
from kfinstall.engine.workflow import Workflow
from kfinstall.errors import UsageError
from kfinstall.workflows import APART, WORKFLOWS, installation, rotate
from kfinstall.workflows.check import CHECK
from kfinstall.workflows.doctor import DOCTOR
from kfinstall.workflows.install import INSTALL, RESUME
from kfinstall.workflows.plan import PLAN

COMMANDS: Final = (*WORKFLOWS, "status", "answers", "bundle", "demo", "completion")
PHASE_NAMES: Final = installation.names()

_EPILOG: Final = """exit codes:
  0 done · 1 unexpected · 2 usage · 3 preflight failed · 4 preflight warnings with --strict · 10 a command on a node failed
  11 plan --detailed-exitcode: something would change · 13 SSH, login or host key · 14 sudo · 15 answers · 16 timeout
  20 finished, but nodes were set aside · 30 proof failed · 75 another run holds the lock · 130 interrupted

stdout is data (with --json: one JSON object per line), stderr is narration. Without a terminal nothing ever asks.
First Ctrl-C finishes what runs and stops; the second stops now. Either way: kfinstall resume
"""


class Once(argparse.Action):
    """An option with one value: a second, other one is refused, since the first would be lost without a word."""

    @override
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        given = parser.given if isinstance(parser, _Parser) else {}
        if self.option_strings and given.setdefault(self.dest, values) != values:
            raise argparse.ArgumentError(self, f"given twice: {given[self.dest]} and {values}; it takes one value")
        setattr(namespace, self.dest, values)


class _Parser(argparse.ArgumentParser):
    """Raises UsageError instead of leaving the process; an option that takes one value takes no second one."""

    def __init__(self, *args: Any, **more: Any) -> None:
        """As argparse's own."""
        super().__init__(*args, **more)
        self.given: dict[str, object] = {}
        """Values of options in the command line that is being parsed, by destination."""
        for name in (None, "store"):
            self.register("action", name, Once)

    @override
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.given.clear()
        return super().parse_known_args(args, namespace)

    @override
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message, hint=f"see: {invocation.current().program}{self.prog.removeprefix(invocation.PROGRAM)} --help")


def _path(action: argparse.Action, kind: str = "file") -> None:
    """Tell shells to complete its value: `file` or `directory`, as shtab calls them."""
    action.complete = kind  # type: ignore[attr-defined]


def _common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("common options")
    group.add_argument("--json", action="store_true", help="JSON lines on stdout, one event each (docs/events.md)")
    state = group.add_argument(
        "--state-dir", metavar="DIR", default="", help="where the state of clusters is kept (on Linux ~/.local/state/kfinstall)"
    )
    _path(state, "directory")
    group.add_argument("--verbose", action="store_true", help="show every line of the nodes' output and what is unchanged")


def _selection(parser: argparse.ArgumentParser) -> None:
    text = f"this phase and no other; may be given several times: {', '.join(PHASE_NAMES)}"
    parser.add_argument("--only", metavar="PHASE", action="append", choices=PHASE_NAMES, help=text)
    parser.add_argument("--from", metavar="PHASE", dest="start", choices=PHASE_NAMES, help="this phase and all after it")


def _login(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask before the first change")
    parser.add_argument("--accept-new-host-keys", action="store_true", help="accept and pin host keys that are not known yet")


def _answers(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    _path(parser.add_argument("--answers", metavar="FILE", required=required, help="the answers file (kfinstall answers new)"))


def _judging(parser: argparse.ArgumentParser, strict: str) -> None:
    """What of the preflight's findings ends a run."""
    parser.add_argument("--strict", action="store_true", help=strict)
    text = "write what the preflight finds as JUnit XML too: a suite a node, a case a check"
    _path(parser.add_argument("--junit", metavar="FILE", default="", help=text))
    text = "a finding of the preflight that does not stop it, by its name (docs/preflight.md); may be given several times"
    parser.add_argument("--ignore", metavar="CHECK", action="append", default=[], help=text)


def install_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """What `kfinstall install` takes, with or without the need of answers."""
    _answers(parser, required=required)
    _selection(parser)
    _login(parser)
    _flags(parser, INSTALL)
    _judging(parser, "preflight warnings end the run (exit 4)")
    _common(parser)


def _flags(parser: argparse.ArgumentParser, workflow: Workflow) -> None:
    for flag in workflow.flags:
        parser.add_argument(f"--{flag.name.replace('_', '-')}", action="store_true", help=flag.help)


def build_parser(*, fault: Callable[[argparse.Action], None] | None = None) -> argparse.ArgumentParser:
    """The whole grammar. `fault`: is handed the option --fault, whose values only the simulator knows."""
    parser = _Parser(
        prog="kfinstall",
        description="From bare Ubuntu servers to a proven Kubernetes cluster with storage, a registry, Kubeflow and Spark.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"kfinstall {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    wizard = commands.add_parser("wizard", help="the wizard (what `kfinstall` alone starts)")
    _common(wizard)

    install = commands.add_parser(INSTALL.id, help=INSTALL.help)
    install_options(install)

    check = commands.add_parser(CHECK.id, help=CHECK.help)
    _answers(check)
    _judging(check, "warnings exit 4")
    text = "make the fixes that kfinstall can make itself; shows and asks for each, or --yes"
    check.add_argument("--fix", "--mend", dest="mend", action="store_true", help=text)
    _login(check)
    _common(check)

    plan = commands.add_parser(PLAN.id, help=PLAN.help)
    _answers(plan)
    _selection(plan)
    _path(plan.add_argument("--export", metavar="FILE", help="write it as a runbook (Markdown) with the exact commands"))
    plan.add_argument("--detailed-exitcode", action="store_true", help="0: nothing to do, 11: something would change")
    _flags(plan, PLAN)
    _login(plan)
    _common(plan)

    resume = commands.add_parser(RESUME.id, help=RESUME.help)
    resume.add_argument("run", nargs="?", metavar="RUN", help="a run's id, see `kfinstall status`")
    _selection(resume)
    _flags(resume, RESUME)
    _login(resume)
    _judging(resume, "preflight warnings end the run (exit 4)")
    _common(resume)

    status = commands.add_parser("status", help="what was done, when, how it is known, what is in doubt, what failed and why")
    status.add_argument("run", nargs="?", metavar="RUN", help="a run's id; the newest if absent")
    _common(status)

    doctor = commands.add_parser(DOCTOR.id, help=DOCTOR.help)
    _answers(doctor)
    _selection(doctor)
    _login(doctor)
    _common(doctor)

    _way_back(commands)
    _answers_commands(commands)
    _bundle(commands)
    _demo(commands, fault)
    completion = commands.add_parser("completion", help="print shell completion")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    _common(completion)
    return parser


def _way_back(commands: argparse._SubParsersAction[_Parser]) -> None:
    again = _apart(commands, rotate.ROTATE, "only say what it would do, and what starts anew")
    again.add_argument(
        "--only",
        metavar="NAME",
        dest="rotating",
        nargs="+",
        action="extend",
        choices=rotate.SECRETS,
        help=f"only these: {', '.join(rotate.SECRETS)}",
    )
    for workflow in APART:
        if workflow is not rotate.ROTATE:
            _apart(commands, workflow, "only say what it would do")


def _apart(commands: argparse._SubParsersAction[_Parser], workflow: Workflow, dry_run: str) -> argparse.ArgumentParser:
    """A workflow with phases of its own; `dry_run` is what is said of --dry-run."""
    parser = commands.add_parser(workflow.id, help=workflow.help)
    _answers(parser)
    _flags(parser, workflow)
    parser.add_argument("--dry-run", action="store_true", help=dry_run)
    _login(parser)
    _common(parser)
    return parser


def _answers_commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    answers = commands.add_parser(
        "answers", help="new: a commented example; import: from an inventory; check: all problems at once; schema: the JSON Schema"
    )
    actions = answers.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=_Parser)
    new = actions.add_parser("new", help="print a commented example")
    _path(new.add_argument("file", nargs="?", metavar="FILE", help="write it there instead; an existing file is never overwritten"))
    _common(new)
    check = actions.add_parser("check", help="all problems at once, with file:line:column")
    _path(check.add_argument("file", metavar="FILE"))
    _common(check)
    _answers_import(actions)
    schema = actions.add_parser("schema", help="print the JSON Schema")
    _common(schema)


def _answers_import(actions: argparse._SubParsersAction[_Parser]) -> None:
    taken = actions.add_parser(
        "import", help="make answers of an inventory: a list, /etc/hosts, CSV, ssh_config, Ansible, k0sctl, RKE, KubeKey, ..."
    )
    _path(taken.add_argument("file", metavar="FILE", help="the inventory; - is standard input"))
    _path(taken.add_argument("-o", "--output", metavar="FILE", default="", help="write the answers there instead of stdout"))
    taken.add_argument("--overwrite", action="store_true", help="write it though it exists")
    taken.add_argument("--format", choices=FORMS, default="", metavar="FORM", help=f"take it for this form: {', '.join(FORMS)}")
    taken.add_argument("--strict", action="store_true", help="exit 15 and write nothing where anything was left")
    _common(taken)


def _bundle(commands: argparse._SubParsersAction[_Parser]) -> None:
    bundle = commands.add_parser("bundle", help="make an offline bundle of Kubeflow's rendering, or tell what one holds")
    what = bundle.add_mutually_exclusive_group(required=True)
    text = "make one: rendered on this computer, or with --answers taken from the cluster"
    _path(what.add_argument("--out", metavar="FILE", help=text))
    _path(what.add_argument("--show", metavar="FILE", help="what a bundle holds; its images, one a line, on stdout"))
    source = bundle.add_mutually_exclusive_group()
    text = "take what the first control plane of these answers has rendered"
    _path(source.add_argument("--answers", metavar="FILE", help=text))
    source.add_argument("--release", metavar="RELEASE", help="render this release here (default: the answers' default)")
    bundle.add_argument("--components", metavar="LIST", default="standard", help="a preset, or components separated by commas")
    bundle.add_argument(
        "--kubernetes", metavar="VERSION", default="", help="list the images of this Kubernetes (default: the release's own)"
    )
    text = "where manifests and kustomize are kept between renderings"
    _path(bundle.add_argument("--cache", metavar="DIR", default="", help=text), "directory")
    bundle.add_argument("--accept-new-host-keys", action="store_true", help="accept and pin host keys that are not known yet")
    _common(bundle)


def _demo(commands: argparse._SubParsersAction[_Parser], mark: Callable[[argparse.Action], None] | None) -> None:
    demo = commands.add_parser("demo", help="install on the embedded simulator")
    demo.add_argument("--headless", action="store_true", help="never start the terminal UI")
    demo.add_argument("--nodes", type=_count, default=3, metavar="N", help="how many nodes (default 3)")
    way = demo.add_mutually_exclusive_group()
    way.add_argument("--reset", action="store_true", help="put the simulated servers of the last rehearsal back to what they were")
    way.add_argument("--uninstall", action="store_true", help="take Kubeflow off the simulated cluster of the last rehearsal")
    way.add_argument("--rotate", action="store_true", help="replace the generated secrets of the last rehearsal")
    way.add_argument("--check", action="store_true", help="only the preflight, on new simulated servers")
    demo.add_argument("--fix", "--mend", dest="mend", action="store_true", help="with --check: see kfinstall check --help")
    demo.add_argument("--yes", action="store_true", help="with --check --fix: make all fixes without a question")
    demo.add_argument("--delete-data", action="store_true", help="with --reset or --uninstall: delete volumes and images too")
    demo.add_argument("--force-finalizers", action="store_true", help="with --uninstall: see kfinstall uninstall --help")
    fault = demo.add_argument(
        "--fault", action="append", default=[], metavar="NAME:NODE", help="inject a fault; see docs/simulator.md"
    )
    if mark:
        mark(fault)
    _flags(demo, INSTALL)
    _judging(demo, "preflight warnings end the run (exit 4)")
    demo.add_argument("--pace", type=_pace, default=None, metavar="SECONDS", help="seconds that a line of simulated output takes")
    _selection(demo)
    _common(demo)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to 100")
    return int(text)


def _pace(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds") from None
    if not 0 <= value <= 10:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 10 seconds")
    return value


def normalise(words: Sequence[str]) -> list[str]:
    """Give the command its name where it was left out: none is the wizard, `--answers` alone is install."""
    if not words:
        return ["wizard"]
    if words[0] in COMMANDS or words[0] in ("-h", "--help", "--version", "wizard"):
        return list(words)
    if words[0].startswith("-"):
        if any(word == "--answers" or word.startswith("--answers=") for word in words):
            return ["install", *words]
        if any(word in ("-h", "--help", "--version") for word in words):
            return list(words)
        return ["wizard", *words]
    return list(words)

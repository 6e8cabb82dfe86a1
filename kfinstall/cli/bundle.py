"""kfinstall bundle: Kubeflow's rendering and the images that the cluster needs, in one file for clusters without a way to the internet."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from kfinstall import invocation, releases, resources
from kfinstall.answers.load import load, loads, problems
from kfinstall.answers.model import Answers
from kfinstall.cli.runs import in_session, run_options
from kfinstall.cli.terminal import Terminal
from kfinstall.engine.session import Session
from kfinstall.engine.step import View
from kfinstall.errors import AnswersError, CommandError, ExitCode, UsageError
from kfinstall.parts.kubeflow import bundle as bundles
from kfinstall.parts.kubeflow import choice, render_here
from kfinstall.parts.kubeflow.bundle import Bundle
from kfinstall.parts.kubeflow.render import KubeflowRender
from kfinstall.transport.base import Program
from kfinstall.workflows.plan import PLAN


def bundle(options: argparse.Namespace, terminal: Terminal) -> int:
    """Make one, or show one.

    Raises:
        UsageError: options that exclude each other, or no folder to put it in.
    """
    if options.show:
        return _show(options, terminal)
    if options.kubernetes and options.answers:
        raise UsageError(
            "--kubernetes and --answers exclude each other", hint="the version is that of the answers: cluster.kubernetesVersion"
        )
    out = Path(options.out).expanduser()
    if not out.parent.is_dir():
        raise UsageError(f"{out.parent} is no folder", hint="name a file in one that is there")
    made = _from_cluster(options, terminal) if options.answers else _rendered_here(options, terminal)
    bundles.write(out, made)
    _tell(made, str(out), options, terminal)
    terminal.say(
        f"on the other side: kubeflow: {{bundle: {out.name}}} in the answers; its images: {invocation.command('bundle', '--show', str(out))}"
    )
    return ExitCode.DONE


def _show(options: argparse.Namespace, terminal: Terminal) -> int:
    try:
        found = bundles.read(options.show)
    except CommandError as error:
        hint = "is the path right?" if not Path(options.show).expanduser().is_file() else error.hint
        raise UsageError(error.message, why=error.why, hint=hint) from error
    _tell(found, options.show, options, terminal)
    if not options.json:
        for image in found.images:
            terminal.data(image)
    return ExitCode.DONE


def _tell(found: Bundle, path: str, options: argparse.Namespace, terminal: Terminal) -> None:
    if options.json:
        parts = {"release": found.release, "components": found.components, "sha256": found.sha256, "images": found.images}
        terminal.record({"version": 1, "event": "bundle", "file": path, **parts})
    terminal.say(f"{path}: Kubeflow {found.release}, {len(found.components)} components, {len(found.images)} images")
    terminal.say(f"components: {', '.join(found.components)}")
    planes = [image.rpartition(":v")[2] for image in found.images if "/kube-apiserver:" in image]
    summary = (
        f"those of Kubernetes {planes[0]}, and of no other version"
        if planes
        else "not among them; make it anew with this kfinstall"
    )
    terminal.say(f"images of the control plane: {summary}")
    terminal.say(f"SHA-256 of the rendering: {found.sha256}")


def _bundle(view: View, rendering: bytes) -> Bundle:
    ours = [image for name, image in view.release.images.items() if name != "jupyter"]
    return bundles.of(view, rendering, [*ours, *view.release.control_plane_images(view.patch)])


def _rendered_here(options: argparse.Namespace, terminal: Terminal) -> Bundle:
    answers = _chosen(options)
    view = View(answers, releases.load(answers.cluster.release), answers.first_control_plane.name)
    cache = Path(options.cache).expanduser() if options.cache else options.state_dir / "render-cache"
    rendering = render_here.render_here(view, KubeflowRender().parameters(view), cache, terminal.say)
    return _bundle(view, rendering)


def _chosen(options: argparse.Namespace) -> Answers:
    """Answers of nobody's servers, so that the rules of a file judge the choice.

    Raises:
        AnswersError: the release is refused, or a component is unknown or lacks what it needs.
    """
    names = [name for name in options.components.replace(",", " ").split() if name]
    preset = len(names) == 1 and names[0] in ("mini", "standard", "full")
    cluster = {"release": options.release, "kubernetesVersion": options.kubernetes}
    text = json.dumps(
        {
            "nodes": [{"name": "cp", "address": "192.0.2.1"}, {"name": "w", "address": "192.0.2.2"}],
            "cluster": {key: value for key, value in cluster.items() if value},
            "kubeflow": {"components": names[0] if preset else names},
            "spark": {"enabled": False},
        }
    )
    found = problems(text)
    if found:
        messages = tuple(f"{problem.key}: {problem.message}" for problem in found)
        raise AnswersError("there is no such bundle", problems=messages, hint="releases, components and versions: docs/kubeflow.md")
    return loads(text)


def _from_cluster(options: argparse.Namespace, terminal: Terminal) -> Bundle:
    answers = load(Path(options.answers).expanduser())
    if not answers.kubeflow.enabled:
        raise UsageError(
            "these answers have Kubeflow disabled",
            hint=f"render here: {invocation.command('bundle', '--out', options.out, '--release', answers.cluster.release)}",
        )
    found: list[Bundle] = []

    async def fetch(session: Session) -> int:
        found.append(await taken(session))
        return ExitCode.DONE

    wanted = run_options(options, terminal, PLAN, answers_file=str(Path(options.answers).resolve()))
    asyncio.run(in_session(answers, wanted, options, terminal, fetch))
    return found[0]


async def taken(session: Session) -> Bundle:
    """The bundle of what the first control plane has rendered for the session's answers.

    Raises:
        CommandError: it has not rendered these components.
    """
    name = session.answers.first_control_plane.name
    view = session.situation.view(name)
    text = resources.script("kubeflow/ask-rendering")
    program = Program("ask", "kubeflow-rendering", text, {"FILE": choice.rendering_path(view)})
    done = await session.fleet.hosts[name].ask(program, timeout_seconds=choice.FETCH_TIMEOUT_SECONDS)
    return _bundle(view, render_here.packed(done))

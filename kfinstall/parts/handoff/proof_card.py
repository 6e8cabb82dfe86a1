"""The proof card: what was proven and when, where everything is, how to log in, and where each secret is (never the secret).

`card` is a pure function of a view and of journal entries; `ProofCard.to_json` is a contract, version 1.
"""

from __future__ import annotations

import datetime as dt
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from kfinstall import invocation
from kfinstall.answers.model import Answers, SecretRef
from kfinstall.engine import secret_store
from kfinstall.engine.journal import Entry
from kfinstall.engine.step import View
from kfinstall.kube.base import ClusterFacts, Document
from kfinstall.parts.registry import files as registry_files
from kfinstall.parts.spark import place as spark_place
from kfinstall.text import clean, clean_text, hanging, sha256

CARD_VERSION: Final = 1
NAME: Final = "handoff"
_GATEWAY: Final = "istio-ingressgateway"
_HTTPS_LOCAL_PORT: Final = 8443
_HTTP_LOCAL_PORT: Final = 8080
_PREFIX: Final = "proof-"
_TITLES: Final[Mapping[str, str]] = {
    "network": "Pods reach each other across nodes",
    "storage": "A volume is written and read back",
    "nfs-policy": "Pods do not reach the NFS server by themselves",
    "registry.push": "An image is pushed",
    "registry.pull-proof": "A node pulls the image",
    "kubeflow": "Kubeflow answers, and its user can log in",
    "kubeflow-notebook": "A notebook starts, and its user opens it",
    "kubeflow-pipeline": "A pipeline runs",
    "kubeflow-katib": "An experiment of Katib finds its best trial",
    "kubeflow-inference": "An InferenceService answers",
    "spark": "Spark computes Pi",
    "spark-volume": "Spark's volume is shared and not world-writable",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was proven."""

    what: str
    evidence: str
    when: str
    """ISO 8601 with offset; empty where unknown."""


@dataclass(frozen=True, slots=True)
class Place:
    """Something to open or to use: an address, and the commands that lead to it."""

    what: str
    where: str
    commands: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """A user, and where the password is."""

    what: str
    user: str
    place: str
    """Where the password is, in words."""
    command: str = ""
    """Prints it; empty where no command can."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A node that was set aside: nothing is proven of it."""

    node: str
    address: str
    reason: str
    hint: str
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class ProofCard:
    """All that is handed over."""

    cluster: str
    release: str
    kubernetes: str
    at: str
    nodes: tuple[Place, ...]
    proofs: tuple[Line, ...]
    places: tuple[Place, ...]
    logins: tuple[Login, ...]
    next_commands: tuple[Place, ...]
    done: tuple[Line, ...] = ()
    """What the journal knows: each step that changed something."""
    set_aside: tuple[Missing, ...] = ()
    """Nodes that it was made without."""
    ignored: tuple[Line, ...] = ()
    """Findings of the preflight that were ignored by name."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object; version, then the fields in camelCase; setAside only where a node is, ignored only where a finding is."""
        body = asdict(self)
        body["nextCommands"] = body.pop("next_commands")
        missing = body.pop("set_aside")
        if missing:
            body["setAside"] = missing
        if not self.ignored:
            del body["ignored"]
        return {"version": CARD_VERSION, **body}

    @property
    def fingerprint(self) -> str:
        """Short hash of everything but the time it was made at, the journal, what was ignored, and why nodes are missing."""
        body = {key: value for key, value in self.to_json().items() if key not in ("at", "done", "setAside", "ignored")}
        return sha256(json.dumps(body, sort_keys=True))[:16]

    def lines(self) -> list[str]:
        """For a terminal."""
        text = [f"{self.cluster}: Kubernetes {self.kubernetes}, release {self.release}", ""]
        text += [f"  NOT proven  {gone.node} ({gone.address}), set aside: {hanging(gone.reason, 10)}" for gone in self.set_aside]
        text += [f"  ignored {line.what}: {hanging(line.evidence, 10)}" for line in self.ignored]
        text += [f"  proven  {line.what}: {hanging(line.evidence, 10)}" for line in self.proofs]
        for place in (*self.places, *self.next_commands):
            text.append(f"  {place.what}: {place.where}" if place.where else f"  {place.what}:")
            text += [f"      {command}" for command in place.commands]
        for login in self.logins:
            text.append(f"  {login.what}: user {login.user}, password: {login.place}")
            text += [f"      {login.command}"] if login.command else []
        return text


def card(
    view: View,
    entries: Iterable[Entry] = (),
    *,
    at: float | None = None,
    set_aside: Iterable[Missing] = (),
    ignored: Iterable[Entry] = (),
) -> ProofCard:
    """The card of a cluster, which `view` shows without the nodes that are set aside. `at` (epoch seconds) is now where absent.

    `ignored`: what the preflight found and was told to ignore.
    """
    answers = view.answers
    entries = tuple(entries)
    missing = tuple(set_aside)
    return ProofCard(
        cluster=answers.cluster.name,
        release=view.release.name,
        kubernetes=(view.cluster.version if view.cluster else "").removeprefix("v") or view.patch,
        at=_iso(dt.datetime.now(dt.UTC).timestamp() if at is None else at),
        nodes=tuple(Place(node.name, node.address, note=", ".join(node.roles)) for node in answers.nodes),
        proofs=_proofs(view.cluster, [entry for entry in entries if entry.target not in {gone.node for gone in missing}]),
        places=_places(view),
        logins=_logins(answers),
        next_commands=_next(answers),
        done=tuple(
            Line(f"{entry.step} on {entry.target}", entry.evidence, _iso(entry.at))
            for entry in entries
            if entry.event == "finished" and entry.outcome == "changed"
        ),
        set_aside=missing,
        ignored=tuple(Line(f"{entry.fingerprint} on {entry.target}", entry.evidence, _iso(entry.at)) for entry in ignored),
    )


def _iso(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")


def _proofs(cluster: ClusterFacts | None, entries: Sequence[Entry]) -> tuple[Line, ...]:
    """Every proof-* ConfigMap, and from the journal the proofs that are recorded on nodes."""
    maps = cluster.of_kind("ConfigMap", secret_store.NAMESPACE) if cluster else []
    lines = [line for item in maps if (line := _from_map(item))]
    newest: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if entry.event == "finished" and entry.step in ("registry.push", "registry.pull-proof"):
            newest[entry.step, entry.target] = entry
    for (step, target), entry in newest.items():
        if entry.outcome in ("changed", "unchanged"):
            lines.append(Line(f"{_TITLES[step]} ({target})", entry.evidence, _iso(entry.at)))
    # Oldest first: in the order in which the cluster was built.
    return tuple(sorted(lines, key=lambda line: line.when))


def _from_map(document: Document) -> Line | None:
    metadata = document.get("metadata") or {}
    name = str(metadata.get("name", ""))
    if not name.startswith(_PREFIX):
        return None
    data = document.get("data") or {}
    texts = [str(value) for key, value in sorted(data.items()) if key not in ("fingerprint", "at", "inputs")]
    what = name.removeprefix(_PREFIX)
    title = _TITLES.get(what, what.replace("-", " ").capitalize())
    evidence = str(data.get("evidence") or "; ".join(texts))
    when = str(data.get("at") or metadata.get("creationTimestamp") or "")
    # The card is shown by browsers and pagers too, which are no funnel of ours.
    return Line(clean(title), clean_text(evidence), clean(when))


def dashboard(answers: Answers, cluster: ClusterFacts | None = None) -> Place:
    """Where Kubeflow's dashboard is, by kind of access."""
    access, tls = answers.kubeflow.access, answers.kubeflow.tls.enabled
    scheme, port = ("https", 443) if tls else ("http", 80)
    if access.type == "port-forward":
        local = _HTTPS_LOCAL_PORT if tls else _HTTP_LOCAL_PORT
        command = f"kubectl -n istio-system port-forward svc/{_GATEWAY} {local}:{port}"
        return Place("Dashboard", f"{scheme}://localhost:{local}/", (command,), "while the command runs")
    host = access.host_name or ""
    if access.type == "nodePort":
        return Place("Dashboard", f"{scheme}://{_bracketed(host or answers.first_control_plane.address)}:{access.node_port}/")
    service = cluster.get("v1", "Service", _GATEWAY, "istio-system") if cluster else None
    ingress = (((service or {}).get("status") or {}).get("loadBalancer") or {}).get("ingress") or [{}]
    host = host or clean(str(ingress[0].get("hostname") or ingress[0].get("ip") or ""))
    if host:
        return Place("Dashboard", f"{scheme}://{_bracketed(host)}/")
    command = f"kubectl -n istio-system get svc {_GATEWAY}"
    return Place("Dashboard", f"{scheme}://ADDRESS/", (command,), "the load balancer has no address yet; the command shows it")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _places(view: View) -> tuple[Place, ...]:
    answers = view.answers
    first = answers.first_control_plane
    user = answers.ssh.user or "USER"
    target = shlex.quote(f"{user}@{first.address}:.kube/config")
    places = [
        Place(
            "kubeconfig",
            f"~/.kube/config of the login user on {first.name}",
            (f"scp {target} kubeconfig-{answers.cluster.name}",),
            "also /etc/kubernetes/admin.conf, for root",
        )
    ]
    if answers.kubeflow.enabled:
        board = dashboard(answers, view.cluster)
        places.append(board)
        if answers.spark.enabled and answers.spark.history_server:
            path = spark_place.place_of(answers, view.release).history_base.lstrip("/")
            places.append(Place("Spark history server", f"{board.where}{path}/", note="behind the same login"))
    elif answers.spark.enabled and answers.spark.history_server:
        command = f"kubectl -n {answers.spark_namespace} port-forward svc/{spark_place.HISTORY} 18080:80"
        places.append(Place("Spark history server", "http://localhost:18080/", (command,), "while the command runs"))
    if answers.registry.enabled:
        places.append(_registry(view))
    return tuple(places)


def _registry(view: View) -> Place:
    answers = view.answers
    host, node = answers.registry_host, answers.registry_node
    if not registry_files.secured(answers):
        return Place("Registry", f"http://{host}", note="without TLS and login")
    user = shlex.quote(f"{answers.ssh.user or 'USER'}@{node.address}:{registry_files.certs_folder(view, node.name)}/ca.crt")
    return Place(
        "Registry",
        f"https://{host}",
        (f"scp {user} ca.crt", f"docker login --username {shlex.quote(answers.registry.user)} {host}"),
        f"other machines must trust its CA first: put ca.crt into /etc/docker/certs.d/{host}/",
    )


def _login(what: str, user: str, ref: SecretRef, name: str) -> Login:
    if ref.generate:
        key = name.replace(".", "\\.")
        command = (
            f"kubectl -n {secret_store.NAMESPACE} get secret {secret_store.GENERATED.name} "
            f"-o jsonpath='{{.data.{key}}}' | base64 -d"
        )
        return Login(what, user, f"generated, in Secret {secret_store.NAMESPACE}/{secret_store.GENERATED.name}", command)
    if ref.env is not None:
        return Login(what, user, f"the environment variable {ref.env} of the installer")
    if ref.file is not None:
        return Login(what, user, f"the file {ref.file} on the installer's machine")
    return Login(what, user, "typed in by whoever installed; kept nowhere")


def _logins(answers: Answers) -> tuple[Login, ...]:
    logins: list[Login] = []
    if answers.kubeflow.enabled:
        user = answers.kubeflow.user
        logins.append(_login("Kubeflow", user.email, user.password, "kubeflow.user.password"))
    if answers.registry.enabled and registry_files.secured(answers):
        logins.append(_login("Registry", answers.registry.user, answers.registry.password, registry_files.PASSWORD))
    return tuple(logins)


def _next(answers: Answers) -> tuple[Place, ...]:
    commands = [Place("Look at the nodes", "", ("kubectl get nodes -o wide",))]
    if answers.spark.enabled and answers.spark.submit:
        where = f"on {answers.first_control_plane.name}"
        commands.append(Place("Submit a Spark application", where, (f"{spark_place.SUBMIT_PATH} --help",)))
    if answers.kubeflow.enabled:
        commands.append(Place("Replace the generated secrets", "", (invocation.command("rotate"),)))
    commands.append(Place("Check everything again, any time", "", (invocation.command("doctor"),)))
    return tuple(commands)

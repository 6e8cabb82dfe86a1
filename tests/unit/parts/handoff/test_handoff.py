import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from kfinstall.answers.model import Answers
from kfinstall.apply.stamp import proof
from kfinstall.engine.journal import Entry
from kfinstall.engine.step import Needed, Satisfied, View
from kfinstall.kube.base import Applied, ClusterFacts, Ref
from kfinstall.parts.handoff import proof_card
from kfinstall.parts.handoff.card import HandoffCard
from kfinstall.parts.handoff.html import html
from kfinstall.releases import Release
from tests.fakes.context import FakeContext

NODES = [{"name": "cp", "address": "10.0.0.1"}, {"name": "w1", "address": "10.0.0.2"}]
RELEASE = Release(
    name="26.03",
    versions={"spark": "3.5.2", "spark-scala": "2.12"},
    images={"spark": "docker.io/library/spark:3.5.2", "spark-volume": "docker.io/library/busybox:1.37.0"},
)


def make_view(*documents, **sections):
    answers = Answers.model_validate({"nodes": NODES, **sections})
    objects = {Ref.of(item): item for item in documents}
    return View(answers, RELEASE, "cluster", {}, ClusterFacts("v1.34.2", objects))


def place(card, what):
    return next(item for item in card.places if item.what == what)


def test_each_proof_becomes_a_line_with_evidence_and_time():
    view = make_view(proof("spark", "f", "Pi is roughly 3.14"), proof("some-new-one", "f", "it works"))
    card = proof_card.card(view, at=0)
    lines = {line.what: line for line in card.proofs}
    assert lines["Spark computes Pi"].evidence == "Pi is roughly 3.14"
    assert lines["Some new one"].when.endswith("+00:00")


def test_proofs_on_nodes_come_from_the_journal_newest_only():
    entries = [
        Entry("finished", "r1", "registry.pull-proof", "w1", "f", "failed", "no", at=1.0),
        Entry("started", "r2", "registry.pull-proof", "w1", "f", at=2.0),
        Entry("finished", "r2", "registry.pull-proof", "w1", "f", "changed", "pulled", at=3.0),
        Entry("finished", "r2", "prepare.swap-off", "w1", "f", "changed", "swap is off", at=4.0),
    ]
    card = proof_card.card(make_view(), entries, at=0)
    assert [(line.what, line.evidence, line.when) for line in card.proofs] == [
        ("A node pulls the image (w1)", "pulled", "1970-01-01T00:00:03+00:00")
    ]
    assert [line.what for line in card.done] == ["registry.pull-proof on w1", "prepare.swap-off on w1"]


@pytest.mark.parametrize(
    ("kubeflow", "where", "command"),
    [
        ({}, "https://localhost:8443/", "kubectl -n istio-system port-forward svc/istio-ingressgateway 8443:443"),
        (
            {"tls": {"enabled": False}},
            "http://localhost:8080/",
            "kubectl -n istio-system port-forward svc/istio-ingressgateway 8080:80",
        ),
        ({"access": {"type": "nodePort"}}, "https://10.0.0.1:30443/", None),
        ({"access": {"type": "nodePort", "hostName": "kf.example"}}, "https://kf.example:30443/", None),
        ({"access": {"type": "loadBalancer", "hostName": "fd00::1"}}, "https://[fd00::1]/", None),
        ({"access": {"type": "loadBalancer"}}, "https://ADDRESS/", "kubectl -n istio-system get svc istio-ingressgateway"),
    ],
)
def test_the_dashboard_by_kind_of_access(kubeflow, where, command):
    card = proof_card.card(make_view(kubeflow=kubeflow), at=0)
    board = place(card, "Dashboard")
    assert (board.where, board.commands) == (where, (command,) if command else ())
    assert place(card, "Spark history server").where == where + "spark-history/kubeflow-user-example-com/"


def test_the_load_balancers_own_address_is_shown():
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}},
    }
    card = proof_card.card(make_view(service, kubeflow={"access": {"type": "loadBalancer"}}), at=0)
    assert place(card, "Dashboard").where == "https://192.0.2.7/"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({"generate": True}, "kfinstall/kfinstall-generated"),
        ({"env": "KF_PASSWORD"}, "KF_PASSWORD"),
        ({"file": "~/pw"}, "~/pw"),
        ({"prompt": True}, "kept nowhere"),
    ],
)
def test_the_card_says_where_a_secret_is(reference, words):
    card = proof_card.card(make_view(kubeflow={"user": {"password": reference}}), at=0)
    login = card.logins[0]
    assert words in login.place
    assert bool(login.command) is ("generate" in reference)
    if login.command:
        assert login.command == (
            "kubectl -n kfinstall get secret kfinstall-generated -o jsonpath='{.data.kubeflow\\.user\\.password}' | base64 -d"
        )


def test_without_kubeflow_registry_and_spark_little_is_left():
    sections = {"kubeflow": {"enabled": False}, "registry": {"enabled": False}, "spark": {"enabled": False}}
    card = proof_card.card(make_view(**sections), at=0)
    assert [item.what for item in card.places] == ["kubeconfig"]
    assert card.logins == ()
    assert "<h2>Logins</h2>" not in html(card)


def test_json_is_a_versioned_contract():
    body = proof_card.card(make_view(), at=0).to_json()
    assert body["version"] == 1
    assert set(body) == {
        "version", "cluster", "release", "kubernetes", "at", "nodes", "proofs", "places", "logins", "nextCommands", "done",
    }  # fmt: skip
    assert json.loads(json.dumps(body))["kubernetes"] == "1.34.2"


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        assert not any(name.startswith("on") for name, _value in attrs)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_is_whole_and_everything_from_outside_is_escaped():
    nasty = "<script>alert(1)</script>&\"' ]]> <img src=x onerror=y>"
    view = make_view(proof("spark", "f", nasty))
    past_validation = view.answers.registry.model_copy(update={"user": nasty})
    view = replace(view, answers=view.answers.model_copy(update={"registry": past_validation}))
    page = html(proof_card.card(view, [Entry("finished", "r", nasty, nasty, "f", "changed", nasty)], at=0))
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert {"script", "img"}.isdisjoint(tags.seen)
    assert nasty in tags.text
    assert "http://" not in page.replace('href="http', "").partition("<body>")[0]


def test_the_terminals_lines_name_everything():
    text = "\n".join(proof_card.card(make_view(proof("spark", "f", "Pi")), at=0).lines())
    for word in ("Spark computes Pi", "Dashboard", "kubeconfig", "Registry", "password", "kf-spark-submit"):
        assert word in text


class _Cluster:
    def __init__(self, *documents):
        self.objects = {Ref.of(item): item for item in documents}

    async def snapshot(self, wants):
        return ClusterFacts("v1.34.2", dict(self.objects))

    async def apply(self, document, *, timeout_seconds=60):
        self.objects[Ref.of(document)] = document
        return Applied(Ref.of(document), changed=True)


async def test_the_step_sees_proofs_that_came_after_its_view_and_is_then_satisfied():
    cluster = _Cluster(proof("spark", "f", "Pi"))
    before = make_view()
    assert isinstance(HandoffCard().check(before), Needed)
    await HandoffCard().apply(FakeContext(before, cluster=cluster))
    after = make_view(*cluster.objects.values())
    assert HandoffCard().check(after) == Satisfied("proofs on the card: 1")
    kept = json.loads(cluster.objects[Ref("v1", "ConfigMap", "handoff", "kfinstall")]["data"]["card.json"])
    assert kept["proofs"][0]["evidence"] == "Pi"
    changed = make_view(*cluster.objects.values(), proof("storage", "f", "written and read"))
    assert isinstance(HandoffCard().check(changed), Needed)


def test_a_node_that_is_set_aside_is_on_the_card_as_not_proven_in_all_its_forms():
    """Red before: it was on none."""
    view = make_view()
    gone = proof_card.Missing("w9", "10.0.0.9", "<no> answer", "is it on?\ntry: ssh 10.0.0.9")
    entries = [
        Entry("finished", "r", "registry.pull-proof", "w9", "f", "changed", "pulled last week"),
        Entry("finished", "r", "registry.pull-proof", "other", "f", "changed", "pulled"),
    ]
    card = proof_card.card(view, entries, at=0, set_aside=[gone])
    assert [line.what for line in card.proofs if "w9" in line.what] == [], "what it proved before is no proof now"
    assert any("other" in line.what for line in card.proofs)
    assert json.loads(json.dumps(card.to_json()))["setAside"] == [
        {"node": "w9", "address": "10.0.0.9", "reason": "<no> answer", "hint": "is it on?\ntry: ssh 10.0.0.9"}
    ]
    assert "  NOT proven  w9 (10.0.0.9), set aside: <no> answer" in card.lines()
    page = html(card)
    assert "Not proven" in page
    assert "w9" in page
    assert "<no>" not in page
    count = len(view.answers.nodes)
    assert f"{count} of {count + 1} nodes" in page
    assert card.fingerprint == proof_card.card(view, entries[1:], at=0).fingerprint, "the step in the cluster does not know why"

"""JUnit XML: what Jenkins and GitLab read of it, and that nothing breaks it."""

import xml.etree.ElementTree as ET

from kfinstall.engine.reporters.junit import JUnit
from kfinstall.events import EventBus, Finding, NodeSetAside, RunFinished, RunStarted
from kfinstall.secrets import Redactor, Secret

# What junit-10.xsd of Jenkins' xunit plugin lets stand where.
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package"},
    "testcase": {"name", "time", "classname", "group", "assertions", "status", "class", "file", "line"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
    "system-out": set(),
}
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["testcase"],
    "testcase": ["skipped", "error", "failure", "system-out"],
}


def report(*events, strict=False, end=0, message="", redact=None):
    bus = EventBus(redact or Redactor())
    junit = JUnit(strict=strict)
    bus.subscribe(junit)
    bus.emit(RunStarted(run="r1", cluster="c", kind="check", nodes=("cp1", "w1"), at=1.8e9))
    for event in events:
        bus.emit(event)
    bus.emit(RunFinished(run="r1", exit_code=end, seconds=3.25, message=message))
    root = ET.fromstring(junit.text())
    valid(root)
    return root


def valid(element):
    assert set(element.attrib) <= ATTRIBUTES[element.tag], element.tag
    assert {child.tag for child in element} <= set(CHILDREN.get(element.tag, ()))
    for child in element:
        valid(child)
    if element.tag == "testsuite":
        cases = element.findall("testcase")
        assert int(element.get("tests")) == len(cases)
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.get(attribute)) == sum(1 for case in cases if case.find(tag) is not None)


def finding(node, check, level, message, **more):
    return Finding(node=node, check=check, level=level, message=message, **more)


def case(root, node, check):
    return root.find(f"testsuite[@name='{node}']/testcase[@name='{check}']")


def test_a_suite_a_node_and_a_case_a_check():
    root = report(
        finding("cp1", "preflight.clock", "ok", "within 2 s"),
        finding("w1", "preflight.clock", "error", "an hour ahead", fix="sudo timedatectl", severity="failing", called="clock-skew"),
        end=3,
        message="1 finding must be mended first",
    )
    assert [suite.get("name") for suite in root] == ["cp1", "w1"]
    assert root.attrib == {"name": "kfinstall check of c", "tests": "2", "failures": "1", "errors": "0", "time": "3.250"}
    failure = case(root, "w1", "preflight.clock").find("failure")
    assert failure.attrib == {"type": "failing", "message": "an hour ahead"}
    assert failure.text == "failing: an hour ahead [clock-skew]\n  fix: sudo timedatectl"
    assert [child.tag for child in case(root, "cp1", "preflight.clock")] == ["system-out"]
    assert root.find("testsuite").get("timestamp") == "2027-01-15T08:00:00"


def test_what_is_ignored_or_could_not_be_looked_at_is_skipped_and_a_warning_is_told():
    root = report(
        finding("cp1", "preflight.disk", "info", "3 GiB free", ignored=True, severity="failing", called="disk-space"),
        finding("cp1", "preflight.ports", "warning", "no ss", severity="unchecked"),
        finding("cp1", "preflight.clock", "warning", "3 s ahead", severity="warning", fix="chronyc"),
    )
    assert case(root, "cp1", "preflight.disk").find("skipped").get("message") == "ignored (disk-space): 3 GiB free"
    assert case(root, "cp1", "preflight.ports").find("skipped").get("message") == "could not be checked: no ss"
    warned = case(root, "cp1", "preflight.clock")
    assert [child.tag for child in warned] == ["system-out"]
    assert warned.find("system-out").text == "warning: 3 s ahead\n  fix: chronyc"


def test_with_strict_a_warning_is_a_failure_and_what_is_ignored_is_none():
    root = report(
        finding("cp1", "preflight.clock", "warning", "3 s ahead", severity="warning"),
        finding("cp1", "preflight.disk", "info", "full", ignored=True, severity="warning"),
        strict=True,
        end=4,
    )
    assert case(root, "cp1", "preflight.clock").find("failure") is not None
    assert case(root, "cp1", "preflight.disk").find("skipped") is not None


def test_several_findings_of_a_check_are_one_case_and_a_second_look_takes_the_firsts_place():
    first = [finding("w1", "preflight.network", "error", text, number=at, of=2) for at, text in ((1, "one"), (2, "two"))]
    root = report(*first, end=3)
    assert len(root.findall(".//testcase")) == 1
    assert "two" in root.find(".//failure").text
    assert report(*first, finding("w1", "preflight.network", "ok", "well")).find(".//failure") is None


def test_text_that_xml_can_not_hold_and_secrets():
    redact = Redactor()
    redact.register(Secret("hunter2-long"))
    bad = "a\x00b\x1b[31m\ufffe\ud800 ]]> <x> & hunter2-long"
    root = report(finding("w1", "preflight.apt", "error", bad, severity="failing"), end=3, redact=redact)
    text = ET.tostring(root, encoding="unicode")
    assert "hunter2" not in text
    assert "\ufffe" not in text
    assert "]]&gt; &lt;x&gt; &amp;" in text


def test_a_run_that_ended_otherwise_is_no_success():
    root = report(end=13, message="w1 can't be reached")
    assert root.get("errors") == "1"
    assert root.find(".//error").get("message") == "w1 can't be reached"
    root = report(NodeSetAside(node="w1", step="connect.login", reason="no route"), finding("cp1", "connect.login", "ok", "root"))
    assert case(root, "w1", "connect.login").find("error").get("message") == "set aside: no route"

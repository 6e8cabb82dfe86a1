"""Findings as JUnit XML, which Jenkins and GitLab show: a suite a node, a case a check. Keeps to what Jenkins' schema (junit-10.xsd) knows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from kfinstall.errors import ExitCode
from kfinstall.events import Event, Finding, NodeSetAside, RunFinished, RunStarted

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 can't hold, not even as a reference."""
_JUDGED: Final = frozenset({ExitCode.DONE, ExitCode.PREFLIGHT, ExitCode.PREFLIGHT_WARNING})
"""Ends that the cases tell of; every other one is a case of its own."""
_LOGIN: Final = "connect.login"


@dataclass(slots=True)
class JUnit:
    """Collects what a run finds; `text` is the report as of now. Secrets are masked and texts cleaned before it hears of them."""

    strict: bool = False
    """A warning is a failure."""
    _kind: str = ""
    _cluster: str = ""
    _began: float = 0.0
    _seconds: float = 0.0
    _nodes: list[str] = field(default_factory=list)
    _found: dict[tuple[str, str], list[Finding]] = field(default_factory=dict)
    _aside: dict[str, str] = field(default_factory=dict)
    _end: str = ""

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, RunStarted):
            self._kind, self._cluster, self._began, self._nodes = event.kind, event.cluster, event.at, list(event.nodes)
        elif isinstance(event, Finding):
            known = self._found.setdefault((event.node, event.check), [])
            if event.number == 1:
                known.clear()  # looked at anew
            known.append(event)
        elif isinstance(event, NodeSetAside):
            self._aside[event.node] = event.reason
        elif isinstance(event, RunFinished):
            self._seconds = event.seconds
            lost = any(each.level == "error" for (_node, check), found in self._found.items() if check == _LOGIN for each in found)
            told = event.exit_code in _JUDGED or event.set_aside or (lost and event.exit_code in (ExitCode.SSH, ExitCode.SUDO))
            self._end = "" if told else event.message or f"exit code {event.exit_code}"

    def text(self) -> bytes:
        """The report: XML in UTF-8."""
        root = ET.Element("testsuites", name=_clean(f"kfinstall {self._kind} of {self._cluster}"))
        nodes = dict.fromkeys([*self._nodes, *(node for node, _check in self._found)])
        for node in nodes:
            cases = [_case(check, found, strict=self.strict) for (where, check), found in self._found.items() if where == node]
            if node in self._aside and not any(each.level == "error" for each in self._found.get((node, _LOGIN), ())):
                cases.append(_broken(_LOGIN, f"set aside: {self._aside[node]}"))
            if cases:
                root.append(self._suite(node, cases))
        if self._end:
            root.append(self._suite(f"run of {self._cluster}", [_broken("run", self._end)]))
        for name in ("tests", "failures", "errors"):
            root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
        root.set("time", f"{self._seconds:.3f}")
        ET.indent(root)
        text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
        return text + b"\n"

    def _suite(self, name: str, cases: list[ET.Element]) -> ET.Element:
        suite = ET.Element("testsuite", name=_clean(name))
        suite.set("timestamp", datetime.fromtimestamp(self._began, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
        suite.set("tests", str(len(cases)))
        for word, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(word, str(sum(1 for case in cases if case.find(tag) is not None)))
        suite.set("time", "0.000")
        suite.extend(cases)
        return suite


def _case(check: str, found: list[Finding], *, strict: bool) -> ET.Element:
    case = _element(check)
    bad = [each for each in found if each.level == "error" or (strict and each.level == "warning" and not each.ignored)]
    others = [each for each in found if each not in bad]
    passed_over = [each for each in others if each.ignored or each.severity == "unchecked"]
    if bad:
        failure = ET.SubElement(case, "failure", type=_clean(bad[0].severity or bad[0].level), message=_clean(bad[0].message))
        failure.text = _clean("\n".join(line for each in bad for line in _lines(each)))
    elif passed_over and not any(each.level == "ok" for each in others):
        first = passed_over[0]
        word = f"ignored ({first.called})" if first.ignored else "could not be checked"
        ET.SubElement(case, "skipped", message=_clean(f"{word}: {first.message}"))
    if others:
        ET.SubElement(case, "system-out").text = _clean("\n".join(line for each in others for line in _lines(each)))
    return case


def _lines(finding: Finding) -> list[str]:
    word = f"{finding.severity}, ignored" if finding.ignored else finding.severity or finding.level
    name = f" [{finding.called}]" if finding.called and finding.called != finding.check else ""
    return [f"{word}: {finding.message}{name}", *(f"  fix: {line}" for line in finding.fix.splitlines())]


def _broken(check: str, why: str) -> ET.Element:
    case = _element(check)
    ET.SubElement(case, "error", type="run", message=_clean(why)).text = _clean(why)
    return case


def _element(check: str) -> ET.Element:
    return ET.Element("testcase", classname=_clean(f"kfinstall.{check.partition('.')[0]}"), name=_clean(check), time="0.000")


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)

"""The way of a browser through the gateway to a real history server: every redirect stays on the URL that the user came by."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from kfinstall.parts.spark import objects as spark_objects
from tests.fakes import mesh
from tests.fakes.definitions import problems
from tests.unit.apply.test_waves import real as rendering
from tests.unit.parts.spark.test_spark import make_place

SPARK = os.environ.get("KFINSTALL_SPARK_HOME", "")
"""A Spark distribution, or the folder of Python's package pyspark."""
ENVOY = os.environ.get("KFINSTALL_ENVOY", "") or shutil.which("envoy") or ""
real = pytest.mark.skipif(
    not (SPARK and ENVOY and shutil.which("java")),
    reason="needs java, a Spark in KFINSTALL_SPARK_HOME and an Envoy in KFINSTALL_ENVOY",
)
PLACE = make_place()
BASE = PLACE.history_base
HOSTS = ("kubeflow.example", "kubeflow.example:30443", "localhost:8443", "10.0.0.1:31390", "[fd00::1]:30443")


def documents(place=PLACE):
    return [*spark_objects.history(place), *spark_objects.history_redirects(place)]


@pytest.fixture(scope="module")
def event_log(tmp_path_factory) -> str:
    """The event log of a small application, which this Spark runs."""
    folder = tmp_path_factory.mktemp("application")
    (folder / "logs").mkdir()
    settings = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file:{folder}/logs",
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.catalogImplementation": "in-memory",
    }
    options = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    command = [f"{SPARK}/bin/spark-sql", "--master", "local[1]", *options, "-e", "SELECT count(*) FROM range(1000)"]
    subprocess.run(command, env={**os.environ, "SPARK_HOME": SPARK}, cwd=folder, check=True, capture_output=True, timeout=300)
    (log,) = (folder / "logs").iterdir()
    return log.read_text().replace(log.name, "local-0")


def _log(folder: Path, text: str, application: str, attempt: str = "") -> None:
    text = text.replace("local-0", application)
    if attempt:
        text = text.replace(f'"App ID":"{application}"', f'"App ID":"{application}","App Attempt ID":"{attempt}"')
    (folder / f"{application}{'_' if attempt else ''}{attempt}").write_text(text)


@contextlib.contextmanager
def history_server(folder: Path, place, event_log: str):
    """The history server, by the Deployment's own options but for its folder and port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logs = folder / "logs"
    logs.mkdir()
    for application in ("app-1", "app-2", "app-3", "app-4"):
        _log(logs, event_log, application)
    _log(logs, event_log, "app-5", "1")
    _log(logs, event_log, "app-5", "2")
    (container,) = next(item for item in documents(place) if item["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"]
    options = next(item["value"] for item in container["env"] if item["name"] == "SPARK_HISTORY_OPTS").split()
    options = [option for option in options if "fs.logDirectory" not in option and "ui.port" not in option]
    options += [f"-Dspark.history.fs.logDirectory=file:{logs}", f"-Dspark.history.ui.port={port}"]
    command = [f"{SPARK}/bin/spark-class", *container["command"][1:]]
    own = {**os.environ, "SPARK_HISTORY_OPTS": " ".join(options), "SPARK_DAEMON_MEMORY": "512m", "SPARK_HOME": SPARK}
    with (folder / "history.log").open("wb") as log:
        process = subprocess.Popen(command, env=own, stdout=log, stderr=log, cwd=folder)
        try:
            mesh.until(lambda: _listed(port), process, folder / "history.log")
            yield port
        finally:
            process.terminate()
            process.wait(30)


def _listed(port: int) -> bool:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", "/api/v1/applications")
        with connection.getresponse() as answer:
            return len(json.loads(answer.read())) == 5


class Browser:
    """Follows redirects as a browser does: wherever a Location leads but to this gateway, nothing answers."""

    def __init__(self, port: int, scheme: str, host: str) -> None:
        self.port, self.scheme, self.host = port, scheme, host
        self.redirects: list[str] = []

    def get(self, path: str) -> tuple[int, str, str]:
        """(status, URL at the end, body)."""
        url = f"{self.scheme}://{self.host}{path}"
        for _turn in range(6):
            parts = urllib.parse.urlsplit(url)
            assert (parts.scheme, parts.netloc) == (self.scheme, self.host), f"sent to {url}"
            status, location, body = self._ask(parts)
            if status not in (301, 302, 303, 307, 308):
                assert location is None
                return status, url, body
            url = urllib.parse.urljoin(url, location)
            self.redirects.append(url)
        raise AssertionError(f"redirects without end: {self.redirects}")

    def _ask(self, parts: urllib.parse.SplitResult) -> tuple[int, str | None, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        if self.scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)
        with contextlib.closing(connection):
            connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers={"Host": self.host})
            with connection.getresponse() as answer:
                return answer.status, answer.getheader("Location"), answer.read().decode(errors="replace")


def _ports(program: int) -> dict[str, int]:
    with contextlib.ExitStack() as stack:
        free = {name: stack.enter_context(socket.socket()) for name in ("gateway", "sidecar", "admin")}
        for item in free.values():
            item.bind(("127.0.0.1", 0))
        return {"program": program, **{name: item.getsockname()[1] for name, item in free.items()}}


def _certificate(folder: Path) -> tuple[Path, Path]:
    chain, key = folder / "tls.crt", folder / "tls.key"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=gateway", "-days", "2"]
    subprocess.run([*words, "-keyout", str(key), "-out", str(chain)], check=True, capture_output=True)
    return chain, key


@contextlib.contextmanager
def gateway(folder: Path, place, program: int, *, tls: bool, items=None):
    ports = _ports(program)
    wanted = mesh.configuration(items or documents(place), ports, _certificate(folder) if tls else None)
    with mesh.running(ENVOY, folder, wanted):
        yield ports["gateway"]


def _links(page: str) -> set[str]:
    """Links of a page that lead to this server."""
    found = (
        urllib.parse.urldefrag(item.replace("&amp;", "&"))[0] for item in re.findall(r"(?:href|src)=[\"']([^\"'{}]+)[\"']", page)
    )
    return {item for item in found if item and not item.startswith(("http", "javascript:", "data:", "//"))}


def test_the_meshs_objects_are_what_its_definitions_take():
    definitions = [item for item in rendering() if item["kind"] == "CustomResourceDefinition"]
    found = [item for item in documents() if "istio.io" in item["apiVersion"]]
    assert [item["kind"] for item in found] == ["AuthorizationPolicy", "VirtualService", "EnvoyFilter"]
    assert {item["kind"]: problems(definitions, item) for item in found} == {item["kind"]: [] for item in found}


def test_the_filter_is_before_the_history_server_only_and_knows_its_prefix():
    for place in (PLACE, make_place(spark={"namespace": "team"})):
        (item,) = spark_objects.history_redirects(place)
        assert item["metadata"]["namespace"] == place.namespace
        assert item["spec"]["workloadSelector"]["labels"] == {"app.kubernetes.io/name": "spark-history-server"}
        (patch,) = item["spec"]["configPatches"]
        assert patch["match"]["context"] == "SIDECAR_INBOUND"
        assert f'"{place.history_base}"' in patch["patch"]["value"]["typed_config"]["default_source_code"]["inline_string"]
    (server,) = [item for item in documents() if item["kind"] == "Deployment"]
    assert server["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"


@real
@pytest.mark.parametrize("tls", [True, False])
def test_the_first_clicks_stay_on_the_url_that_the_user_came_by(tmp_path, event_log, tls):
    with history_server(tmp_path, PLACE, event_log) as program, gateway(tmp_path, PLACE, program, tls=tls) as port:
        scheme = "https" if tls else "http"
        for number, host in enumerate(HOSTS, 1):
            browser = Browser(port, scheme, host)
            status, url, _page = browser.get(BASE)
            assert (status, url) == (200, f"{scheme}://{host}{BASE}/")
            # The first click: the application is not loaded yet, and the server sends the browser on, twice.
            application = f"app-{number}"
            status, url, page = browser.get(f"{BASE}/history/{application}")
            attempt = "/[12]" if application == "app-5" else ""
            wanted = re.escape(f"{scheme}://{host}{BASE}/history/{application}") + attempt + "/jobs/"
            assert status == 200 and re.fullmatch(wanted, url), browser.redirects
            assert "Spark Jobs" in page
            assert browser.get(urllib.parse.urlsplit(url).path.rstrip("/"))[1] == url


@real
def test_every_link_and_a_bookmark_lead_somewhere(tmp_path, event_log):
    with history_server(tmp_path, PLACE, event_log) as program, gateway(tmp_path, PLACE, program, tls=True) as port:
        browser = Browser(port, "https", "kubeflow.example:30443")
        # A bookmark, of an application that is not loaded: what was asked for is still asked for after the redirect.
        status, url, page = browser.get(f"{BASE}/history/app-1/stages/stage/?id=0&attempt=0")
        assert (status, url.partition("/history/")[2]) == (200, "app-1/stages/stage/?id=0&attempt=0")
        assert "Details for Stage 0" in page
        status, url, _page = browser.get(f"{BASE}/history/app-5/1/executors/")
        assert (status, url.partition("/history/")[2]) == (200, "app-5/1/executors/")
        start = f"{BASE}/history/app-1/jobs/"
        open_paths, seen = [start], set()
        while open_paths:
            path = open_paths.pop()
            if path in seen:
                continue
            seen.add(path)
            status, url, page = browser.get(path)
            assert status == 200, (path, page[:500])
            # Spark 4's page of its own log has a link to a master's page, which a history server has not.
            if page.startswith("<!DOCTYPE html") and "/logPage/" not in path:
                for link in _links(page):
                    to = urllib.parse.urlsplit(urllib.parse.urljoin(url, link))
                    assert to.path.startswith(f"{BASE}/"), (path, link)
                    open_paths.append(to.path + (f"?{to.query}" if to.query else ""))
        assert {f"{BASE}/history/app-1/{tab}/" for tab in ("jobs", "stages", "storage", "environment", "executors")} <= seen
        assert any("sort" in path for path in seen), "tables are sorted and paged by links too"
        assert browser.get(f"{BASE}/api/v1/applications/app-1/logs")[0] == 200


@real
def test_without_the_filter_it_is_wrong_which_shows_that_this_would_be_seen(tmp_path, event_log):
    items = [item for item in copy.deepcopy(documents()) if item["kind"] != "EnvoyFilter"]
    server = history_server(tmp_path, PLACE, event_log)
    with server as program, gateway(tmp_path, PLACE, program, tls=True, items=items) as port:
        browser = Browser(port, "https", "kubeflow.example:30443")
        with pytest.raises(AssertionError, match=r"sent to http://kubeflow\.example:30443/"):
            browser.get(f"{BASE}/history/app-1")


@real
def test_without_kubeflow_a_port_forward_reaches_it(tmp_path, event_log):
    place = make_place(kubeflow={"enabled": False})
    assert not spark_objects.history_redirects(place)
    with history_server(tmp_path, place, event_log) as program:
        status, url, page = Browser(program, "http", f"localhost:{program}").get("/history/app-1")
        assert (status, url) == (200, f"http://localhost:{program}/history/app-1/jobs/")
        assert "Spark Jobs" in page

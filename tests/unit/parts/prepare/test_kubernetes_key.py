"""The key of the Kubernetes repository on the node: real gpg, curl and TLS; only the pinned key is ever given to apt."""

import http.server
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from kfinstall import releases, resources
from kfinstall.engine.wanted import File, Wanted
from kfinstall.facts.model import ClockFacts, Facts
from kfinstall.parts.preflight.apt_facts import AptFiles, Key
from kfinstall.parts.prepare.kubernetes_repository import PrepareKubernetesRepository
from kfinstall.simulator.nodes.model import ScriptError, SimNode
from kfinstall.simulator.parts.prepare import repository
from tests.fakes import package_site
from tests.unit.parts.prepare.test_prepare import changes, file, satisfied, view
from tests.unit.parts.prepare.test_prepare_lib import BASH, OWNER, Machine, error

PINNED = "DE15B14486CD377B9E876E1A234654DA9A296436"
OTHER = "A" * 40
TOOLS = [name for name in ("gpg", "gpgconf", "curl", "openssl", "bash") if shutil.which(name) is None]
real = pytest.mark.skipif(sys.platform != "linux" or bool(TOOLS), reason=f"needs Linux and {', '.join(TOOLS)}")


def test_every_minor_has_the_one_fingerprint():
    for name in releases.names():
        found = releases.load(name).artifacts.get("kubernetes-repository-key")
        assert found is None or found.fingerprints == (PINNED,)
    assert PrepareKubernetesRepository().parameters(view())["FINGERPRINTS"] == PINNED


@pytest.mark.parametrize(
    ("prints", "why"),
    [((PINNED,), ""), ((), ""), ((OTHER,), f"holds {OTHER}, and the repository's is {PINNED}"), ((PINNED, OTHER), OTHER)],
)
def test_another_key_that_is_there_already_is_not_kept(prints, why):
    given = PrepareKubernetesRepository().parameters(view())
    files = {given["KEY_FILE"]: file("key"), given["LIST_FILE"]: file(given["LIST"])}
    known = {AptFiles: AptFiles(keys=(Key(given["KEY_FILE"], "binary", ends=0, fingerprints=prints),))}
    facts = Facts("cp1", files=files, sections=known, clock=ClockFacts(epoch_seconds=1000.0))
    if why:
        assert why in changes(PrepareKubernetesRepository, facts)
    else:
        satisfied(PrepareKubernetesRepository, facts)


def test_the_simulator_refuses_another_key_in_the_same_words():
    node = SimNode("cp1", "10.77.0.11", 0, other_key=OTHER)
    with pytest.raises(ScriptError) as refused:
        list(repository(node, dict(PrepareKubernetesRepository().parameters(view()))))
    assert refused.value.status == 23
    assert OTHER in str(refused.value.lines)
    assert PINNED in str(refused.value.lines)


class Keys:
    """Keys that are made with real gpg."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(mode=0o700)

    def gpg(self, *words):
        environment = {**os.environ, "GNUPGHOME": str(self.folder)}
        return subprocess.run(
            ["gpg", "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", *words],
            env=environment,
            capture_output=True,
            check=True,
        ).stdout

    def make(self, name):
        self.gpg("--quick-gen-key", f"{name} <{name}@example.invalid>", "ed25519", "sign", "never")
        text = self.gpg("--list-keys", "--with-colons", f"{name}@example.invalid").decode()
        return re.findall(r"(?m)^fpr:+([0-9A-F]{40}):", text)[0]

    def end(self):
        subprocess.run(["gpgconf", "--homedir", str(self.folder), "--kill", "all"], check=False, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(tmp_path_factory.mktemp("gpg") / "home")
    yield made
    made.end()


@contextmanager
def site(folder, content, *, plain=False):
    """An HTTPS server that gives `content`; over a redirect to plain HTTP where `plain`."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if plain and isinstance(self.connection, ssl.SSLSocket):
                self.send_response(302)
                self.send_header("Location", f"http://127.0.0.1:{second.server_port}/Release.key")
                self.end_headers()
                return
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            pass

    asked = []
    ca, certificate = package_site.write_tls(folder, ("localhost",), "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    first, second = (http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) for _ in "12")
    first.socket = context.wrap_socket(first.socket, server_side=True)
    threads = [threading.Thread(target=each.serve_forever, daemon=True) for each in (first, second)]
    for thread in threads:
        thread.start()
    try:
        yield f"https://127.0.0.1:{first.server_port}/Release.key", ca, asked
    finally:
        for each in (first, second):
            each.shutdown()
            each.server_close()


def run(tmp_path, content, pinned, **options):
    """The step's script on a folder that stands for a node; its end, and the key that apt was given."""
    machine = Machine(tmp_path)
    machine.program("apt-get", "exit 0")
    machine.program("setpriv", "exit 0")
    key = tmp_path / "etc/apt/keyrings/k.gpg"
    wanted = Wanted(
        files=(
            File(str(tmp_path / "etc/apt/sources.list.d/k.list"), "deb x /\n", owner=OWNER, path_as="LIST_FILE", content_as="LIST"),
        )
    )
    with site(tmp_path, content, **options) as (url, ca, asked):
        machine.program("curl", f'CURL_CA_BUNDLE={ca} exec {shutil.which("curl")} --retry 0 "$@"')
        done = machine.step("prepare-kubernetes-repository", KEY_URL=url, KEY_FILE=key, FINGERPRINTS=pinned, **wanted.parameters)
    return done, key, asked


def prints(keys, path):
    text = keys.gpg("--show-keys", "--with-colons", str(path)).decode()
    return re.findall(r"(?m)^fpr:+([0-9A-F]{40}):", text)


@real
class TestOnTheNode:
    @pytest.mark.parametrize("form", ["--armor", "--no-armor"])
    def test_the_pinned_key_is_given_to_apt(self, tmp_path, keys, form):
        mine = keys.make(f"mine{form}")
        done, key, _asked = run(tmp_path, keys.gpg(form, "--export", mine), mine)
        assert done.status == 0, done.lines
        assert prints(keys, key) == [mine]
        assert not key.read_bytes().startswith(b"-----BEGIN")

    def test_another_key_is_refused_with_both_fingerprints(self, tmp_path, keys):
        evil = keys.make("mallory")
        done, key, _asked = run(tmp_path, keys.gpg("--armor", "--export", evil), PINNED)
        assert done.status == 23
        assert not key.exists()
        assert f"its fingerprint is {evil}, and the repository's is {PINNED}" in error(done)
        assert not (tmp_path / "etc/apt/sources.list.d/k.list").exists()

    def test_a_key_beside_the_pinned_one_is_not_taken(self, tmp_path, keys):
        mine, evil = keys.make("both"), keys.make("beside")
        done, key, _asked = run(tmp_path, keys.gpg("--armor", "--export", mine, evil), mine)
        assert done.status == 0, done.lines
        assert prints(keys, key) == [mine]

    def test_a_page_is_no_key(self, tmp_path, keys):
        done, key, _asked = run(tmp_path, b"<html>log in</html>\n", PINNED)
        assert done.status == 23
        assert "did not give a PGP key" in error(done)
        assert not key.exists()

    def test_a_redirect_to_plain_http_is_not_followed(self, tmp_path, keys):
        mine = keys.make("plain")
        done, key, asked = run(tmp_path, keys.gpg("--armor", "--export", mine), mine, plain=True)
        assert done.status == 22
        assert (asked, key.exists()) == ([], False)

    def test_the_facts_tell_the_fingerprints_of_a_file_of_keys(self, tmp_path, keys):
        mine, more = keys.make("facts"), keys.make("facts2")
        path = tmp_path / "k.gpg"
        path.write_bytes(keys.gpg("--export", mine, more))
        text = resources.script("preflight/facts-apt")
        body = text[text.index("kf_key() {") : text.index("# apt reads keys as its own user.")]
        done = subprocess.run([BASH, "-c", f"unreadable=\n{body}\nkf_key {path}"], capture_output=True, text=True, check=True)
        assert AptFiles.parse(done.stdout.splitlines()).keys[0].fingerprints == (mine, more)

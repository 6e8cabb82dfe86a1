"""The lab's own tools that need no root: the image's checksum, and the cache that is the only way out."""

import http.client
import http.server
import os
import shutil
import sys
import threading
import urllib.error
from pathlib import Path

import pytest

from tests.lab.lab.apt_cache import UBUNTU, Cache, handler
from tests.lab.lab.image_sum import BLOCK_BYTES, content_sum

needs_holes = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's sparse files")


@needs_holes
def test_the_checksum_is_of_the_content_and_not_of_the_holes(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    with first.open("wb") as file:
        file.seek(5 * BLOCK_BYTES + 17)
        file.write(b"content")
        file.truncate(40 * BLOCK_BYTES + 3)
    second.write_bytes(first.read_bytes())  # no holes in it
    assert os.stat(second).st_blocks > os.stat(first).st_blocks
    assert content_sum(str(first)) == content_sum(str(second))
    with second.open("r+b") as file:
        file.seek(39 * BLOCK_BYTES)
        file.write(b"x")
    assert content_sum(str(first)) != content_sum(str(second))
    os.truncate(first, 41 * BLOCK_BYTES)
    shutil.copyfile(first, second)
    os.truncate(second, 40 * BLOCK_BYTES)
    assert content_sum(str(first)) != content_sum(str(second))


class Mirror:
    """Answers with how often a path was asked for; /broken ends early, /gone is not there."""

    def __init__(self):
        self.paths = []
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.paths.append(self.path)
                if self.path == "/gone":
                    self.send_error(404)
                    return
                body = str(mirror.paths.count(self.path)).encode()
                self.send_response(200)
                short = self.path == "/broken" and len(body) == 1 and mirror.paths.count(self.path) == 1
                self.send_header("Content-Length", str(len(body) + short))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Mirror()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def test_what_never_changes_is_fetched_once(tmp_path, mirror):
    cache = Cache(tmp_path, {})
    paths = [cache.get(f"{mirror.url}/pool/a_1_amd64.deb") for _turn in range(3)]
    assert len(set(paths)) == 1
    assert mirror.paths == ["/pool/a_1_amd64.deb"]


def test_many_who_ask_at_once_wait_for_one(tmp_path, mirror):
    cache, found = Cache(tmp_path, {}), []
    threads = [threading.Thread(target=lambda: found.append(cache.get(f"{mirror.url}/b.deb").read_text())) for _turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["1"] * 8


def test_lists_are_read_again_when_they_are_old_and_kept_when_the_mirror_is_away(tmp_path, mirror, monkeypatch):
    cache = Cache(tmp_path, {})
    url = f"{mirror.url}/dists/InRelease"
    assert [cache.get(url).read_text() for _turn in range(2)] == ["1", "1"]
    monkeypatch.setattr("tests.lab.lab.apt_cache.FRESH_SECONDS", -1)
    assert cache.get(url).read_text() == "2"
    mirror.server.socket.close()
    monkeypatch.setattr("tests.lab.lab.apt_cache.TRIES", 1)
    assert cache.get(url).read_text() == "2"


def test_what_is_not_there_is_an_error_and_what_ended_early_is_fetched_again(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr("tests.lab.lab.apt_cache.PAUSE_SECONDS", 0)
    cache = Cache(tmp_path, {})
    with pytest.raises(urllib.error.HTTPError) as caught:
        cache.get(f"{mirror.url}/gone")
    caught.value.close()
    assert cache.get(f"{mirror.url}/broken").read_text() == "2"
    assert [path for path in Path(tmp_path).iterdir() if path.name.endswith(".new")] == []


@pytest.mark.parametrize(
    "requested", ["http://example.com/debian/x", "/etc/passwd", "http://m/debian", "http://m/debian/../x", "http://m.org/debian/x"]
)
def test_nothing_but_the_archives_is_fetched(tmp_path, requested):
    assert Cache(tmp_path, {"http://m/debian": "http://m/debian"}).real_url(requested) == ""


def test_ubuntus_names_lead_to_debians_archives(tmp_path):
    cache = Cache(tmp_path, {name: f"http://{which}" for name, which in UBUNTU.items()})
    assert cache.real_url("http://security.ubuntu.com/ubuntu/dists/x") == "http://security/dists/x"


# What fails in a test for want of a package is told from a defect by it; a file that the mirror does not have is a defect.
def test_what_the_mirror_did_not_give_is_written_down(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr("tests.lab.lab.apt_cache.TRIES", 1)
    missed = tmp_path / "missed"
    made = handler(Cache(tmp_path / "apt", {mirror.url: mirror.url}), missed)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), made) as cache:
        thread = threading.Thread(target=cache.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def ask(path):
            client = http.client.HTTPConnection("127.0.0.1", cache.server_port)
            client.request("GET", f"{mirror.url}{path}")
            answer = client.getresponse()
            client.close()
            return answer.status

        assert (ask("/a.deb"), ask("/gone")) == (200, 404)
        assert not missed.exists()
        mirror.server.socket.close()
        assert (ask("/a.deb"), missed.exists()) == (200, False)
        assert ask("/b.deb") == 504
        assert missed.read_text().startswith(f"{mirror.url}/b.deb: ")
        cache.shutdown()
        thread.join()

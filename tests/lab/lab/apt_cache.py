"""The only way out of the lab: an HTTP proxy for Debian's packages that keeps what never changes.

It listens inside the lab's network namespace and fetches outside of it. It knows the mirror and its security archive, also by
Ubuntu's names (for nodes that say they are Ubuntu); whatever else is asked for is refused and written down.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import http.server
import os
import re
import shutil
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path

CLONE_NEWNET = 0x40000000
FRESH_SECONDS = 900
"""How long the lists are taken for new. What they name by its hash never changes."""
FETCH_SECONDS = 60
TRIES = 4
PAUSE_SECONDS = 1
SERVER_FAULT = 500
MISSED = "mirror-missed"
"""Beside the file that says that the cache is ready: what the mirror did not give last."""
UNCHANGING = re.compile(r"\.deb$|/by-hash/")
UBUNTU = {"http://archive.ubuntu.com/ubuntu": "mirror", "http://security.ubuntu.com/ubuntu": "security"}


def bound_inside(namespace: str, address: tuple[str, int]) -> socket.socket:
    """A listening socket in another network namespace; a socket stays in the one where it was made."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open(namespace, os.O_RDONLY)
    try:
        if libc.setns(other, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"can't enter {namespace}")
        try:
            return socket.create_server(address, backlog=128)
        finally:
            if libc.setns(own, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "can't leave the namespace")
    finally:
        os.close(own)
        os.close(other)


class Cache:
    """Files by URL in a folder."""

    def __init__(self, folder: Path, archives: dict[str, str]) -> None:
        self.folder = folder
        self.archives = archives
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        folder.mkdir(parents=True, exist_ok=True)

    def real_url(self, requested: str) -> str:
        """Where an address really is; empty where it is none of Debian's."""
        for name, url in self.archives.items():
            if requested.startswith(name + "/") and ".." not in requested:
                return url + requested[len(name) :]
        return ""

    def get(self, url: str) -> Path:
        """The file, fetched once however many ask for it at the same time. Raises: OSError: it can't be had."""
        name = hashlib.sha256(url.encode()).hexdigest()[:24] + "-" + url.rpartition("/")[2][-80:]
        path = self.folder / name
        with self._locks[name]:
            if path.exists() and (UNCHANGING.search(url) or time.time() - path.stat().st_ctime < FRESH_SECONDS):
                return path
            try:
                self._fetch(url, path)
            except urllib.error.HTTPError:
                raise
            except OSError:
                if not path.exists():
                    raise
        return path

    def _fetch(self, url: str, path: Path) -> None:
        for turn in range(TRIES):
            new = path.with_suffix(path.suffix + f".{os.getpid()}-{threading.get_ident()}.new")
            try:
                with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as answer, new.open("wb") as file:
                    shutil.copyfileobj(answer, file, 2**18)
                    wanted, got = answer.headers.get("Content-Length"), file.tell()
                whole(url, wanted, got)
                new.replace(path)
            except urllib.error.HTTPError as error:
                if error.code < 500 or turn == TRIES - 1:
                    raise
            except OSError:
                if turn == TRIES - 1:
                    raise
            else:
                return
            finally:
                new.unlink(missing_ok=True)
            time.sleep(PAUSE_SECONDS * (1 + turn))


def miss(missed: Path, url: str, error: Exception) -> None:
    """Write down that the mirror did not give something: what fails for want of it is no fault of what is tested."""
    missed.write_text(f"{url}: {error}\n", encoding="utf-8")


def whole(url: str, wanted: str | None, got: int) -> None:
    """Raise OSError where the connection ended before the file did."""
    if wanted is not None and got != int(wanted):
        raise OSError(f"{url} ended after {got} of {wanted} bytes")


def handler(cache: Cache, missed: Path) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 120

        def do_GET(self) -> None:
            url = cache.real_url(self.path)
            if not url:
                self.refuse(403, "the lab fetches nothing but Debian's packages")
                return
            try:
                path = cache.get(url)
            except urllib.error.HTTPError as error:
                if error.code >= SERVER_FAULT:
                    miss(missed, url, error)
                self.refuse(error.code, str(error.reason))
            except OSError as error:
                miss(missed, url, error)
                self.refuse(504, str(error))
            else:
                with path.open("rb") as file:
                    self.send_response(200)
                    self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
                    self.end_headers()
                    if self.command == "GET":
                        shutil.copyfileobj(file, self.wfile, 2**18)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_CONNECT(self) -> None:
            self.refuse(403, "the lab has no way out")
            self.close_connection = True

        def refuse(self, code: int, reason: str) -> None:
            self.send_response(code, reason.splitlines()[0][:80] if reason else None)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, form: str, *words: object) -> None:
            print(self.client_address[0], form % words, flush=True)

    return Handler


class Server(http.server.ThreadingHTTPServer):
    """Serves on a socket that is there already."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, kind: type[http.server.BaseHTTPRequestHandler]) -> None:
        super().__init__(listening.getsockname(), kind, bind_and_activate=False)
        self.socket.close()
        self.socket = listening


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("folder", "namespace", "listen", "mirror", "security", "ready"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    archives = {url: url for url in (given.security, given.mirror)}
    archives |= {name: getattr(given, which) for name, which in UBUNTU.items()}
    cache = Cache(Path(given.folder), archives)
    host, _, port = given.listen.rpartition(":")
    server = Server(bound_inside(given.namespace, (host, int(port))), handler(cache, Path(given.ready).with_name(MISSED)))
    Path(given.ready).touch()
    server.serve_forever(poll_interval=60)


if __name__ == "__main__":
    sys.exit(main())

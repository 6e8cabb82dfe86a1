"""A company's HTTP proxy in the lab's network: packages go on to the lab's cache, and HTTPS to the stand-in sites, by name."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.lab.nodes import GATEWAY

PORT = 3128
URL = f"http://{GATEWAY}:{PORT}"
_CACHE_PORT = 3142
_SITES_PORT = 443
_HEAD_BYTES = 2**16


def _relay(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(2**16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@contextmanager
def serve(sites: Sequence[str]) -> Iterator[list[str]]:
    """Serve on the lab's gateway; gives what was asked for: `CONNECT pkgs.k8s.io:443`, `GET http://...`."""
    requests: list[str] = []

    class Handler(socketserver.BaseRequestHandler):
        request: socket.socket

        def handle(self) -> None:
            head = b""
            while b"\r\n\r\n" not in head and len(head) < _HEAD_BYTES:
                data = self.request.recv(_HEAD_BYTES)
                if not data:
                    return
                head += data
            method, target = head.split(b" ", 2)[:2]
            requests.append(f"{method.decode()} {target.decode()}")
            tunnel = method == b"CONNECT"
            if tunnel and target.decode().rpartition(":")[0] not in sites:
                self.request.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection((GATEWAY, _SITES_PORT if tunnel else _CACHE_PORT)) as onward:
                if tunnel:
                    self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    onward.sendall(head)
                back = threading.Thread(target=_relay, args=(onward, self.request), daemon=True)
                back.start()
                _relay(self.request, onward)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server((GATEWAY, PORT), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield requests
        finally:
            server.shutdown()
            thread.join()

"""The page of a run, and its numbers, over HTTP: two addresses, nothing else, nothing to change.

It listens on the loopback device unless asked otherwise. A page of another site can neither read
the numbers (no cross-origin header is sent) nor reach them under a name of its own that it lets
point here (the Host must be an address, or a name that this machine is known by).
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import NamedTuple

from widemargin.watching.follow import Follower
from widemargin.watching.page import POLICY, page
from widemargin.watching.sources import Source
from widemargin.watching.state import Facts

SLOW_S = 10.0  # a client that takes longer to ask is let go
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Dashboard(NamedTuple):
    """A page that is served."""

    url: str
    port: int


@contextmanager
def dashboard(
    source: Source, port: int = 0, host: str = "127.0.0.1", *, facts: Facts | None = None
) -> Iterator[Dashboard]:
    """Serve the page of the run whose events `source` tells, while the block lasts.

    `port` 0: any that is free. `facts`: what is known of the run beside its events.

        with dashboard(newer(run_since), port=8400) as page:
            print(page.url)
    """
    with Follower(source, facts) as follower, listening(follower, port, host) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield Dashboard(url_of(host, server.server_port), server.server_port)
        finally:
            server.shutdown()
            thread.join()


def listening(follower: Follower, port: int, host: str) -> Server:
    if not 0 <= port <= 65535:
        raise ValueError(f"port={port} is none. Give one of 0 … 65535; 0 takes any that is free.")
    try:
        return Server(follower, port, host)
    except OSError as error:
        raise ValueError(
            f"port={port} on host={host!r} cannot be listened on: {error.strerror or error}. "
            "Give another port; 0 takes any that is free."
        ) from None


def url_of(host: str, port: int) -> str:
    """The address for a browser on this machine; the whole network's is told by a name."""
    place = host
    if host in ("", "0.0.0.0", "::"):
        place = socket.gethostname()
    return f"http://[{place}]:{port}/" if ":" in place else f"http://{place}:{port}/"


class Server(ThreadingHTTPServer):
    """One thread a request; none holds up the end."""

    daemon_threads = True

    def __init__(self, follower: Follower, port: int, host: str) -> None:
        self.follower = follower
        self.names = {"localhost", host.lower(), socket.gethostname().lower()}
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), Handler)

    def server_bind(self) -> None:
        """As HTTPServer's, without its question to the name service."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client went away while it was answered: nothing is lost."""


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of two addresses."""

    server: Server
    timeout = SLOW_S
    server_version, sys_version = "widemargin", ""

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        if not known_name(self.headers.get_all("Host", []), self.server.names):
            words = "This page answers to addresses and to this machine's own name only."
            self.refuse(HTTPStatus.MISDIRECTED_REQUEST, words)
        elif path == "/":
            self.reply(HTTPStatus.OK, "text/html; charset=utf-8", page())
        elif path == "/state.json":
            self.reply(HTTPStatus.OK, "application/json", self.server.follower.body())
        else:
            self.reply(
                HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"There is no such page.\n"
            )

    def refuse(self, status: HTTPStatus, words: str) -> None:
        self.reply(status, "text/plain; charset=utf-8", f"{words}\n".encode())

    def reply(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The terminal belongs to the run."""


def known_name(hosts: list[str], names: set[str]) -> bool:
    """Is the one Host that was named an address, or one of the names? Its port does not matter."""
    if len(hosts) != 1:
        return False
    host = hosts[0].strip().lower()
    if host.startswith("["):
        place, _, rest = host[1:].partition("]")
        return is_address(place) and (not rest or rest[1:].isdigit())
    place = host.partition(":")[0].rstrip(".")
    return place in names or is_address(place)


def is_address(place: str) -> bool:
    try:
        ipaddress.ip_address(place)
    except ValueError:
        return False
    return True

"""Direct connections between actors, for the many small messages: a call through Ray costs each
side about 0.5 ms of processor time, a message over a socket a tenth of that.

Every actor opens a door and writes its address into Ray's tables, beside a secret of the run. Both
ends prove that they know the secret, which only who has Ray's token can read; the messages
themselves travel as openly as Ray's own. Where Ray is set up with TLS, or where no connection can
be made, everything goes through Ray instead: a link is never needed, and never waited for.

Between processes of one machine a link carries no large array but the terms on which it is lent
(see `shared_arrays`): it is read where it was made. When they are made known to each other the
door looks whether it reaches the caller's memory.
"""

from __future__ import annotations

import hmac
import io
import os
import pickle
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from widemargin import shared_arrays
from widemargin.run.cluster import plan as plans

HEAD = struct.Struct("!Q")
NONCE = 32
SHAKE_S = 3.0  # for the connection and the proof
IDLE_S, PROBE_S, PROBES = 30, 10, 3  # how a door finds that a silent caller's machine is gone
DEAD_MS = 3000  # what was not taken by the other machine's kernel for so long ends a link
BUFFER = 4 << 20
NEAR, FAR = b"n", b"f"  # the door reaches the caller's memory, or not
MOST = 64 << 20  # bytes that may wait for a receiver; what comes then is dropped
LOOK_S, MISSING_S = 1.0, 0.1  # how often addresses are read: all links stand, one is missing


def wanted() -> bool:
    return os.environ.get("RAY_USE_TLS", "0") != "1"


class Door:
    """Takes connections; puts the messages that come through them to `tell`."""

    def __init__(self, name: str, role: str, life: int, tell: Callable[[Any], None]) -> None:
        import ray

        self.tell, self.secret = tell, plans.get(name, "secret")
        host = ray.util.get_node_ip_address()
        self.socket = socket.create_server((host, 0), backlog=64)
        plans.put(name, f"door/{role}", (life, host, self.socket.getsockname()[1]))
        threading.Thread(target=self.open, name="door", daemon=True).start()

    def open(self) -> None:
        while True:
            there, _ = self.socket.accept()
            threading.Thread(target=self.listen, args=(there,), daemon=True).start()

    def listen(self, there: socket.socket) -> None:
        try:
            with there, there.makefile("rb", buffering=1 << 18) as stream:
                there.settimeout(SHAKE_S)
                if not self.trusts(there, stream):
                    return
                there.settimeout(None)
                keep_alive(there)
                borrowed = shared_arrays.Borrowed()
                while head := stream.read(HEAD.size):
                    data = io.BytesIO(stream.read(HEAD.unpack(head)[0]))
                    self.hear(Opening(data, borrowed))
        except (OSError, EOFError, struct.error, pickle.UnpicklingError):
            return  # it has gone in the middle of a word

    def hear(self, opening: Opening) -> None:
        for message in opening.load():  # this frame ends with them: nothing here keeps an array
            self.tell(message)

    def trusts(self, there: socket.socket, stream: Any) -> bool:
        """Nothing is unpickled before the other has proved that it knows the secret."""
        ours = secrets.token_bytes(NONCE)
        there.sendall(ours)
        theirs, proof = stream.read(NONCE), stream.read(NONCE)
        if not hmac.compare_digest(proof, prove(self.secret, b"caller", ours + theirs)):
            return False
        there.sendall(prove(self.secret, b"door", theirs + ours))
        fd = shared_arrays.reach(stream.read(shared_arrays.WHERE.size))
        there.sendall(FAR if fd is None else NEAR)
        if fd is not None:
            os.close(fd)
        return True


def keep_alive(there: socket.socket) -> None:
    """Who only listens learns by probes alone that the other machine has vanished."""
    there.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in ("IDLE", IDLE_S), ("INTVL", PROBE_S), ("CNT", PROBES):
        option = getattr(socket, f"TCP_KEEP{name}", None)
        if option is not None:  # else the system's own, which takes hours
            there.setsockopt(socket.IPPROTO_TCP, option, value)


def prove(secret: bytes, who: bytes, nonces: bytes) -> bytes:
    return hmac.digest(secret, who + nonces, "sha256")


class Opening(pickle.Unpickler):
    """Reads messages; arrays in them that were lent are borrowed."""

    def __init__(self, stream: io.BytesIO, borrowed: shared_arrays.Borrowed) -> None:
        super().__init__(stream)
        self.borrowed = borrowed

    def persistent_load(self, terms: Any) -> Any:
        return self.borrowed.array(shared_arrays.Terms(*terms))


class Closing(pickle.Pickler):
    """Writes messages; large arrays that can be lent are."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, 5)
        self.loans: list[shared_arrays.Loan] = []

    def persistent_id(self, value: Any) -> Any:
        if type(value) is not np.ndarray or value.nbytes < shared_arrays.LARGE:
            return None
        loan = shared_arrays.lend(value)
        if loan is None:
            return None
        self.loans.append(loan)
        return tuple(loan.terms)


class Link:
    """One connection outwards. `send` never waits. `near`: to a process of this machine."""

    def __init__(self, address: tuple[int, str, int], secret: bytes) -> None:
        self.address = address
        self.pending = bytearray()
        self.loans: list[shared_arrays.Loan] = []
        self.closed = False
        self.socket = socket.create_connection(address[1:], timeout=SHAKE_S)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_MS)
            self.shake(secret)
            self.socket.setblocking(False)
        except BaseException:
            self.socket.close()
            raise

    def shake(self, secret: bytes) -> None:
        ours, theirs = secrets.token_bytes(NONCE), self.exactly(NONCE)
        self.socket.sendall(ours + prove(secret, b"caller", theirs + ours))
        if not hmac.compare_digest(self.exactly(NONCE), prove(secret, b"door", ours + theirs)):
            raise ConnectionError("the door does not know the secret of the run")
        sample = shared_arrays.sample()
        self.socket.sendall(shared_arrays.NOWHERE if sample is None else sample.where)
        self.near = self.exactly(len(NEAR)) == NEAR

    def exactly(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise ConnectionError("the door was shut")
            data += more
        return data

    def send(self, messages: list[Any]) -> None:
        """OSError if the other end is gone."""
        if self.shut():
            raise ConnectionError("the door was shut")
        if len(self.pending) <= MOST:
            data = self.lending(messages) if self.near else pickle.dumps(messages, 5)
            self.pending += HEAD.pack(len(data)) + data
        self.push()

    def lending(self, messages: list[Any]) -> bytes:
        stream = io.BytesIO()
        closing = Closing(stream)
        closing.dump(messages)
        self.loans = [loan for loan in self.loans if loan.open()] + closing.loans
        if self.closed:  # by another thread, just now
            self.close()
        return stream.getvalue()

    def close(self) -> None:
        """Nobody will say that what was lent over it is free."""
        self.closed = True
        self.socket.close()
        for loan in self.loans:
            loan.lose()

    def push(self) -> None:
        try:
            while self.pending:
                del self.pending[: self.socket.send(self.pending)]
        except BlockingIOError:
            return

    def shut(self) -> bool:
        """Has the other end closed it? It never sends anything."""
        try:
            return not self.socket.recv(1)
        except BlockingIOError:
            return False


class Links:
    """The links to all receivers that were asked for, kept up by a thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.links: dict[str, Link | None] = {}
        self.changed = threading.Event()
        self.on = wanted()
        if self.on:
            threading.Thread(target=self.keep, name="links", daemon=True).start()

    def to(self, role: str) -> Link | None:
        """The link, if there is one; else one is tried for from now on."""
        link = self.links.get(role)
        if link is None and self.on and role not in self.links:
            self.links[role] = None
            self.changed.set()
        return link

    def drop(self, role: str) -> None:
        link = self.links.get(role)
        self.links[role] = None
        if link is not None:
            link.close()
        self.changed.set()

    def keep(self) -> None:
        secret = plans.get(self.name, "secret")
        while True:
            missing = any(link is None for link in self.links.values())
            self.changed.wait(MISSING_S if missing else LOOK_S)
            if self.changed.is_set():
                self.changed.clear()
            for role in list(self.links):
                try:
                    self.look(role, secret)
                except Exception:  # no such actor now, or it cannot be reached: Ray carries on
                    continue
            time.sleep(MISSING_S / 2)

    def look(self, role: str, secret: bytes) -> None:
        """Have a link to where the role is now."""
        address, link = plans.get(self.name, f"door/{role}"), self.links[role]
        if link is not None and link.address == address:
            return
        if address is not None:
            fresh = Link(address, secret)
            self.links[role] = fresh
            if link is not None:
                link.close()

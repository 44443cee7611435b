"""Messages to other actors: sent and forgotten, in batches, never waited for.

Small ones go over a link where there is one (see `wire`), and those whose large arrays can be lent
to a process of the same machine; other large ones and all else through Ray.

A message may be lost: its receiver is dead or stopped. Roles repeat what matters, so errors end
here. What goes to a receiver that does not answer is dropped beyond a bound.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from widemargin.run.cluster.plan import space
from widemargin.run.cluster.wire import Links
from widemargin.shared_arrays import LARGE, home

WINDOW = 16  # batches under way to one receiver
WAITING = 1024  # messages that wait for a place in it
AGAIN_S = 0.05  # before a receiver that had no actor is looked up again


class Parcel(NamedTuple):
    """Stands in a message for a payload that comes beside it."""

    field: str
    place: int
    message: Any


class Peer:
    """One receiver: its handle, what waits for it, what is under way."""

    def __init__(self) -> None:
        self.handle: Any = None
        self.looked = -1e9
        self.waiting: deque[Any] = deque(maxlen=WAITING)
        self.under_way: list[Any] = []


class Post:
    """`send` collects, `flush` sends. `cut` names receivers that nothing reaches: for trials."""

    def __init__(self, name: str) -> None:
        self.space = space(name)
        self.peers: dict[str, Peer] = {}
        self.cut: frozenset[str] = frozenset()
        self.links = Links(name)

    def send(self, to: str, message: Any) -> None:
        peer = self.peers.get(to)
        if peer is None:
            peer = self.peers[to] = Peer()
        peer.waiting.append(message)

    def flush(self) -> None:
        shared: dict[int, Any] = {}
        busy = [(to, peer) for to, peer in self.peers.items() if peer.waiting]
        repeated = repeats(message for _, peer in busy for message in peer.waiting)
        for to, peer in busy:
            if to in self.cut:
                peer.waiting.clear()
                continue
            self.over_link(to, peer)
            if not peer.waiting:
                continue
            self.drain(peer)
            if len(peer.under_way) < WINDOW and self.reach(to, peer):
                self.deliver(peer, repeated, shared)

    def over_link(self, to: str, peer: Peer) -> None:
        """Send what is small, or can be lent, over the link, if there is one; leave the rest."""
        link = self.links.to(to)
        if link is None:
            return
        light: list[Any] = []
        heavy: list[Any] = []
        for message in peer.waiting:
            fits = size(message, link.near) < LARGE
            (light if fits else heavy).append(message)
        try:
            if light:
                link.send(light)
        except OSError:
            self.links.drop(to)
            return
        peer.waiting.clear()
        peer.waiting.extend(heavy)

    def push(self) -> bool:
        """Send on what a receiver had no room for; is there any?"""
        left = False
        for to, link in list(self.links.links.items()):
            if link is not None and link.pending:
                try:
                    link.push()
                    left = left or bool(link.pending)
                except OSError:
                    self.links.drop(to)
        return left

    def reach(self, to: str, peer: Peer) -> bool:
        """Find the actor; without one, what waits is lost."""
        import ray

        if peer.handle is None and time.monotonic() - peer.looked >= AGAIN_S:
            peer.looked = time.monotonic()
            try:
                peer.handle = ray.get_actor(to, namespace=self.space)
            except Exception:  # there is none, or Ray's head does not answer
                peer.waiting.clear()
        return peer.handle is not None

    def deliver(self, peer: Peer, repeated: set[int], shared: dict[int, Any]) -> None:
        import ray

        batch, parcels = [], []
        for message in peer.waiting:
            field, payload = payload_of(message)
            if id(payload) in repeated:
                if id(payload) not in shared:
                    shared[id(payload)] = ray.put(payload)
                parcels.append(shared[id(payload)])
                empty = message._replace(**{field: None})
                message = Parcel(field, len(parcels) - 1, empty)
            batch.append(message)
        peer.waiting.clear()
        try:
            peer.under_way.append(peer.handle.deliver.remote(batch, *parcels))
        except Exception:  # the handle is of an actor that is gone for good
            peer.handle = None

    def drain(self, peer: Peer) -> None:
        """Let go of what was answered."""
        import ray

        if not peer.under_way:
            return
        done, peer.under_way = ray.wait(
            peer.under_way, num_returns=len(peer.under_way), timeout=0, fetch_local=False
        )
        try:
            if done:
                ray.get(done)
        except Exception:  # it died; another may come under its name
            peer.handle = None


def payload_of(message: Any) -> tuple[str, Any]:
    for field in ("update", "arrays", "values"):
        payload = getattr(message, field, None)
        if payload is not None:
            return field, payload
    return "", None


def repeats(messages: Iterable[Any]) -> set[int]:
    """The ids of large payloads that go to several receivers."""
    seen: set[int] = set()
    twice: set[int] = set()
    for message in messages:
        _, payload = payload_of(message)
        if payload is None or size(payload) < LARGE:
            continue
        (twice if id(payload) in seen else seen).add(id(payload))
    return twice


def size(value: Any, near: bool = False) -> int:
    """The bytes of the arrays in a message or a payload; `near`: less those that can be lent."""
    if isinstance(value, np.ndarray):
        lent = near and value.nbytes >= LARGE and home(value) is not None
        return 0 if lent else int(value.nbytes)
    if isinstance(value, dict):
        return sum(size(v, near) for v in value.values())
    if isinstance(value, tuple):
        return sum(size(v, near) for v in value)
    return 0


def opened(message: Any, parcels: tuple[Any, ...]) -> Any:
    """The message, its payload back in place."""
    if isinstance(message, Parcel):
        return message.message._replace(**{message.field: parcels[message.place]})
    return message

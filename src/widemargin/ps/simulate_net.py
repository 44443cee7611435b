"""The simulated network: how long a message is on its way, which links are cut, which NIC is busy.

A process sends through one NIC and receives through another, one message after the other, at its
bandwidth. A message of s bytes that leaves when its sender's NIC is free at a takes

    max(a + latency, when the receiver's NIC is free) + s / bandwidth

so eight workers that push to one shard at the same time wait for each other, as in a real rack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from widemargin.ps import messages as m

HEADER = 64  # bytes of any message, besides its content


class Net(NamedTuple):
    """Latency, bandwidth, and how often the network fails a message."""

    latency: float = 0.001  # seconds
    jitter: float = 0.5  # a share of the latency, drawn anew for each message
    drop: float = 0.0  # probabilities a message
    double: float = 0.0
    overtake: float = 0.0  # a message that is late by up to `late` seconds
    late: float = 0.05
    bandwidth: float = float("inf")  # bytes a second in each direction
    bandwidths: Mapping[str, float] = {}  # of processes that differ

    def calm(self) -> Net:
        """The same network, which fails no message."""
        return self._replace(drop=0.0, double=0.0, overtake=0.0)


class Wires:
    """Links that are cut, and until when each NIC is busy."""

    def __init__(self) -> None:
        self.cut: Counter[tuple[str, str]] = Counter()  # from, to; "*" is everybody
        self.held: Counter[tuple[str, str]] = Counter()  # nothing is lost, and nothing comes
        self.stuck: list[tuple[str, str, Any]] = []  # what waits at links that are held
        self.sending: dict[str, float] = {}
        self.receiving: dict[str, float] = {}
        self.pushed = 0  # bytes of gradients that workers sent, also in vain
        self.pulled = 0  # and of parameters sent to them

    def weigh(self, message: Any) -> None:
        if isinstance(message, m.Push):
            self.pushed += content(message.update)
        elif isinstance(message, m.Params):
            self.pulled += content(message.values)

    def severed(self, source: str, to: str) -> bool:
        return bool(self.cut) and among(self.cut, source, to)

    def sever(self, links: tuple[tuple[str, str], ...]) -> None:
        self.cut.update(links)

    def mend(self, links: tuple[tuple[str, str], ...]) -> None:
        self.cut.subtract(links)
        self.cut = +self.cut

    def hold(self, links: tuple[tuple[str, str], ...]) -> None:
        self.held.update(links)

    def holds(self, source: str, to: str, message: Any) -> bool:
        """Does a message wait at its link, as bytes do in the kernels at both ends of it?"""
        held = bool(self.held) and among(self.held, source, to)
        if held:
            self.stuck.append((source, to, message))
        return held

    def loosen(self, links: tuple[tuple[str, str], ...]) -> list[tuple[str, str, Any]]:
        """What goes on its way now that these links are held no longer."""
        self.held.subtract(links)
        self.held = +self.held
        free = [one for one in self.stuck if not among(self.held, *one[:2])]
        self.stuck = [one for one in self.stuck if among(self.held, *one[:2])]
        return free

    def leaves(self, net: Net, source: str, now: float, size: int) -> float:
        """When the first byte of a message leaves its sender."""
        return occupy(self.sending, net, source, now, size)

    def enters(self, net: Net, to: str, now: float, size: int) -> float:
        """When the last byte has come in, the first being at the receiver's NIC now."""
        return occupy(self.receiving, net, to, now, size) + size / rate(net, to)


def among(links: Counter[tuple[str, str]], source: str, to: str) -> bool:
    return any(links[link] > 0 for link in ((source, to), (source, "*"), ("*", to)))


def occupy(busy: dict[str, float], net: Net, name: str, now: float, size: int) -> float:
    """Queue for a NIC; the time at which it begins with this message."""
    begin = max(now, busy.get(name, 0.0))
    busy[name] = begin + size / rate(net, name)
    return begin


def rate(net: Net, name: str) -> float:
    return net.bandwidths.get(name, net.bandwidth)


def size_of(message: Any) -> int:
    """Bytes of a message: its arrays, and a little for all else.

    >>> size_of(("a", np.zeros(100)))
    872
    """
    return HEADER + content(message)


def content(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, dict):
        return sum(8 + content(inner) for inner in value.values())
    if isinstance(value, tuple | list | frozenset):
        return sum(content(inner) for inner in value)
    return 8

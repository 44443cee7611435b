"""Small runs for the tests of the roles: settings, and a store that remembers what it applied."""

import numpy as np

from widemargin.ps import messages as m
from widemargin.ps.ledger import Ledger
from widemargin.ps.policy import Sync
from widemargin.ps.settings import Settings


class Sum:
    """A store whose parameters are the sum of all updates; it keeps their order."""

    def __init__(self, total=0.0, order=()):
        self.total, self.order = total, list(order)

    def read(self, keys=None):
        return np.array([self.total])

    def check(self, update):
        pass

    def apply(self, updates):
        self.order += updates
        self.total += sum(updates)

    def arrays(self):
        return {"total": self.total, "order": tuple(self.order)}


def restore(arrays):
    return Sum(arrays["total"], arrays["order"])


def settings(policy=None, groups=(("shard-0.0",),), **changes):
    plain = {"n_blocks": 4, "epochs": 1, "shuffle": False, "deadline_s": 10.0, "retry_s": 1.0}
    return Settings(policy=Sync() if policy is None else policy, groups=groups, **(plain | changes))


def first_snapshot(settings):
    """The manifest that a run begins with."""
    ledger = Ledger(settings.n_blocks, settings.epochs, settings.seed, settings.shuffle)
    return {"key": "0-0", "stamp": [0, 0], "ledger": ledger.record()}


def of_kind(sends, kind):
    """The messages of a kind, in order."""
    return [send.message for send in sends if isinstance(send.message, kind)]


def to(sends, name):
    return [send.message for send in sends if send.to == name]


def entry(version, *leases, term=1, epoch=0):
    """A commit of the leases with these numbers, on the blocks of the same numbers."""
    parts = tuple(((term, n), m.Block(epoch, n)) for n in leases)
    return m.Entry(version, term, parts)

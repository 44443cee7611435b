"""Local steps for nets: workers take several by themselves between pushes.

>>> from widemargin.nets import Downpour, LocalSGD
>>> diloco = LocalSGD(sync_every=100)
>>> streaming = LocalSGD(sync_every=100, fragments=4)
>>> overlapping = LocalSGD(sync_every=100, fragments=4, overlap=True)
>>> downpour = Downpour(push_every=5, pull_every=10)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from widemargin.errors import whole_number
from widemargin.nets.job import NetJob
from widemargin.nets.optimizers import SGD, rule_of
from widemargin.ps.local import Rounds
from widemargin.ps.optimizers import Momentum, Nesterov, Sgd
from widemargin.ps.parameters import Rule
from widemargin.ps.rounds import Cadence
from widemargin.schedules import Constant


class LocalSGD(NamedTuple):
    """Each worker takes `sync_every` steps with the trainer's optimizer; the servers step after.

    Of the workers' Δ = θ_pulled − θ_local the servers take the mean for a gradient, with the
    optimizer `outer`. The default is DiLoCo's (Douillard et al., 2023); `SGD(lr=1.0)` averages
    the workers' parameters. With `fragments` P each P-th part of the parameters is pushed and
    pulled every `sync_every` steps, one part every sync_every / P (Streaming DiLoCo, Douillard et
    al., 2025): the same bytes, but never more than 1 / P of them at a time. That needs
    `Sync` and a number of servers that P divides.

    With `overlap` a worker takes its next steps while those before are pushed and committed, and
    merges what it pulls sync_every / P steps later: `mix` stays of its own parameters, the rest is
    the servers' with its steps since (the formula is in `widemargin.ps.local`). A round then takes
    the longer of its steps and its communication, not both. That needs `Sync`, and a worker's
    parameters and inner state once more in memory; of one worker that averages it changes nothing.

    The default of `outer`, rate 0.7 and momentum 0.9, is tuned for hundreds of rounds: 0.9 makes a
    step ten times as long in the end, and it takes some ten rounds to get there and to settle
    again. With only 20 rounds a character model ended 17 % above sync with it, and 1.0 % above with
    `SGD(lr=0.9, momentum=0.3, nesterov=True)`. Where epochs · batches / (workers · sync_every) is
    below 100, begin with the latter.

    The state of the trainer's optimizer is each worker's own, kept from round to round, and begun
    anew when the worker, or all that it knew of the run, was lost.
    """

    sync_every: int = 100
    outer: Any = SGD(lr=0.7, momentum=0.9, nesterov=True)
    fragments: int = 1
    overlap: bool = False
    mix: float = 0.5


class Downpour(NamedTuple):
    """A worker pushes the sum of its gradients every `push_every` steps, and pulls every
    `pull_every`; between, it takes plain steps of its own with the rate `lr`.

    `pull_every` is a multiple of `push_every`; a larger one needs `Async()` or `RoundRobin()`. `lr`
    None is the rate of the trainer's optimizer, which then must be SGD. Dean et al., Large scale
    distributed deep networks, 2012, algorithm 1.1 of the appendix.
    """

    push_every: int = 1
    pull_every: int = 1
    lr: float | None = None


class RoundsPlan(NamedTuple):
    """How a job of batches becomes one of rounds."""

    inner: Rule
    outer: Rule
    steps: int
    cadence: Cadence
    accrued: bool

    def of(self, job: NetJob) -> Rounds:
        return Rounds(job, self.inner, self.outer, self.steps, self.cadence, self.accrued)


def plan_of(local: Any, optimizer: Any, average: float | None) -> RoundsPlan:
    """The rounds of a trainer; ValueError for numbers that do not go together."""
    match local:
        case LocalSGD(sync_every, outer, fragments, overlap, mix):
            whole_number("sync_every", sync_every, 1)
            whole_number("fragments", fragments, 1)
            refuse_mix(mix)
            if sync_every % fragments:
                raise ValueError(
                    f"fragments={fragments} must divide sync_every={sync_every}: one fragment is "
                    "pushed every sync_every / fragments steps. Change one of them."
                )
            steps, cadence = sync_every // fragments, Cadence(fragments)
            if overlap:
                cadence = cadence._replace(mix=float(mix))
            return RoundsPlan(rule_of(optimizer), rule_of(outer, average), steps, cadence, False)
        case Downpour(push_every, pull_every, lr):
            whole_number("push_every", push_every, 1)
            whole_number("pull_every", pull_every, 1)
            if pull_every % push_every:
                raise ValueError(
                    f"pull_every must be a multiple of push_every={push_every}, got {pull_every}: "
                    "a worker pulls after a push. Change one of them."
                )
            rule = rule_of(optimizer, average)
            cadence = Cadence(pull_every=pull_every // push_every)
            return RoundsPlan(own_steps(rule, lr), rule, push_every, cadence, True)
    raise TypeError(f"local={local!r} is none. Give LocalSGD(...), Downpour(...), or None.")


def own_steps(rule: Rule, lr: float | None) -> Rule:
    """The plain steps that a worker of Downpour takes between pulls."""
    if lr is not None:
        if not 0.0 < lr < float("inf"):
            raise ValueError(f"lr must be above 0 and finite, got {lr!r}. Give a learning rate.")
        return Rule(Sgd(), Constant(lr))
    if not isinstance(rule.optimizer, Sgd | Momentum | Nesterov):
        raise ValueError(
            f"lr is needed with {type(rule.optimizer).__name__}: its rate on the servers is none "
            "for the plain steps of a worker. Give Downpour(..., lr=...)."
        )
    shrinking = rule.optimizer.weight_decay if isinstance(rule.optimizer, Sgd) else 0.0
    return Rule(Sgd(shrinking), rule.schedule, rule.lam)


def refuse_mix(mix: Any) -> None:
    if isinstance(mix, bool) or not isinstance(mix, int | float) or not 0.0 <= mix < 1.0:
        raise ValueError(
            f"mix must be at least 0 and below 1, got {mix!r}: it is what stays of a worker's own "
            "parameters, and with 1 it would never take the servers'. Give 0.5."
        )

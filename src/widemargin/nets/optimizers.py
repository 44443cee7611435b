"""Optimizers under torch's names and arguments, as rules that the servers follow.

>>> from widemargin.nets import optimizers
>>> rule_of(optimizers.SGD(lr=0.1, momentum=0.9)).optimizer
Momentum(momentum=0.9, weight_decay=0.0)

The rate of step t is lr γₜ. Schedules by name: "constant" γₜ = 1; "inverse" γₜ = 1 / (1 + d t);
"inverse_root" γₜ = (t + 1)^−½; any of `widemargin.schedules` may be given instead and takes the
place of lr. The server steps all parameters alike: a parameter that a loss does not reach has the
gradient 0, where torch would leave it alone. Groups of parameters with numbers of their own do not
exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from widemargin.errors import choose
from widemargin.ps import optimizers as ps
from widemargin.ps.parameters import Rule
from widemargin.ps.rules import refuse_rule
from widemargin.schedules import RATES, Constant, InvScaling, Optimal, Schedule


class SGD(NamedTuple):
    """`torch.optim.SGD`: plain, with momentum, or with Nesterov's."""

    lr: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    schedule: str | Schedule = "constant"
    decay: float = 0.0  # d of the schedule "inverse"


class Adagrad(NamedTuple):
    """`torch.optim.Adagrad`; its lr_decay is the schedule "inverse"."""

    lr: float = 1e-2
    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10


class Adam(NamedTuple):
    """`torch.optim.Adam`."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    schedule: str | Schedule = "constant"
    decay: float = 0.0


class AdamW(NamedTuple):
    """`torch.optim.AdamW`: the weight decay acts on the weights, not on the gradient."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 1e-2
    schedule: str | Schedule = "constant"
    decay: float = 0.0


Optimizer: TypeAlias = SGD | Adagrad | Adam | AdamW
SCHEDULES: dict[str, Callable[[float, float], Schedule]] = {
    "constant": lambda lr, decay: Constant(lr),
    "inverse": lambda lr, decay: Optimal(lr, decay / lr),
    "inverse_root": lambda lr, decay: InvScaling(lr, 0.5),
}


def rule_of(optimizer: Any, average: float | None = None) -> Rule:
    """The server's rule for an optimizer of this file; a `Rule` is taken as it is.

    `average` is the decay α of θ̄ ← α θ̄ + (1 − α) θ.
    """
    if isinstance(optimizer, Rule):
        rule = optimizer if average is None else optimizer._replace(decay=average)
    else:
        rule = Rule(_kind(optimizer), _schedule(optimizer), decay=average)
    refuse_rule(rule)
    return rule


def _kind(optimizer: Any) -> ps.Optimizer:
    match optimizer:
        case SGD():
            mu, decay = optimizer.momentum, optimizer.weight_decay
            if optimizer.nesterov:
                return ps.Nesterov(mu, decay)
            return ps.Momentum(mu, decay) if mu else ps.Sgd(decay)
        case Adagrad():
            first, decay = optimizer.initial_accumulator_value, optimizer.weight_decay
            return ps.Adagrad(optimizer.eps, first, decay)
        case Adam():
            return ps.Adam(*optimizer.betas, optimizer.eps, optimizer.weight_decay)
        case AdamW():
            return ps.AdamW(*optimizer.betas, optimizer.eps, optimizer.weight_decay)
    raise TypeError(
        f"optimizer={optimizer!r} is none. Give SGD, Adagrad, Adam or AdamW of "
        "widemargin.nets.optimizers, or a Rule; torch's own would live in a worker, not on the "
        "servers."
    )


def _schedule(optimizer: Optimizer) -> Schedule:
    if not optimizer.lr > 0.0:
        raise ValueError(f"lr must be above 0, got {optimizer.lr!r}. Give a learning rate.")
    if isinstance(optimizer, Adagrad):
        return SCHEDULES["inverse"](optimizer.lr, optimizer.lr_decay)
    if type(optimizer.schedule) in RATES:
        return optimizer.schedule  # type: ignore[return-value]
    make = choose("schedule", optimizer.schedule, SCHEDULES)  # type: ignore[arg-type]
    return make(optimizer.lr, optimizer.decay)

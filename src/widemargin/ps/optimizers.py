"""What a server does with a gradient: the optimizers, their numbers, their state, their step.

θ are the weights, h = g + δ θ the gradient with the weight decay δ of the optimizer, ηₜ the rate
of the schedule, t = 0, 1, … the commits applied before. All per entry, as PyTorch documents them:

Sgd        θ ← θ − ηₜ h
Momentum   m ← μ m + h,                    θ ← θ − ηₜ m
Nesterov   m ← μ m + h,                    θ ← θ − ηₜ (μ m + h)
Adagrad    q ← q + h²,                     θ ← θ − ηₜ h / (√q + ε)
Adam       m ← β₁ m + (1 − β₁) h,          q ← β₂ q + (1 − β₂) h²,
           θ ← θ − ηₜ / (1 − β₁ᵗ⁺¹) · m / (√(q / (1 − β₂ᵗ⁺¹)) + ε)
AdamW      the same with h = g, after θ ← (1 − ηₜ δ) θ

Sutskever et al., On the importance of initialization and momentum, 2013; Duchi, Hazan & Singer,
Adaptive subgradient methods, 2011; Kingma & Ba, Adam, 2015; Loshchilov & Hutter, Decoupled
weight decay regularization, 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from widemargin.data.rows import Array
from widemargin.ps.optimizer_kernels import (
    adagrad_step,
    adagrad_step_at,
    adam_step,
    momentum_step,
    sgd_step,
    sgd_step_at,
)


class Sgd(NamedTuple):
    """θ ← θ − ηₜ (g + δ θ); δ adds to the λ of the rule."""

    weight_decay: float = 0.0


class Momentum(NamedTuple):
    """m ← μ m + h, θ ← θ − ηₜ m."""

    momentum: float = 0.9
    weight_decay: float = 0.0


class Nesterov(NamedTuple):
    """m ← μ m + h, θ ← θ − ηₜ (μ m + h)."""

    momentum: float = 0.9
    weight_decay: float = 0.0


class Adagrad(NamedTuple):
    """q ← q + h², θ ← θ − ηₜ h / (√q + ε); q starts at `initial`."""

    eps: float = 1e-10
    initial: float = 0.0
    weight_decay: float = 0.0


class Adam(NamedTuple):
    """Means m of h and q of h², without the bias of their start at 0: θ ← θ − ηₜ m̂ / (√q̂ + ε)."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0


class AdamW(NamedTuple):
    """Adam of the plain gradient, after θ ← (1 − ηₜ δ) θ."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 1e-2


Optimizer: TypeAlias = Sgd | Momentum | Nesterov | Adagrad | Adam | AdamW
OPTIMIZERS: dict[str, type[Any]] = {
    "sgd": Sgd,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
}
SHARES = ("momentum", "beta1", "beta2")  # numbers in [0, 1); all others are at least 0


class Numbers(NamedTuple):
    """Of one step, for one range of keys."""

    t: int  # commits applied before
    eta: float
    scale: float  # θ = scale · v; 1 for optimizers that do not keep it so
    shrink: float  # θ ← shrink · θ first; 1 where the scale has taken it
    decay: bool  # whether the weight decay of the optimizer applies here


def slots(optimizer: Optimizer) -> dict[str, float]:
    """The names of the optimizer's state, arrays of the shape of θ, and what they start at."""
    match optimizer:
        case Sgd():
            return {}
        case Momentum() | Nesterov():
            return {"momentum": 0.0}
        case Adagrad():
            return {"squares": optimizer.initial}
    return {"mean": 0.0, "squares": 0.0}


def keeps_scale(optimizer: Optimizer) -> bool:
    """Whether θ is kept as s v: where an absent key changes by the shrink alone."""
    return isinstance(optimizer, Sgd | Adagrad)


def steps_at(optimizer: Optimizer) -> bool:
    """Whether keys without a gradient stay as they are, so that a step costs O(nonzeros)."""
    return keeps_scale(optimizer) and (isinstance(optimizer, Sgd) or not optimizer.weight_decay)


def shrinking(optimizer: Optimizer) -> float:
    """The weight decay that acts as part of λ: θ ← (1 − ηₜ δ) θ."""
    return optimizer.weight_decay if isinstance(optimizer, Sgd | AdamW) else 0.0


def refuse_optimizer(optimizer: Any) -> None:
    """ValueError for numbers out of their range, TypeError for no optimizer at all."""
    if type(optimizer) not in OPTIMIZERS.values():
        names = ", ".join(kind.__name__ for kind in OPTIMIZERS.values())
        raise TypeError(f"optimizer={optimizer!r} is none. Give one of: {names}.")
    for name, value in optimizer._asdict().items():
        top = 1.0 if name in SHARES else math.inf
        if not 0.0 <= value < top:
            raise ValueError(
                f"{name} of {type(optimizer).__name__} must be at least 0 and "
                f"{'below 1' if top == 1.0 else 'finite'}, got {value!r}. Change it."
            )


def step(optimizer: Optimizer, v: Array, state: Any, g: Array, by: Numbers) -> int:
    """One step for every entry, in place; all arrays flat. Returns how many are not finite."""
    return STEPS[type(optimizer)](optimizer, v.dtype.type, v, state, g, by)


def step_at(
    optimizer: Optimizer,
    v: Array,
    state: Any,
    at: Array,
    g: Array,
    free: int,
    by: Numbers,
    free_eta: float,
) -> int:
    """`step` for the rows `at` of v, (n, width), alone; from `free` on with `free_eta`, unscaled.

    Only for optimizers of which `steps_at` is true.
    """
    number = v.dtype.type
    rate, free_rate = number(by.eta / by.scale), number(free_eta)
    if isinstance(optimizer, Adagrad):
        eps = number(optimizer.eps)
        return adagrad_step_at(v, state[0], at, g, free, rate, free_rate, eps)
    return sgd_step_at(v, at, g, free, rate, free_rate)


def _sgd(optimizer: Sgd, number: Any, v: Array, state: Any, g: Array, by: Numbers) -> int:
    return sgd_step(v, g, number(by.eta / by.scale))


def _momentum(optimizer: Momentum, number: Any, v: Array, state: Any, g: Array, by: Numbers) -> int:
    mu, decay = optimizer.momentum, optimizer.weight_decay * by.decay
    ahead, own = (mu, 1.0) if isinstance(optimizer, Nesterov) else (1.0, 0.0)
    numbers = np.array((by.eta, by.shrink, decay, mu, ahead, own), v.dtype)
    return momentum_step(v, state[0], g, numbers)


def _adagrad(optimizer: Adagrad, number: Any, v: Array, state: Any, g: Array, by: Numbers) -> int:
    decay = optimizer.weight_decay * by.decay * by.scale
    rate, eps = by.eta / by.scale, optimizer.eps
    return adagrad_step(v, state[0], g, number(rate), number(decay), number(eps))


def _adam(optimizer: Adam | AdamW, number: Any, v: Array, state: Any, g: Array, by: Numbers) -> int:
    b1, b2, eps, decay = optimizer
    coupled = decay * by.decay if isinstance(optimizer, Adam) else 0.0
    rate = by.eta / (1.0 - b1 ** (by.t + 1))
    root = math.sqrt(1.0 - b2 ** (by.t + 1))
    numbers = (rate, by.shrink, coupled, b1, 1.0 - b1, b2, 1.0 - b2, root, eps)
    return adam_step(v, state[0], state[1], g, np.array(numbers, v.dtype))


STEPS: dict[type[Any], Callable[..., int]] = {
    Sgd: _sgd,
    Momentum: _momentum,
    Nesterov: _momentum,
    Adagrad: _adagrad,
    Adam: _adam,
    AdamW: _adam,
}

"""The parameters of one shard of a parameter server: a range of keys, its state, its average."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from widemargin.data.rows import Array
from widemargin.errors import Diverged
from widemargin.ps.average import DecayedAverage
from widemargin.ps.breath import PIECE, Breathe, copied, rest
from widemargin.ps.gradients import (
    Gradient,
    Scratch,
    Update,
    combined,
    positions,
    refuse_unruly,
    refuse_update,
    told,
)
from widemargin.ps.optimizers import (
    Numbers,
    keeps_scale,
    shrinking,
    slots,
    step,
    step_at,
    steps_at,
)
from widemargin.ps.rules import Rule, refuse_rule
from widemargin.schedules import rate
from widemargin.solvers.steps import SMALLEST_SCALE

__all__ = ["Parameters", "Rule", "Update"]
TYPES = (np.dtype(np.float32), np.dtype(np.float64))


class Parameters:
    """θ of the keys start … start + n − 1, each with a row of `width` numbers.

    Sgd and Adagrad keep θ = s v, so that a push of a few keys costs O(nonzeros) although all
    shrink. A commit does, in this order, all in the type of θ but s and the rates, which are
    float64 until they meet an entry:

        1.  gⱼ = c₁ g₁ⱼ + c₂ g₂ⱼ + … from left to right, cᵢ = nᵢ / Σ n; of one update, its own.
            Of a rule that is adding, cᵢ = min(1, σ / N)
        2.  η = ηₜ,  s ← s max(0, 1 − η λ);  if s < SMALLEST_SCALE: vⱼ ← s vⱼ for all j, s ← 1
        3.  vⱼ ← vⱼ − (η / s) gⱼ   for Sgd; free keys have their own η and s = 1
        4.  θ̄ⱼ ← α θ̄ⱼ + (1 − α) (s vⱼ)
        5.  t ← t + 1

    The other optimizers take max(0, 1 − η λ) θ into step 3 (see `optimizers`). θ is multiplied
    out nowhere else: `read` gives s v and leaves s and v alone. So the same updates in the same
    order give the same bits, whatever was read between, and however keys are cut into shards.
    With named keys, Sgd, and Adagrad without weight decay, cost O(nonzeros) a commit, also with an
    average (see `average`: then it is θ̄ to rounding). All else costs O(n), as the state of absent
    keys, whose gradient is 0, decays as well.

    >>> import numpy as np
    >>> from widemargin.ps.optimizers import Sgd
    >>> from widemargin.schedules import Constant
    >>> shard = Parameters.create(Rule(Sgd(), Constant(0.5)), np.zeros((3, 1)), start=10)
    >>> shard.apply([Update(np.array([11]), np.array([[4.0]]), n=32)])
    >>> shard.read(np.array([10, 11])).tolist(), shard.t
    ([[0.0], [-2.0]], 1)
    """

    def __init__(
        self,
        rule: Rule,
        start: int,
        arrays: Mapping[str, Array],
        empty: Callable[..., Array],
        breathe: Breathe = rest,
    ) -> None:
        """Takes the arrays as its own; `create` and `restore` are the ways in."""
        refuse_rule(rule)
        self._rule, self._start = rule, start
        self._v = arrays["theta"]
        self._state = tuple(arrays[name] for name in slots(rule.optimizer))
        self._scale, self.t = float(arrays["scale"]), int(arrays["t"])
        n = len(self._v)
        self._rows = max(PIECE // max(self._v.shape[1], 1), 1)  # of a piece
        self._free = n if rule.free_from is None else min(max(rule.free_from - start, 0), n)
        self._average = None
        if rule.decay is not None:
            u, parts = arrays["average"], arrays["average_parts"]
            self._average = DecayedAverage(rule.decay, self._free, u, parts, breathe)
        self._room, self._piece_room = Scratch(self._v), Scratch(self._v[: self._rows])
        self._empty, self._breathe = empty, breathe

    @classmethod
    def create(cls, rule: Rule, theta: Array, start: int) -> Self:
        """A shard before its first commit, at a copy of theta, (n, width); θ̄ begins there too."""
        refuse_rule(rule)
        refuse_theta(theta)
        if start < 0:
            raise ValueError(f"start must be at least 0, got {start}. Give the shard's first key.")
        return cls(rule, start, beginning(rule, np.array(theta, order="C")), np.empty)

    def read(self, keys: Array | None = None) -> Array:
        """A copy of θ, (n, width), or of its rows at sorted, unique keys."""
        at = positions(keys, self._start, len(self._v))
        if at is None:
            theta, end = self._empty(self._v.shape, self._v.dtype), self._free
            copied(self._v, self._breathe, theta)
        else:
            theta, end = self._v[at], int(np.searchsorted(at, self._free))
        if self._scale != 1.0:
            for rows in self._pieces(0, end):
                theta[rows] *= self._v.dtype.type(self._scale)
        return theta

    def read_average(self) -> Array:
        """A copy of θ̄; θ where the rule keeps no average."""
        return self.read() if self._average is None else self._average.read(self._v)

    def check(self, update: Update) -> None:
        """ValueError for keys of other shards, unsorted or repeated, a wrong shape or type, NaN
        or infinity."""
        refuse_update(update, self._start, self._v)
        refuse_unruly(update)

    def apply(self, updates: Sequence[Update]) -> None:
        """One commit; without any update, one of the gradient 0.

        The form of the updates is checked again, their values are not (see `check`). Raises
        Diverged if a weight is no longer finite; the shard is of no use then.
        """
        v = self._v
        if not updates:
            updates = [Update(np.empty(0, np.int64), np.empty((0, v.shape[1]), v.dtype), 1.0)]
        at = [refuse_update(update, self._start, self._v) for update in updates]
        sparse = steps_at(self._rule.optimizer)
        with np.errstate(over="ignore", invalid="ignore"):
            if len(updates) > 1 and all(a is None for a in at):
                bad = self._moved(lambda rows: self._combined(updates, rows))
            else:
                gradient = combined(updates, at, sparse, self._room, self._rule.adding)
                bad = self._moved(lambda rows: gradient.values[rows], gradient)
        self.t += 1
        if bad:
            raise Diverged(
                f"{bad} weights of the keys {self._start} to {self._start + len(self._v) - 1} left "
                f"the finite numbers in commit {self.t}. Lower eta0, or scale the data."
            )

    def _combined(self, updates: Sequence[Update], rows: slice) -> Array:
        """Rows of the gradient of updates that name no keys; the next call writes over them."""
        pieces = [Update(None, update.values[rows], update.n) for update in updates]
        at: list[Array | None] = [None] * len(pieces)
        return combined(pieces, at, False, self._piece_room, self._rule.adding).values

    def _pieces(self, first: int, last: int) -> Iterator[slice]:
        """Rows that are done at once; between two the role may say that it lives."""
        for a in range(first, last, self._rows):
            yield slice(a, min(a + self._rows, last))
            self._breathe()

    def _moved(self, of: Callable[[slice], Array], named: Gradient | None = None) -> int:
        """Steps 2 to 4 with the gradient `of` rows, or `named` keys; how many weights are not
        finite after it."""
        rule, free, v = self._rule, self._free, self._v
        eta = rate(rule.schedule, self.t)
        shrink = max(0.0, 1.0 - eta * (rule.lam + shrinking(rule.optimizer)))
        if keeps_scale(rule.optimizer):
            self._shrink(shrink)
            shrink = 1.0
        by = Numbers(self.t, eta, self._scale, shrink, decay=True)
        free_eta = eta * rule.free_share
        if named is not None and named.at is not None:
            return self._moved_at(named.at, named.values, by, free_eta)
        if self._average is not None:
            self._average.multiply_out(v)
        bad = 0
        freely = Numbers(self.t, free_eta, scale=1.0, shrink=1.0, decay=False)
        for first, last, numbers in [(0, free, by), (free, len(v), freely)]:
            for rows in self._pieces(first, last):
                flat, g = v[rows].reshape(-1), of(rows).reshape(-1)
                state = tuple(slot[rows].reshape(-1) for slot in self._state)
                bad += step(rule.optimizer, flat, state, g, numbers) if flat.size else 0
        if self._average is not None:
            self._average.take(v, self._scale)
        return bad

    def _moved_at(self, at: Array, g: Array, by: Numbers, free_eta: float) -> int:
        v, average = self._v, self._average
        if average is not None:
            average.leave(v, at, 1.0)
        bad = step_at(self._rule.optimizer, v, self._state, at, g, self._free, by, free_eta)
        if average is not None:
            average.leave(v, at, -1.0)
            average.take_lazily(v, self._scale)
        return bad

    def _shrink(self, shrink: float) -> None:
        self._scale *= shrink
        if self._scale < SMALLEST_SCALE:
            if self._average is not None:
                self._average.multiply_out(self._v)
            for rows in self._pieces(0, self._free):
                self._v[rows] *= self._v.dtype.type(self._scale)
            self._scale = 1.0

    def arrays(self) -> dict[str, Array]:
        """Copies of all that the future depends on: theta (v of θ = s v), scale, t, the slots of
        the optimizer, and the average where there is one."""
        whole: dict[str, Any] = {
            "theta": self._v,
            "scale": np.float64(self._scale),
            "t": np.int64(self.t),
        }
        whole |= dict(zip(slots(self._rule.optimizer), self._state, strict=True))
        whole |= {} if self._average is None else self._average.arrays()
        return {name: copied(array, self._breathe) for name, array in whole.items()}

    @classmethod
    def restore(
        cls,
        rule: Rule,
        arrays: Mapping[str, Any],
        start: int,
        empty: Callable[..., Array] = np.empty,
        breathe: Breathe = rest,
    ) -> Self:
        """The shard that `arrays` told, bit for bit: its future is the same. `empty(shape, type)`
        gives the room for what `read` copies whole; `breathe` is called between the pieces of all
        that takes long, a few hundred kB each."""
        refuse_rule(rule)
        expected = {"theta", "scale", "t", *slots(rule.optimizer)}
        expected |= set() if rule.decay is None else {"average", "average_parts"}
        if set(arrays) != expected:
            raise ValueError(
                f"arrays must be {sorted(expected)} for {rule.optimizer}, got {sorted(arrays)}. "
                "Restore with the rule that they were written under."
            )
        theta = arrays["theta"]
        for name in expected - {"scale", "t", "average_parts"}:
            array = arrays[name]
            if (array.dtype, array.shape) != (theta.dtype, theta.shape) or array.dtype not in TYPES:
                raise ValueError(
                    f"{name} must be {theta.dtype} of shape {theta.shape}, as theta is, got "
                    f"{array.dtype} of shape {array.shape}. Restore what `arrays` gave."
                )
        copies = {name: copied(array, breathe) for name, array in arrays.items()}
        return cls(rule, start, copies, empty, breathe)


def refuse_theta(theta: Any) -> None:
    """ValueError where parameters cannot begin."""
    if not isinstance(theta, np.ndarray) or theta.ndim != 2 or theta.dtype not in TYPES:
        raise ValueError(
            "theta must be float32 or float64 of 2 axes, (keys, width), got "
            f"{told(theta)}. Convert it."
        )
    if not np.isfinite(theta).all():
        raise ValueError("theta must be finite, found NaN or infinity. Start elsewhere.")


def beginning(rule: Rule, theta: Array) -> dict[str, Any]:
    """The arrays of a shard before its first commit, theta among them, not copied."""
    arrays: dict[str, Any] = {"theta": theta, "scale": np.float64(1.0), "t": np.int64(0)}
    for name, first in slots(rule.optimizer).items():
        like = theta.shape, theta.dtype
        arrays[name] = np.full(like[0], first, like[1]) if first else np.zeros(*like)
    if rule.decay is not None:
        arrays |= {"average": theta.copy(), "average_parts": np.array([1.0, 0.0, 0.0])}
    return arrays


def theta_of(rule: Rule, arrays: Mapping[str, Array], start: int) -> Array:
    """θ̄ of these keys, θ where the rule keeps no average; no slots of the optimizer are needed."""
    slotless = dict.fromkeys(slots(rule.optimizer), arrays["theta"])  # nothing is stepped
    return Parameters(rule, start, {**slotless, **arrays}, np.empty).read_average()

"""Jobs of rounds for the simulator: DiLoCo, streaming DiLoCo, local SGD and Downpour, small."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from widemargin.ps.local import Rounds
from widemargin.ps.optimizers import AdamW, Momentum, Nesterov, Sgd
from widemargin.ps.parameters import Rule
from widemargin.ps.policy import Async, Policy, RoundRobin, Sync
from widemargin.ps.rounds import Cadence
from widemargin.ps.simulate_job import Problem
from widemargin.schedules import Constant, InvScaling

if TYPE_CHECKING:
    from widemargin.ps.simulate_trial import Plan

INNER = (
    Rule(Sgd(), InvScaling(0.02, 0.25), lam=1e-3),
    Rule(Momentum(0.5), Constant(0.01)),
    Rule(AdamW(), Constant(0.01)),
)
OUTER = (
    Rule(Sgd(), Constant(1.0)),
    Rule(Sgd(), Constant(0.7), decay=0.9),
    Rule(Nesterov(0.5), Constant(0.5)),
)


def rounds(plan: Plan, rng: random.Random, problem: Problem, policy: Policy) -> Rounds:
    """As many rounds as the problem has blocks, of `plan.local` batches each.

    Under sync of fragments, where the servers can be divided; async and in turn also Downpour,
    which goes up to three rounds without a pull where staleness has no bound.
    """
    assert plan.local is not None
    most = problem.n_blocks * plan.local - rng.randrange(plan.local)
    batches = problem._replace(n_blocks=min(problem.n, most), sparse=False)
    if isinstance(policy, Sync):
        divisors = [p for p in range(1, plan.servers + 1) if plan.servers % p == 0]
        cadence = Cadence(fragments=plan.fragments or rng.choice(divisors))
        if plan.overlap:
            cadence = cadence._replace(mix=rng.choice([0.0, 0.5, 0.9]))
    elif rng.random() < 0.5:
        far = isinstance(policy, RoundRobin) or policy.max_staleness is None
        cadence = Cadence(pull_every=rng.choice([1, 2, 3]) if far else 1)
        rule = Rule(Sgd(), Constant(0.02 / plan.local))
        return Rounds(batches, rule, rule, plan.local, cadence, accrued=True)
    else:
        cadence = Cadence()
    outer = rng.choice(OUTER)
    if isinstance(policy, Async | RoundRobin):  # momentum of late updates adds to that of many
        outer = rng.choice(OUTER[:2])
    return Rounds(batches, rng.choice(INNER), outer, plan.local, cadence)

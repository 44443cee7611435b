"""SGDClassifier on an engine: its samples go into a packed store that the workers read."""

from __future__ import annotations

import time
from typing import Any

from widemargin.data.samples import Samples
from widemargin.estimators.online import (
    Plan,
    Split,
    certify_fit,
    dtype_of,
    generator,
    make_loss,
    make_objective,
    make_penalty,
    publish,
)
from widemargin.estimators.online_data import ALL_OF_Y, checked_samples
from widemargin.run.shared_fit import Learned, averaging, follow, job_of
from widemargin.schedules import Schedule
from widemargin.solvers.steps import State
from widemargin.threads import threads_of

EPOCHS = 20  # at most, unless tol=None


def refuse_with_engine(est: Any, coef_init: Any, intercept_init: Any) -> None:
    """Refuse what an engine does not take, before any work."""
    for name, wrong in (
        ("penalty", est.penalty not in ("l2", None)),
        ("learning_rate", est.learning_rate == "adaptive"),
        ("early_stopping", est.early_stopping),
        ("warm_start", est.warm_start),
        ("scheme", est.scheme is not None),
        ("probability", est.probability),
    ):
        if wrong:
            raise ValueError(
                f"{name}={getattr(est, name)!r} does not go with engine={est.engine!r}, which "
                "takes steps of penalty 'l2' or None at a rate set beforehand, from zero, on "
                f"processes of its own. Change {name}, or leave engine=None."
            )
    if coef_init is not None or intercept_init is not None:
        raise ValueError(
            "coef_init and intercept_init do not go with an engine, whose weights start at zero. "
            "Leave them out, or leave engine=None."
        )


def fit_on_engine(est: Any, schedule_of: Any, X: Any, y: Any, sample_weight: Any) -> Any:
    """The body of `fit` with an engine; schedule_of(est, eta0) gives the schedule."""
    from widemargin.data.store_of_samples import kept_store

    if hasattr(est, "classes_"):
        del est.classes_
    samples = checked_samples(est, X, y, ALL_OF_Y, sample_weight)
    rng = generator(est)
    seed, shuffle_seed = (int(rng.integers(2**31)) for _ in range(2))
    began = time.perf_counter()
    folder = getattr(est.engine, "snapshot_to", None)
    with kept_store(samples, folder, shuffle_seed if est.shuffle else None) as kept:
        learned = learn_on_engine(est, schedule_of, samples, kept, seed)
    est.history_ = learned.history
    est.n_iter_ = len(learned.history)
    publish(est, State(learned.W, learned.b, learned.version, learned.b), dtype_of(samples))
    objective = objective_of(est, len(samples.codes))
    plan = Plan(objective, None, None, threads=threads_of(est.n_jobs))
    certify_fit(est, plan, samples, Split(None, None))
    if est.verbose:
        print(f"{est.n_iter_} epochs on the engine: {time.perf_counter() - began:.3f} s")
    return est


def objective_of(est: Any, n: int) -> Any:
    penalty = make_penalty(est.penalty, est.alpha, est.l1_ratio)
    return make_objective(
        make_loss(est.loss, est.epsilon), penalty, est.alpha, n, est.fit_intercept
    )


def learn_on_engine(est: Any, schedule_of: Any, samples: Samples, kept: Any, seed: int) -> Learned:
    """The run, and eta0_."""
    objective = objective_of(est, len(samples.codes))
    found = est.learning_rate == "optimal"
    schedule: Schedule | None = None if found else schedule_of(est, est.eta0)
    K = samples.factor.shape[1]
    job = job_of(
        kept.store,
        objective.loss,
        float(est.alpha),
        schedule=schedule,
        class_weight=samples.factor[:, 0] if K == 1 else samples.factor[1],
        weights=kept.weights,
        fit_intercept=est.fit_intercept,
        block_size=None if est.batch_size == 1 else int(est.batch_size),
        penalty=objective.penalty,
        seed=seed,
    )
    est.eta0_ = float(job.schedule.eta0)
    epochs = est.max_iter if est.tol is None else min(est.max_iter, EPOCHS)
    if est.average:
        job = averaging(job, epochs, est.engine)
    return follow(est.engine, job, epochs, seed=seed, shuffle=est.shuffle)

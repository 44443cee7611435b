"""LinearSVC on an engine: its samples go into a packed store that the workers read."""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin.data.samples import Samples
from widemargin.objective import Objective
from widemargin.run.fit import Fitted, Progress
from widemargin.threads import crew_of, threads_of


def refuse_with_engine(est: Any) -> None:
    """Refuse what an engine does not take, before any work."""
    for name, wrong in (
        ("penalty", est.penalty != "l2"),
        ("multi_class", est.multi_class != "ovr"),
        ("probability", est.probability),
    ):
        if wrong:
            raise ValueError(
                f"{name}={getattr(est, name)!r} does not go with engine={est.engine!r}, whose "
                "workers climb the dual of penalty 'l2', one class against all. Change it, or "
                "leave engine=None."
            )


def solve_on_engine(
    est: Any,
    objective: Objective,
    samples: Samples,
    rng: np.random.Generator,
    progress: Progress | None,
) -> Fitted:
    """The weights and their certificate, which is of the samples as the workers see them."""
    from widemargin.data.store_of_samples import kept_store
    from widemargin.run.shared_dual_fit import dual_job, fit_dual_on, in_memory
    from widemargin.run.shared_linear import stored

    seed, shuffle = (int(rng.integers(2**31)) for _ in range(2))
    classes = samples.factor[:, 0] if samples.factor.shape[1] == 1 else samples.factor[1]
    folder = getattr(est.engine, "snapshot_to", None)
    with (
        kept_store(samples, folder, shuffle) as kept,
        crew_of(threads_of(est.n_jobs)) as crew,
    ):
        job = dual_job(
            kept.store,
            objective,
            est.engine,
            weights=kept.weights,
            class_weight=classes,
            seed=seed,
        )
        prove = in_memory(objective, stored(job), float(est.tol), crew)
        fitted, _commits = fit_dual_on(
            est.engine,
            job,
            prove,
            tol=float(est.tol),
            max_epochs=max(int(est.max_iter), 1),
            seed=seed,
            progress=progress,
        )
    return fitted

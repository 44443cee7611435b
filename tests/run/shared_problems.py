"""Small stores for linear models on the parameter server, and their optimum."""

from functools import cache
from pathlib import Path

import numpy as np

from widemargin.data.rows import Sparse
from widemargin.data.samples import make_samples
from widemargin.data.store_of_samples import write
from widemargin.losses import Hinge
from widemargin.objective import Objective
from widemargin.run.fit import fit_dual
from widemargin.run.shared_linear import LinearJob
from widemargin.schedules import Optimal

N, D, LAM = 3000, 500, 1e-2


@cache
def samples(classes=2, dtype="float32", weighted=False):
    """Sparse rows of unit norm, frequent and rare features, some labels wrong."""
    rng = np.random.default_rng(7)
    lengths = rng.integers(1, 40, N)
    share = 1.0 / np.arange(5, D + 5)
    rows = [np.sort(rng.choice(D, n, False, share / share.sum())) for n in lengths]
    values = [rng.random(n) + 0.1 for n in lengths]
    values = np.concatenate([v / np.linalg.norm(v) for v in values]).astype(dtype)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    indices = np.concatenate(rows).astype(np.uint32)
    truth = rng.normal(size=(D, classes))
    scores = np.stack(
        [v @ truth[j] for v, j in zip(np.split(values, indptr[1:-1]), rows, strict=True)]
    )
    codes = scores.argmax(axis=1)
    wrong = rng.random(N) < 0.05
    codes[wrong] = rng.integers(classes, size=int(wrong.sum()))
    weight = rng.random(N) + 0.5 if weighted else None
    return make_samples(Sparse(values, indices, indptr, D), codes, classes, weight)


def job(folder, some, **changes):
    """A job on a store of the samples, in their order."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    kept = write(some, folder, None)
    K = some.factor.shape[1]
    first = LinearJob(
        kept.store,
        len(some.codes),
        D,
        2 if K == 1 else K,
        kept.weights,
        lam=LAM,
        schedule=Optimal(16.0, LAM),
        intercept_share=0.01,
        block_size=64,
        dtype=str(some.rows.values.dtype),
    )
    return first._replace(**changes)


@cache
def optimum():
    """Of the hinge loss on two classes: a lower bound within 1e-5 of it, and the objective."""
    objective = Objective(Hinge(), 1.0 / (LAM * N))
    rng = np.random.default_rng(0)
    fitted = fit_dual(objective, samples(), tol=1e-5, max_epochs=2000, rng=rng)
    assert fitted.solved
    return fitted.certificate.dual, objective

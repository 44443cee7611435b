"""What chaos.py trains: a linear model and a net, and their loss at given parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Trained(NamedTuple):
    """A job, how many samples a block has, and the loss over all samples by parameters, (n, 1)."""

    job: Any
    size: int
    loss: Callable[[Any], float]


def linear() -> Trained:
    """Hinge on the RCV1-shaped corpus, 4,096 rows a block; the objective."""
    from harness import shared
    from harness.datasets import objective_of
    from widemargin.data.samples import make_samples
    from widemargin.data.store import open_store
    from widemargin.run.evaluation import evaluate
    from widemargin.run.shared_fit import weights_of

    problem, job = shared.job_for({"data": "rcv1_like", "rows": 200_000})
    store = open_store(job.store)
    samples = make_samples(store.rows, store.codes, len(store.label_names))

    def loss(theta: Any) -> float:
        return float(
            evaluate(objective_of(problem), samples, *weights_of(job, theta)).certificate.primal
        )

    return Trained(job, job.block_size, loss)


def net() -> Trained:
    """A net of about 5 million parameters on noise with the labels of a drawn linear rule."""
    import torch

    import nets
    from widemargin.nets import optimizers
    from widemargin.nets.evaluation import evaluated
    from widemargin.nets.flat import Flat
    from widemargin.nets.job import NetJob, built
    from widemargin.nets.samples import source_of

    x, _ = nets.noise(256 * 64).tensors
    rule = torch.randn(784, 10, generator=torch.Generator().manual_seed(1))
    source = source_of(torch.utils.data.TensorDataset(x, (x @ rule).argmax(dim=1)), 256)
    step = optimizers.rule_of(optimizers.SGD(0.002, momentum=0.9), None)
    job = NetJob.create(nets.wide, nets.cross_entropy, source, step)

    def loss(theta: Any) -> float:
        flat = Flat(built(job.build, job.seed))
        flat.write([theta])
        return float(evaluated(flat.module, source, nets.cross_entropy, {})["loss"])

    return Trained(job, 256, loss)


JOBS: dict[str, Callable[[], Trained]] = {"linear": linear, "net": net}

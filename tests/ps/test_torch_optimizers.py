"""The server's optimizers equal PyTorch's own, to the rounding of float32."""

import numpy as np
import pytest

from shared import needs
from widemargin.ps.optimizers import Adagrad, Adam, AdamW, Momentum, Nesterov, Sgd
from widemargin.ps.parameters import Parameters, Rule, Update
from widemargin.schedules import InvScaling, rate

needs("torch")

PAIRS = [  # ours, the name in torch.optim, its arguments
    (Sgd(), "SGD", {}),
    (Sgd(0.02), "SGD", {"weight_decay": 0.02}),
    (Momentum(0.9), "SGD", {"momentum": 0.9}),
    (Momentum(0.7, 0.05), "SGD", {"momentum": 0.7, "weight_decay": 0.05}),
    (Nesterov(0.9), "SGD", {"momentum": 0.9, "nesterov": True}),
    (Nesterov(0.7, 0.05), "SGD", {"momentum": 0.7, "weight_decay": 0.05, "nesterov": True}),
    (Adagrad(), "Adagrad", {}),
    (
        Adagrad(1e-6, 0.1, 0.05),
        "Adagrad",
        {"eps": 1e-6, "initial_accumulator_value": 0.1, "weight_decay": 0.05},
    ),
    (Adam(), "Adam", {}),
    (
        Adam(0.8, 0.95, 1e-6, 0.05),
        "Adam",
        {"betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.05},
    ),
    (AdamW(), "AdamW", {}),
    (
        AdamW(0.8, 0.95, 1e-6, 0.1),
        "AdamW",
        {"betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1},
    ),
]


@pytest.mark.parametrize("dtype, close", [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("ours, name, arguments", PAIRS, ids=lambda value: str(value))
def test_an_optimizer_is_that_of_torch(ours, name, arguments, dtype, close):
    import torch

    rng, schedule = np.random.default_rng(0), InvScaling(0.05, 0.3)
    theta = rng.normal(size=(50, 4)).astype(dtype)
    parameter = torch.nn.Parameter(torch.from_numpy(theta.copy()))
    theirs = getattr(torch.optim, name)([parameter], lr=1.0, **arguments)
    shard = Parameters.create(Rule(ours, schedule), theta, 0)
    for t in range(80):
        g = (rng.normal(size=theta.shape) * rng.choice([0.01, 1.0, 30.0])).astype(dtype)
        theirs.param_groups[0]["lr"] = rate(schedule, t)
        parameter.grad = torch.from_numpy(g)
        theirs.step()
        shard.apply([Update(None, g, 32.0)])
        expected = parameter.detach().numpy()
        np.testing.assert_allclose(shard.read(), expected, rtol=close, atol=close)
    assert np.abs(shard.read() - theta).max() > 0.1

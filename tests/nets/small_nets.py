"""Small nets, small data, and torch's own way to train them."""

from shared import needs

needs("torch")

import numpy as np
import torch

from widemargin.nets.job import built, seed_of, seeded
from widemargin.nets.samples import order_of, read, samples_of, source_of
from widemargin.ps.messages import Block

N, BATCH = 90, 16  # six blocks, the last of ten samples
cross_entropy = torch.nn.functional.cross_entropy


def perceptrons():
    return torch.nn.Sequential(
        torch.nn.Linear(6, 12), torch.nn.Tanh(), torch.nn.Dropout(0.2), torch.nn.Linear(12, 3)
    )


def normed():
    return torch.nn.Sequential(
        torch.nn.Linear(6, 12), torch.nn.BatchNorm1d(12), torch.nn.ReLU(), torch.nn.Linear(12, 3)
    )


class Tied(torch.nn.Module):
    """A weight used twice, and one that is not trained."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 6)
        self.second = torch.nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.frozen = torch.nn.Linear(6, 6)
        for parameter in self.frozen.parameters():
            parameter.requires_grad = False
        self.last = torch.nn.Linear(6, 3)

    def forward(self, x):
        return self.last(self.frozen(torch.tanh(self.second(torch.tanh(self.first(x))))))


def classes(n=N, seed=0):
    """Points and which of three random directions is nearest."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 6, generator=generator)
    y = (x @ torch.randn(6, 3, generator=torch.Generator().manual_seed(9))).argmax(dim=1)
    return torch.utils.data.TensorDataset(x, y)


def flat(module):
    """The trained parameters of a module as one vector."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return np.concatenate([p.detach().numpy().reshape(-1) for p in parameters])


def gradients(module, dataset, block, seed):
    """The gradients of a block's mean loss, and its number of samples."""
    source = source_of(dataset, BATCH)
    x, y = read(source, samples_of(source, order_of(source, seed, block.epoch), block.number))
    parameters = [p for p in module.parameters() if p.requires_grad]
    with seeded(seed_of(seed, block)):
        loss = cross_entropy(module(x), y)
    return torch.autograd.grad(loss, parameters), len(y)


def torch_loop(build, dataset, make_optimizer, commits, seed=0):
    """torch's own optimizer on the mean of the gradients of each commit's blocks."""
    module = built(build, seed).train()
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = make_optimizer(parameters)
    for blocks in commits:
        found = [gradients(module, dataset, block, seed) for block in blocks]
        total = sum(n for _, n in found)
        for k, parameter in enumerate(parameters):
            parameter.grad = sum(g[k] * (n / total) for g, n in found)
        optimizer.step()
    return flat(module)


def one_by_one(epochs, n_blocks=6):
    """The commits of one worker."""
    return [[Block(epoch, number)] for epoch in range(epochs) for number in range(n_blocks)]


def commits_of(events):
    """The blocks of each commit."""
    return [[block for _, block in e.what["parts"]] for e in events if e.kind == "commit"]

"""Nets that are cut into partitions; functions of a module, so that other processes find them."""

import small_nets  # noqa: F401  skips where torch is not installed
import torch

N, BATCH, MICRO = 44, 12, 5  # four blocks of 12, 12, 12 and 8; micro-batches of 5, 5, 2 and 5, 3


def deep():
    """Five layers, one of them random."""
    return torch.nn.Sequential(
        torch.nn.Linear(6, 16),
        torch.nn.Tanh(),
        torch.nn.Dropout(0.3),
        torch.nn.Linear(16, 12),
        torch.nn.LayerNorm(12),
        torch.nn.Linear(12, 3),
    )


def wide():
    """A pair of layers that is sliced, between two that are not."""
    return torch.nn.Sequential(
        torch.nn.Linear(6, 8),
        torch.nn.Linear(8, 24),
        torch.nn.Tanh(),
        torch.nn.Linear(24, 8),
        torch.nn.Dropout(0.3),
        torch.nn.Linear(8, 3),
    )


class Two(torch.nn.Module):
    """Gives two tensors, one of which takes no gradient."""

    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(6, 6)

    def forward(self, x):
        return torch.tanh(self.line(x)), x.argmax(dim=1)


class Picked(torch.nn.Module):
    """Takes two tensors."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(6, 6)
        self.frozen = torch.nn.Linear(6, 6)
        self.frozen.requires_grad_(False)

    def forward(self, x, kinds):
        return self.frozen(x + self.table(kinds))


class Branched(torch.nn.Module):
    """No Sequential; two of its modules share a weight."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(6, 3)
        self.two, self.picked = Two(), Picked()
        self.first, self.second = torch.nn.Linear(6, 6), torch.nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.head(self.second(torch.tanh(self.first(self.picked(*self.two(x))))))


def branches(module):
    return [module.two, module.picked, module.first, torch.nn.Tanh(), module.second, module.head]


class Fails(torch.nn.Module):
    """Cannot take large numbers."""

    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(6, 6)

    def forward(self, x):
        if float(x.detach().abs().max()) > 1e3:
            raise KeyError("too large")
        return self.line(x)


def failing():
    return [torch.nn.Linear(6, 6), Fails(), torch.nn.Linear(6, 3)]


def points(n=N, large=()):
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(0))
    y = (x @ torch.randn(6, 3, generator=torch.Generator().manual_seed(9))).argmax(dim=1)
    for i in large:
        x[i] = 1e6
    return torch.utils.data.TensorDataset(x, y)

"""The optimizers in plain NumPy, written from the formulas that PyTorch documents for its own."""

import numpy as np

from widemargin.ps.optimizers import Adagrad, Adam, AdamW, Momentum, Nesterov, Sgd

OPTIMIZERS = [
    Sgd(),
    Sgd(weight_decay=0.02),
    Momentum(0.9),
    Momentum(0.7, weight_decay=0.05),
    Nesterov(0.9),
    Nesterov(0.8, weight_decay=0.05),
    Adagrad(),
    Adagrad(eps=1e-6, initial=0.1, weight_decay=0.05),
    Adam(),
    Adam(0.8, 0.95, 1e-6, weight_decay=0.05),
    AdamW(weight_decay=0.1),
]


def walk(optimizer, theta, gradients, rate):
    """θ after each step: the gradient of step t is gradients[t], its rate is rate(t)."""
    theta, state, walked = theta.copy(), {}, []
    for t, g in enumerate(gradients):
        theta = theta + MOVES[type(optimizer)](optimizer, theta, g, rate(t), t + 1, state)
        walked.append(theta)
    return walked


def _sgd(optimizer, theta, g, lr, t, state):
    return -lr * (g + optimizer.weight_decay * theta)


def _momentum(optimizer, theta, g, lr, t, state):
    g = g + optimizer.weight_decay * theta
    state["b"] = optimizer.momentum * state["b"] + g if t > 1 else g
    return -lr * state["b"]


def _nesterov(optimizer, theta, g, lr, t, state):
    g = g + optimizer.weight_decay * theta
    state["b"] = optimizer.momentum * state["b"] + g if t > 1 else g
    return -lr * (g + optimizer.momentum * state["b"])


def _adagrad(optimizer, theta, g, lr, t, state):
    g = g + optimizer.weight_decay * theta
    state["sum"] = state.get("sum", optimizer.initial) + g * g
    return -lr * g / (np.sqrt(state["sum"]) + optimizer.eps)


def _adam(optimizer, theta, g, lr, t, state):
    b1, b2, eps, decay = optimizer
    moved = 0.0
    if isinstance(optimizer, AdamW):
        moved = -lr * decay * theta
    else:
        g = g + decay * theta
    state["m"] = b1 * state.get("m", 0.0) + (1 - b1) * g
    state["v"] = b2 * state.get("v", 0.0) + (1 - b2) * g * g
    m_hat, v_hat = state["m"] / (1 - b1**t), state["v"] / (1 - b2**t)
    return moved - lr * m_hat / (np.sqrt(v_hat) + eps)


MOVES = {
    Sgd: _sgd,
    Momentum: _momentum,
    Nesterov: _nesterov,
    Adagrad: _adagrad,
    Adam: _adam,
    AdamW: _adam,
}

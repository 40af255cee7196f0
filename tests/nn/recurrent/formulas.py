"""Recurrent layers by their formulas, in plain NumPy loops, and layers filled with random numbers."""

from typing import Any

import numpy as np

from populace.nn.recurrent.layers import GRU, LSTM, Elman, LinearRecurrence, Recurrent
from tests.nn.draws import draw, filled

KINDS = [LinearRecurrence, Elman, LSTM, GRU]


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def linear_step(cell, x, state):
    return (state[0] @ cell.W_h + x @ cell.W_u + cell.b_h,)


def elman_step(cell, x, state):
    return (np.tanh(x @ cell.W_u + cell.b_h + state[0] @ cell.W_h),)


def lstm_step(cell, x, state):
    h, c = state
    H = h.size
    gate = lambda k: (x @ cell.W_u + cell.b_h + h @ cell.W_h)[k * H : (k + 1) * H]  # noqa: E731
    i, f, candidate, o = sigmoid(gate(0)), sigmoid(gate(1)), np.tanh(gate(2)), sigmoid(gate(3))
    c = f * c + i * candidate
    return (o * np.tanh(c), c)


def gru_step(cell, x, state):
    (h,) = state
    H = h.size
    u, p, b_n = x @ cell.W_u + cell.b_h[: 3 * H], h @ cell.W_h, cell.b_h[3 * H :]
    r, z = sigmoid(u[:H] + p[:H]), sigmoid(u[H : 2 * H] + p[H : 2 * H])
    n = np.tanh(u[2 * H :] + r * (p[2 * H :] + b_n))
    return ((1 - z) * n + z * h,)


STEPS = {kind.cell: step for kind, step in zip(KINDS, [linear_step, elman_step, lstm_step, gru_step])}


def reference(layer, x, length=None, mask=None, initial=None):
    """Outputs and end states by plain loops over layers, directions and the real steps alone."""
    T, H, arrays = len(x), layer.hidden, layer.cell.arrays
    real = [t for t in range(T) if (length is None or t < length) and (mask is None or mask[t])]
    ends = [np.zeros((len(layer.cells), len(layer.cells[0]), H)) for _ in range(arrays)]
    for depth, row in enumerate(layer.cells):
        columns, last = [], []
        for direction, cell in enumerate(row):
            state = tuple(
                np.zeros(H) if initial is None else initial[k][depth, direction] for k in range(arrays)
            )
            output = (lambda h, c=cell: c.W_o @ h + c.b_o) if hasattr(cell, "W_o") else (lambda h: h)
            y = np.zeros((T, output(state[0]).size))
            for t in real[::-1] if direction else real:
                state = STEPS[layer.cell](cell, x[t], state)
                y[t] = output(state[0])
            columns.append(y)
            for k in range(arrays):
                ends[k][depth, direction] = state[k]
            last.append(output(state[0]))
        x = np.concatenate(columns, axis=1)
    return x, tuple(ends), np.concatenate(last)


def make(
    kind: type[Recurrent], inputs: int = 3, hidden: int = 4, steps: int = 6, **options: Any
) -> tuple[Any, np.ndarray]:
    """Return a layer and a sequence for it."""
    return filled(lambda key: kind(inputs, hidden, key=key, **options)), draw(steps, inputs, seed=1)


def state_of(layer: Recurrent) -> tuple[np.ndarray, ...]:
    """Return a random state to begin with."""
    shape = len(layer.cells), len(layer.cells[0]), layer.hidden
    return tuple(draw(*shape, seed=2 + k) for k in range(layer.cell.arrays))

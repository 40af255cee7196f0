"""How likely a run of one setting beats a run of another."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from populace.statistics.interval import Interval
from populace.statistics.levels import normal
from populace.statistics.profile import combined
from populace.statistics.scores import Floats, table

_HALVINGS = 60


def probability_of_improvement(x: ArrayLike, y: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Return how likely a run of X beats a run of Y, `mean_tasks (P(X > Y) + P(X = Y) / 2)`.

    Per task this is the Mann-Whitney `U / (n m)` of n runs of X and m of Y; 0.5 says no difference. The
    interval holds those p with `(U / (n m) - p)^2 <= z^2 V(p)`, where with `k = (n + m) / 2 - 1`

        V(p) = p (1 - p) (1 + k ((1 - p) / (2 - p) + p / (1 + p))) / (n m)

    is the variance of U for exponential scores. So it has a width also where all of X beat all of Y, where
    a bootstrap has none. Tasks are independent, and combined as in `performance_profile`.

    `x` is `(n,)` or `(n, tasks)`, `y` is `(m,)` or `(m, tasks)`; infinite scores are welcome.
    Raises ValueError for scores that are empty, NaN or of more than 2 dimensions, for different
    numbers of tasks, and a `confidence` outside (0, 1).
    Sources: Agarwal et al. 2021; Newcombe 2006, method 5.
    """
    x_table, y_table = table("x", x), table("y", y)
    if x_table.shape[1] != y_table.shape[1]:
        raise ValueError(f"x and y must have the same tasks, got {x_table.shape}, {y_table.shape}")
    n, m = len(x_table), len(y_table)
    wins = np.array([_wins(a, b) for a, b in zip(x_table.T, y_table.T)]) / (n * m)
    value, low, high = combined(wins, lambda share: _newcombe(share, n, m, normal(confidence)))
    return Interval(float(value), float(low), float(high))


def _wins(x: Floats, y: Floats) -> float:
    # By rank this costs O((n + m) log m), not the n m comparisons of the definition:
    # #(y < x) + #(y = x) / 2 is halfway between #(y < x) and #(y <= x).
    ordered = np.sort(y)
    less, not_more = (np.searchsorted(ordered, x, side=side) for side in ("left", "right"))
    return float((less + not_more).sum() / 2)


def _newcombe(share: Floats, n: int, m: int, z: float) -> tuple[Floats, Floats]:
    k = (n + m) / 2 - 1

    def outside(p: Floats) -> NDArray[np.bool_]:
        variance = p * (1 - p) * (1 + k * ((1 - p) / (2 - p) + p / (1 + p))) / (n * m)
        return (share - p) ** 2 > z * z * variance

    bounds = []
    for end in (0.0, 1.0):
        out, inside = np.full_like(share, end), share.copy()
        for _ in range(_HALVINGS):
            middle = (out + inside) / 2
            wrong = outside(middle)
            out, inside = np.where(wrong, middle, out), np.where(wrong, inside, middle)
        bounds.append(inside)
    return bounds[0], bounds[1]

"""Edge weights and self-loops of a named normalization."""

import numpy as np

from populace.core.errors import UsageError, unknown

NORMALIZATIONS = ("none", "self-loops", "mean", "mean-self-loops", "symmetric", "symmetric-no-loops")


def _power(sums: np.ndarray, exponent: float) -> np.ndarray:
    """Return powers of sums, 0 where the sum is 0."""
    return np.where(sums == 0, 0.0, np.where(sums == 0, 1.0, sums) ** exponent)


def adds_self_loops(how: str) -> bool:
    """Return whether a normalization adds missing self-loops."""
    if how not in NORMALIZATIONS:
        raise unknown("normalization", how, NORMALIZATIONS)
    return how not in ("none", "mean", "symmetric-no-loops")


def without_self_loop(sources: np.ndarray, targets: np.ndarray, nodes: int) -> np.ndarray:
    """Return the nodes without a self-loop."""
    looped = np.zeros(nodes, bool)
    looped[targets[sources == targets]] = True
    return np.flatnonzero(~looped).astype(np.int32)


def symmetric(sources: np.ndarray, targets: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (E,) of the normalization `symmetric`, and those of the self-loops it adds, (N,).

    A node that has a self-loop already is given none: its weight is 0.
    """
    missing = without_self_loop(sources, targets, nodes)
    ends = np.concatenate([sources, missing]), np.concatenate([targets, missing])
    found = np.asarray(weights(*ends, None, nodes, "symmetric"))
    added = np.zeros(nodes, np.float32)
    added[missing] = found[len(sources) :]
    return found[: len(sources)], added


def weights(
    sources: np.ndarray, targets: np.ndarray, weight: np.ndarray | None, nodes: int, how: str
) -> np.ndarray | None:
    """Return the normalized weights (E,) of edges, self-loops included; see `Graph.normalized`."""
    if how in ("none", "self-loops"):
        return weight
    s, t = sources, targets
    weight = np.ones(len(s)) if weight is None else weight.astype(np.float64)
    rows, columns = (np.bincount(ends, weight, minlength=nodes) for ends in (t, s))
    if how.startswith("mean"):
        weight = weight * _power(rows, -1)[t]
    else:
        negative = (rows < 0) | (columns < 0)
        if negative.any():
            raise UsageError(
                f"edge weights of node {negative.argmax()} have a negative sum; '{how}' takes its square root"
            )
        weight = weight * _power(rows, -0.5)[t] * _power(columns, -0.5)[s]
    return weight.astype(np.float32)

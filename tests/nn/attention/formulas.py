"""Attention by its formulas, in plain NumPy loops, and inputs for it."""

import math

import numpy as np

from populace.nn.attention.feature_maps import EluFeatures, RandomFeatures, ReluFeatures
from tests.nn.draws import filled

MAPS = {
    "elu": EluFeatures(),
    "relu": ReluFeatures(),
    "random": filled(lambda key: RandomFeatures(4, 6, key=key), seed=3),
}
NOTHING = np.zeros(7, bool)


def draw(n=5, m=7, d=4, e=3, seed=0):
    """Return queries, keys and values."""
    draws = np.random.default_rng(seed)
    return tuple(draws.normal(size=s).astype(np.float32) for s in ((n, d), (m, d), (m, e)))


def pairs(n=5, m=7, seed=1):
    """A random mask that leaves query 1 nothing to look at."""
    mask = np.random.default_rng(seed).random((n, m)) < 0.6
    mask[1] = False
    return mask


def softmax_by_loops(q, k, v, mask=None, causal=False):
    n, m = len(q), len(k)
    out = np.zeros((n, v.shape[1]))
    for i in range(n):
        total = 0.0
        for j in range(m):
            seen = True if mask is None else (mask[j] if mask.ndim == 1 else mask[i, j])
            if not seen or (causal and j > i):
                continue
            weight = math.exp(sum(q[i, c] * k[j, c] for c in range(q.shape[1])) / math.sqrt(q.shape[1]))
            out[i] += weight * v[j]
            total += weight
        if total:
            out[i] /= total
    return out


def features_by_loops(name, x):
    if name == "elu":
        return np.array([u + 1 if u > 0 else np.exp(u) for u in x])
    if name == "relu":
        return np.array([max(u, 0.0) for u in x])
    directions = np.asarray(MAPS["random"].directions.value, np.float64)
    x = x / len(x) ** 0.25
    return np.array([np.exp(w @ x - x @ x / 2) for w in directions]) / np.sqrt(len(directions))


def linear_by_loops(q, k, v, mask=None, causal=False, name="elu"):
    out = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        weights = np.zeros(len(k))
        for j in range(len(k)):
            if (mask is None or mask[j]) and not (causal and j > i):
                weights[j] = features_by_loops(name, q[i]) @ features_by_loops(name, k[j])
        if weights.sum() > 0:
            out[i] = weights @ v / weights.sum()
    return out

"""Recorded experience for the tests of update rules, and the compiled rule run over it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.rl.tabular.features import Basis, Indexed, Linear
from populace.rl.tabular.rules import Experience, Rule

STATES, ACTIONS = 5, 3
FEATURES = np.random.default_rng(1).normal(size=(STATES, 4)).round(2)
"""Features of each state, for linear rules."""


def experience(seed: int, steps: int = 80) -> list[dict[str, Any]]:
    """Return steps of made-up episodes, some that terminate and some that the clock cuts."""
    random = np.random.default_rng(seed)
    found, s, a = [], int(random.integers(STATES)), int(random.integers(ACTIONS))
    for _ in range(steps):
        policy = random.dirichlet(np.ones(ACTIONS))
        end = random.random()
        step = {
            "s": s, "action": a, "reward": random.normal(), "next_s": int(random.integers(STATES)),
            "next_policy": policy, "next_action": int(random.choice(ACTIONS, p=policy)),
            "terminated": end < 0.1, "over": end < 0.25, "coin": random.random(),
        }  # fmt: skip
        found.append(step)
        s, a = step["next_s"], step["next_action"]
        if step["over"]:
            s, a = int(random.integers(STATES)), int(random.integers(ACTIONS))
    return found


def basis(kind: str) -> Basis:
    """Return a table, or features that overlap."""
    if kind == "table":
        return Indexed(STATES)
    return Linear(4, lambda s: jnp.asarray(FEATURES, jnp.float32)[s], -1)


def dense(kind: str) -> np.ndarray:
    """Return the features of every state, (S, F)."""
    return np.eye(STATES) if kind == "table" else FEATURES


def start(kind: str) -> np.ndarray:
    """Return the weights that every test begins with."""
    size = dense(kind).shape[1]
    return np.random.default_rng(7).normal(size=(size, ACTIONS)).astype(np.float32)


def learned(rule: Rule, steps: list[dict[str, Any]], rate: float, discount: float, kind: str) -> Any:
    """Return the tables after the rule has learned from every step in turn."""
    features, weights = basis(kind), jnp.asarray(start(kind))

    def column(name: str, dtype: Any = jnp.float32) -> jax.Array:
        return jnp.asarray(np.asarray([step[name] for step in steps]), dtype)

    see = jax.vmap(features.see)
    record = Experience(
        x=see(column("s", jnp.int32)),
        action=column("action", jnp.int32),
        reward=column("reward"),
        next_x=see(column("next_s", jnp.int32)),
        next_policy=column("next_policy"),
        next_action=column("next_action", jnp.int32),
        terminated=column("terminated", bool),
        over=column("over", bool),
        coin=column("coin"),
    )

    def one(carry: Any, step: Experience) -> Any:
        tables, memory, _ = rule.learn(features, *carry, step, jnp.float32(rate), jnp.float32(discount))
        return (tables, memory), None

    begin = rule.tables(weights), rule.memory(features, weights, record.x[0])
    (tables, _), _ = jax.jit(lambda record: jax.lax.scan(one, begin, record))(record)
    return jax.tree.map(np.asarray, tables)

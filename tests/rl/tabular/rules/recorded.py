"""Recorded experience for the tests of update rules, and the compiled rule run over it."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core import settings
from populace.rl.tabular.features import Basis, Indexed, Linear
from populace.rl.tabular.rules import Experience, Rule

STATES, ACTIONS = 5, 3
ENDS = ("terminated", "done")
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
            "terminated": end < 0.1, "done": end < 0.25, "coin": random.random(),
        }  # fmt: skip
        found.append(step)
        s, a = step["next_s"], step["next_action"]
        if step["done"]:
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
    given = {field.name: value for _, field, value in settings.walk(rule)}
    numbers = {name: np.float32(value) for name, value in given.items() if isinstance(value, float)}
    rest = tuple((name, value) for name, value in given.items() if name not in numbers)
    dtypes = {"reward": np.float32, "next_policy": np.float32, "coin": np.float32}
    columns = {
        name: np.asarray([step[name] for step in steps], dtypes.get(name, bool if name in ENDS else np.int32))
        for name in steps[0]
    }
    return jax.device_get(
        _program(type(rule), rest, kind)(numbers, columns, np.float32(rate), np.float32(discount))
    )


@cache
def _program(rule: type[Rule], rest: tuple[tuple[str, Any], ...], kind: str) -> Any:
    """Return the compiled loop of a rule; its numbers are arguments, so that examples share the program."""

    @jax.jit
    def run(numbers: dict[str, Any], columns: dict[str, Any], rate: jax.Array, discount: jax.Array) -> Any:
        made, features, weights = rule(**dict(rest), **numbers), basis(kind), jnp.asarray(start(kind))
        rows = dict(columns)
        encode = jax.vmap(features.encode)
        record = Experience(x=encode(rows.pop("s")), next_x=encode(rows.pop("next_s")), **rows)

        def one(carry: Any, step: Experience) -> Any:
            tables, memory, _ = made.learn(features, *carry, step, rate, discount)
            return (tables, memory), None

        begin = made.tables(weights), made.memory(features, weights, record.x[0])
        return jax.lax.scan(one, begin, record)[0][0]

    return run

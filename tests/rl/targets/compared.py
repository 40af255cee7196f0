"""Losses, priorities and gradients of a return distribution for a few transitions, in one program."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from populace.rl.targets.td import Distribution


def rows(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@dataclass
class Compared:
    """Losses, priorities and expected values, and the losses' gradients by both distributions' parameters."""

    loss: np.ndarray
    priority: np.ndarray
    expected: np.ndarray
    online_gradient: np.ndarray
    target_gradient: np.ndarray

    def assert_no_gradient_through_the_target(self) -> None:
        assert np.abs(self.online_gradient).max() > 0
        assert not self.target_gradient.any()


@partial(jax.jit, static_argnums=5)
def _outcome(kind: Distribution, online: Any, target: Any, reward: Any, bootstrap: Any, loss: str) -> Any:
    def total(online: Any, target: Any) -> jax.Array:
        return kind.losses(online, target, reward, bootstrap, loss)[0].sum()

    losses = kind.losses(online, target, reward, bootstrap, loss)
    return *losses, kind.expected(online), *jax.grad(total, (0, 1))(online, target)


def compared(
    kind: Distribution, online: Any, target: Any, reward: Any, bootstrap: Any, loss: str = "huber"
) -> Compared:
    return Compared(*map(np.asarray, _outcome(kind, online, target, reward, bootstrap, loss)))

"""What a kind of distribution makes of a few transitions: everything in one program."""

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
    """Losses, surprises and expected values, and gradients by what is said of the action and of the next."""

    loss: np.ndarray
    surprise: np.ndarray
    expected: np.ndarray
    online: np.ndarray
    target: np.ndarray

    def assert_no_gradient_through_the_target(self) -> None:
        assert np.abs(self.online).max() > 0
        assert not self.target.any()


@partial(jax.jit, static_argnums=5)
def _outcome(
    kind: Distribution, described: Any, following: Any, reward: Any, bootstrap: Any, loss: str
) -> Any:
    def total(described: Any, following: Any) -> jax.Array:
        return kind.losses(described, following, reward, bootstrap, loss)[0].sum()

    losses = kind.losses(described, following, reward, bootstrap, loss)
    return *losses, kind.expected(described), *jax.grad(total, (0, 1))(described, following)


def compared(
    kind: Distribution, described: Any, following: Any, reward: Any, bootstrap: Any, loss: str = "huber"
) -> Compared:
    return Compared(*map(np.asarray, _outcome(kind, described, following, reward, bootstrap, loss)))

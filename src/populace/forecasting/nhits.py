"""N-HiTS: blocks that read the window at several rates, and write the forecast at several rates.

Source: C. Challu et al. (2023), N-HiTS: Neural hierarchical interpolation for time series forecasting, AAAI.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.forecasting.networks import ForecastNetwork, Perceptron, perceptron


class NHiTS(ForecastNetwork):
    """Each block pools what is left of the window, and says what it explains of it and what it forecasts.

        h = MLP(max pool_k(x)),   x = x - interpolate(A h),   forecast = forecast + interpolate(B h)

    The first block pools most and forecasts with the fewest knots, so that it takes the slow part; straight
    lines join the knots.
    """

    kind: ClassVar[str] = "nhits"
    pools: tuple[int, ...] = setting((8, 4, 1), low=1, help="steps that each block pools")
    spacings: tuple[int, ...] = setting(
        (24, 12, 1), low=1, help="steps between knots of each block's forecast"
    )
    hidden_sizes: tuple[int, ...] = setting((128, 128), low=1, help="units of each block's hidden layers")

    def __check_init__(self) -> None:
        """Refuse blocks that differ in number."""
        if len(self.pools) != len(self.spacings):
            raise UsageError(
                f"pools and spacings need one number per block each, got {len(self.pools)} and "
                f"{len(self.spacings)}"
            )

    def build(self, window: int, horizon: int, size: int, *, key: jax.Array) -> Any:
        """Return the blocks."""
        blocks = []
        for pool, spacing, k in zip(self.pools, self.spacings, jax.random.split(key, len(self.pools))):
            pool, spacing = min(pool, window), min(spacing, horizon)
            knots = -(-window // spacing) if spacing < window else 1, -(-horizon // spacing)
            sizes = (-(-window // pool), *self.hidden_sizes, knots[0] + knots[1] * size)
            blocks.append(_Block(perceptron(sizes, "relu", key=k), pool, knots, (window, horizon)))
        return _NHiTS(blocks)


class _Block(eqx.Module):
    body: Perceptron
    pool: int = eqx.field(static=True)
    knots: tuple[int, int] = eqx.field(static=True)
    steps: tuple[int, int] = eqx.field(static=True)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return what the block explains of the window (window,), and its forecast (horizon, size)."""
        padded = jnp.pad(x, (-len(x) % self.pool, 0), mode="edge")
        found = self.body(padded.reshape(-1, self.pool).max(1))
        back, ahead = found[: self.knots[0]], found[self.knots[0] :].reshape(self.knots[1], -1)
        lines = [interpolation(knots, steps) for knots, steps in zip(self.knots, self.steps)]
        return jnp.asarray(lines[0]) @ back, jnp.asarray(lines[1]) @ ahead


class _NHiTS(eqx.Module):
    blocks: list[_Block]

    def __call__(self, x: jax.Array) -> jax.Array:
        forecast: Any = 0.0
        for block in self.blocks:
            explained, ahead = block(x)
            x, forecast = x - explained, forecast + ahead
        return forecast.reshape(-1)


def interpolation(knots: int, steps: int) -> np.ndarray:
    """Return the matrix (steps, knots) float32 from knots to straight lines between them, ends included."""
    places = np.linspace(0, knots - 1, steps) if knots > 1 else np.zeros(steps)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(knots)), 0).astype(np.float32)

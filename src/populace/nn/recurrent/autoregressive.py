"""Linear autoregression: the next value as a linear function of the last k."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from populace.core.errors import UsageError


class AutoregressiveWindow(eqx.Module):
    """Predicts `y_{t+1} = W vec(x_{t-k+1..t}) + b`, a vector autoregression of order k.

    vec concatenates the k steps, oldest first. Weights and bias are initialized uniformly in
    `±1/sqrt(k F)`. Source: Box and Jenkins 1970, "Time Series Analysis: Forecasting and Control".

    Attributes:
        W: (F, k F).
        b: (F,).
        features: number of features F per step.
        window: order k, in steps.

    """

    W: jax.Array
    b: jax.Array
    features: int = eqx.field(static=True)
    window: int = eqx.field(static=True)

    def __init__(self, features: int, window: int, *, key: jax.Array) -> None:
        """Initialize the weights.

        Args:
            features: number of features F per step.
            window: order k, in steps.
            key: PRNG key for the initial weights.

        Raises:
            UsageError: features or window is not a positive integer.

        """
        for what, size in {"features": features, "window": window}.items():
            _check_count(what, size)
        self.features, self.window = features, window
        bound = 1 / math.sqrt(window * features)
        W_key, b_key = jax.random.split(key)
        self.W = jax.random.uniform(W_key, (features, window * features), minval=-bound, maxval=bound)
        self.b = jax.random.uniform(b_key, (features,), minval=-bound, maxval=bound)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return one-step predictions from every complete window of a series (teacher forcing).

        Time O(T k F^2) in one matrix product, memory O(T k F).

        Args:
            x: (T, F) with T at least k.

        Returns:
            (T - k + 1, F); row i predicts step i + k, so the last row is one step ahead of x.

        Raises:
            UsageError: x is not (T, F), or shorter than the window.

        """
        x = self._check(x)
        k, (steps, features) = self.window, x.shape
        # Concatenated copies of x, cut one step later each time, are x shifted by 0 .. k - 1: all windows by
        # reshaping alone, whose gradient needs no scatter.
        copies = jnp.broadcast_to(x, (k + 1, steps, features)).reshape(-1, features)
        shifted = copies[: k * (steps + 1)].reshape(k, steps + 1, features)[:, : steps - k + 1]
        return jnp.einsum("kif,okf->io", shifted, self.W.reshape(features, k, features)) + self.b

    def forecast(self, history: jax.Array, steps: int) -> jax.Array:
        """Return a recursive forecast: every prediction is fed back as if observed.

        Time O(steps k F^2), sequential. Gradients flow through the feedback.

        Args:
            history: (T, F) with T at least k; only the last k steps are used.
            steps: forecast horizon.

        Returns:
            (steps, F).

        Raises:
            UsageError: history is not (T, F) or shorter than the window, or steps is below 1.

        """
        history = self._check(history)
        _check_count("steps", steps)

        def step(past: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            y = self.W @ past + self.b
            return jnp.concatenate([past[self.features :], y]), y

        past = history[-self.window :].astype(jnp.result_type(history, self.W)).ravel()
        return lax.scan(step, past, None, length=steps)[1]

    def _check(self, x: jax.Array) -> jax.Array:
        x = jnp.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.features:
            raise UsageError(
                f"AutoregressiveWindow: input has shape {x.shape}, expected (time, {self.features})"
            )
        if x.shape[0] < self.window:
            raise UsageError(
                f"AutoregressiveWindow: input has {x.shape[0]} steps, expected at least {self.window}"
            )
        return x


def _check_count(what: str, size: int) -> None:
    if not isinstance(size, int | np.integer) or size < 1:
        raise UsageError(f"AutoregressiveWindow: {what} must be a whole number of at least 1, got {size!r}")

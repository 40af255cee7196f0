"""Line search for the strong Wolfe conditions, one value and gradient a trial, the last of which is kept."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

_DECREASE = 1e-4
_CURVATURE = 0.9
_MARGIN = 0.1
"""How near to the ends of a bracket a trial may be, as a share of its length."""
End = tuple[jax.Array, jax.Array, jax.Array]
_LEAST_GROWTH, _MOST_GROWTH = 2.0, 10.0


class Place(NamedTuple):
    """Where the line was looked at.

    Attributes:
        length: a, in directions.
        value: f(x + a p).
        slope: of the value along the direction.
        gradient: (P,).

    """

    length: jax.Array
    value: jax.Array
    slope: jax.Array
    gradient: jax.Array

    @property
    def end(self) -> End:
        """Length, value and slope."""
        return self.length, self.value, self.slope


def strong_wolfe(
    value_and_grad: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
    x: jax.Array,
    direction: jax.Array,
    value: jax.Array,
    gradient: jax.Array,
    trials: int,
) -> Place:
    r"""Return a place on the line x + a p that fulfils the strong Wolfe conditions.

        f(x + a p) <= f(x) + 1e-4 a g^T p    and    |g(x + a p)^T p| <= 0.9 |g^T p|

    After so many trials it is the lowest that fulfils the first one; a = 0 where none does. The first is at
    a = 1; then lengths grow until they enclose one, and cubic interpolation narrows the bracket. A value
    that is not finite is too high.

    Args:
        value_and_grad: f and its gradient.
        x: (P,).
        direction: p, (P,), downhill.
        value: f(x).
        gradient: g at x.
        trials: at most.

    Source: Nocedal and Wright 2006, "Numerical optimization", algorithms 3.5 and 3.6.

    """
    slope = gradient @ direction
    zero = jnp.zeros_like(value)

    def searching(search: Any) -> jax.Array:
        trial, _, _, _, done = search
        return (trial < trials) & ~done

    def attempt(search: Any) -> Any:
        trial, length, low, high, _ = search
        found, after = value_and_grad(x + length * direction)
        new = Place(length, found, after @ direction, after)
        too_high = ~(found <= value + _DECREASE * length * slope) | ~(found < low.value)
        too_high = too_high | ~jnp.isfinite(new.slope)
        done = ~too_high & (jnp.abs(new.slope) <= -_CURVATURE * slope)
        # Where it rises from the lowest place to the new one, the bracket ends at the former.
        passed = ~too_high & (new.slope * (length - low.length) >= 0)
        high = jax.tree.map(
            lambda a, b, c: jnp.where(too_high, a, jnp.where(passed, b, c)), new.end, low.end, high
        )
        lowest = jax.tree.map(lambda a, b: jnp.where(too_high, a, b), low, new)
        return trial + 1, _next(low, lowest, high), lowest, high, done

    begin = Place(zero, value, slope, gradient)
    far = jnp.full_like(value, jnp.inf)
    nowhere = (far, far, far)
    start = (jnp.int32(0), jnp.ones_like(value), begin, nowhere, ~(slope < 0))
    return jax.lax.while_loop(searching, attempt, start)[2]


def _next(before: Place, low: Place, high: End) -> jax.Array:
    """Return the length to try next: between the ends of the bracket, or beyond the lowest place."""
    wide = high[0] - low.length
    inside = _cubic(*low.end, *high)
    inside = jnp.where(jnp.isfinite(inside), inside, low.length + wide / 2)
    share = jnp.clip((inside - low.length) / wide, _MARGIN, 1 - _MARGIN)
    beyond = _cubic(*before.end, *low.end)
    beyond = jnp.where(beyond > low.length, beyond, _MOST_GROWTH * low.length)
    beyond = jnp.clip(beyond, _LEAST_GROWTH * low.length, _MOST_GROWTH * low.length)
    return jnp.where(jnp.isfinite(high[0]), low.length + share * wide, beyond)


def _cubic(a: Any, fa: Any, da: Any, b: Any, fb: Any, db: Any) -> jax.Array:
    """Return where the cubic through two values and slopes is least; NaN where it is nowhere."""
    bend = da + db - 3 * (fb - fa) / (b - a)
    root = jnp.sign(b - a) * jnp.sqrt(bend**2 - da * db)
    return b - (b - a) * (db + root - bend) / (db - da + 2 * root)

"""The line search: its conditions on functions of one length, and where there is nothing to find."""

import jax
import jax.numpy as jnp
import numpy as np

from populace.physics.optimisers.wolfe import strong_wolfe


def test_it_finds_a_place_of_both_conditions_or_says_that_there_is_none() -> None:
    functions = [
        (lambda a: (a - 30.0) ** 2, True),  # far beyond the first trial
        (lambda a: (a - 0.003) ** 2, True),  # far before it
        (lambda a: -a / (a**2 + 2), True),  # More and Thuente's first
        (lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, True),  # and their second
        (lambda a: jnp.where(a > 0.2, jnp.nan, (a - 0.15) ** 2), True),  # not finite at the first trial
        (lambda a: -jnp.log1p(-a), False),  # rises, and is NaN beyond 1
        (lambda a: a * jnp.nan, False),
    ]

    @jax.jit
    def run() -> list:
        found = []
        for f, _ in functions:
            value_and_grad = jax.value_and_grad(lambda x, f=f: f(x[0]))
            at = jnp.zeros(1)
            value, gradient = value_and_grad(at)
            # The direction is of length 1, and the slope that of the function.
            place = strong_wolfe(value_and_grad, at, jnp.ones(1), value, gradient, 25)
            found.append((value, gradient[0], place, value_and_grad(at + place.length)))
        return found

    with jax.enable_x64(True):
        results = jax.device_get(run())
    for (_, exists), (value, slope, place, (there, gradient)) in zip(functions, results, strict=True):
        if not exists:
            assert place.length == 0
            continue
        assert place.length > 0
        assert place.value == there
        assert np.array_equal(place.gradient, gradient)
        assert there <= value + 1e-4 * place.length * slope
        assert abs(gradient[0]) <= 0.9 * abs(slope)


def test_it_keeps_the_lowest_place_when_trials_run_out() -> None:
    with jax.enable_x64(True):

        def value_and_grad(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            return jax.value_and_grad(lambda x: -x[0])(x)  # falls for ever

        at = jnp.zeros(1)
        place = jax.device_get(
            jax.jit(lambda: strong_wolfe(value_and_grad, at, jnp.ones(1), *value_and_grad(at), 3))()
        )
    assert place.length == 100.0  # 1, then ten times as far twice
    assert place.value == -100.0

import math

import jax
import numpy as np
import pytest

import populace.physics as ph
from populace.core.errors import UsageError
from populace.physics.networks.derivatives import derivatives
from populace.physics.problem.expression import Values
from populace.physics.problem.symbols import Derivative


def needed(expression: ph.Expression) -> set[tuple[str, tuple[str, ...]]]:
    return {(p.field, p.by) for p in expression.walk() if isinstance(p, Derivative)}


def test_derivatives_follow_from_the_rules_of_calculus() -> None:
    x, t, u = ph.coordinate("x"), ph.coordinate("t"), ph.field("u")
    conductivity = 1 + x**2
    flux = ph.d(conductivity * ph.d(u, "x"), "x") + ph.exp(2 * t) / u - u**3
    assert needed(flux) == {("u", ()), ("u", ("x",)), ("u", ("x", "x"))}
    mixed = ph.d(flux, "t")
    assert needed(mixed) >= {("u", ("t",)), ("u", ("t", "x", "x"))}
    at_x, at_t = np.asarray([0.3, -1.2]), np.asarray([0.5, 0.1])
    values = {("u", ()): 2.0, ("u", ("x",)): 3.0, ("u", ("x", "x")): -1.5, ("u", ("t",)): 0.7}
    values |= {("u", ("t", "x")): 0.2, ("u", ("t", "x", "x")): 0.9}
    with jax.enable_x64(True):
        at = Values({"x": at_x, "t": at_t}, values, {})
        found, changed = flux.value(at), mixed.value(at)
    e = np.exp(2 * at_t)
    assert np.allclose(found, 2 * at_x * 3.0 + (1 + at_x**2) * -1.5 + e / 2 - 8, rtol=1e-12)
    by_hand = 2 * at_x * 0.2 + (1 + at_x**2) * 0.9 + 2 * e / 2 - e * 0.7 / 4 - 3 * 4 * 0.7
    assert np.allclose(changed, by_hand, rtol=1e-12)


def test_operators_are_sums_of_derivatives() -> None:
    u, v = ph.field("u"), ph.field("v")
    assert needed(ph.laplacian(u, ("x", "y"))) == {("u", ("x", "x")), ("u", ("y", "y"))}
    assert needed(ph.div((u, v), ("x", "y"))) == {("u", ("x",)), ("v", ("y",))}
    assert [needed(g) for g in ph.grad(u, ("x", "y"))] == [{("u", ("x",))}, {("u", ("y",))}]
    with pytest.raises(UsageError, match="div needs a component per coordinate, got 1 for 2 coordinates"):
        ph.div((u,), ("x", "y"))


def test_forward_mode_gives_the_derivatives_of_a_known_function() -> None:
    def fields(p: jax.Array) -> jax.Array:
        x, t = p
        return jax.numpy.stack([jax.numpy.sin(2 * x) * t**3, x * t])

    points = np.random.default_rng(0).uniform(-1, 1, (2, 7))
    wanted = [("u", ()), ("u", ("x", "x")), ("u", ("t", "x")), ("u", ("t", "t", "t")), ("v", ("t",))]
    with jax.enable_x64(True):
        found = jax.jit(lambda p: derivatives(fields, p, ("u", "v"), ("x", "t"), wanted))(points)
    x, t = points
    by_hand = [
        np.sin(2 * x) * t**3,
        -4 * np.sin(2 * x) * t**3,
        6 * np.cos(2 * x) * t**2,
        6 * np.sin(2 * x),
        x,
    ]
    for key, true in zip(wanted, by_hand):
        assert np.allclose(found[key], true, rtol=1e-10, atol=1e-12), key


def test_what_is_no_expression_is_refused() -> None:
    u = ph.field("u")
    with pytest.raises(UsageError, match="an equation is made of fields, coordinates and numbers, got 'x'"):
        u + "x"
    with pytest.raises(UsageError, match="takes names of coordinates, got Coordinate"):
        ph.d(u, ph.coordinate("x"))  # pyright: ignore[reportArgumentType]
    assert math.isclose((2.0**u).value(Values({}, {("u", ()): 3.0}, {})), 8.0)  # pyright: ignore

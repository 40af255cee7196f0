"""One gradient step against its formula: clipping, schedule, weight decay, and what is no weight."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.learner import Learner
from populace.nn.primitives.buffer import Buffer
from populace.optim.gradient_step import (
    gradient_step,
    initial_opt_state,
    learning_rate,
    max_gradient_norm,
    optimizer,
    schedule,
    weight_decay,
    with_buffers,
)
from populace.optim.optimizers import SGD, Adam, Optimizer
from populace.optim.schedules import Linear, Schedule

RATE, DECAY, STEPS = 0.1, 0.2, 10


class Settings(Learner):
    """The settings of a step, and nothing that is learned."""

    learning_rate: float = learning_rate(RATE)
    optimizer: Optimizer = optimizer(Adam())
    schedule: Schedule = schedule(Linear(steps=STEPS))
    weight_decay: float | None = weight_decay(DECAY)
    max_gradient_norm: float = max_gradient_norm()

    def init(self, key: Any) -> Any:
        """Not called."""

    def step(self, state: Any, key: Any) -> Any:
        """Not called."""

    def evaluate(self, state: Any, key: Any) -> Any:
        """Not called."""


class Net(eqx.Module):
    """A matrix, a bias, a buffer, and a function."""

    weight: Any
    bias: Any
    moved: Buffer
    act: Any


RNG = np.random.default_rng(0)
WEIGHT, BIAS = RNG.normal(size=(3, 2)), RNG.normal(size=2)
GRADIENTS = RNG.normal(size=(5, 4, 2))
GRADIENTS[2] *= 5  # one that any clipping sees


def net() -> Net:
    weight, bias = jnp.asarray(WEIGHT, jnp.float32), jnp.asarray(BIAS, jnp.float32)
    return Net(weight, bias, Buffer(jnp.float32(7)), jax.nn.relu)


def descended(learner: Settings) -> Net:
    """Return the network after a step down each gradient, which a linear loss has."""
    network = net()
    opt_state = initial_opt_state(learner, network)
    arrays, rest = eqx.partition(network, eqx.is_array)

    def step(carry: Any, now: Any) -> Any:
        arrays, opt_state = carry
        count, g = now

        def loss(net: Net) -> Any:
            value = jnp.sum(net.weight * g[:3]) + jnp.sum(net.bias * g[3]) + net.moved.value
            return value, net.moved.value

        network, opt_state, value, found = gradient_step(
            learner, loss, eqx.combine(arrays, rest), opt_state, count
        )
        return (eqx.filter(network, eqx.is_array), opt_state), value - found

    counts = np.arange(len(GRADIENTS), dtype=np.int32)
    (arrays, _), _ = jax.lax.scan(step, (arrays, opt_state), (counts, GRADIENTS.astype(np.float32)))
    return eqx.combine(arrays, rest)


def by_hand(limit: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> tuple[Any, Any]:
    w = np.concatenate([WEIGHT, BIAS[None]])
    m, v = np.zeros_like(w), np.zeros_like(w)
    matrix = np.array([[1], [1], [1], [0]])
    for t, g in enumerate(GRADIENTS):
        norm = np.linalg.norm(g)
        g = g * min(1, limit / norm) if limit else g
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        direction = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        w = w - RATE * (1 - t / STEPS) * (direction + DECAY * w * matrix)
    return w[:3], w[3]


def test_a_step_is_what_the_formula_says():
    lengths = np.sqrt((GRADIENTS**2).sum((1, 2)))
    middle = float(np.median(lengths))
    assert lengths.min() < middle < lengths.max()
    steps = jax.jit(lambda limit: eqx.filter(descended(Settings(max_gradient_norm=limit)), eqx.is_array))
    for limit in (0.0, middle):
        found = steps(np.float32(limit))
        weight, bias = by_hand(limit)
        np.testing.assert_allclose(found.weight, weight, atol=1e-5, err_msg=f"limit {limit}")
        np.testing.assert_allclose(found.bias, bias, atol=1e-5, err_msg=f"limit {limit}")
        assert float(found.moved.value) == 7, "a buffer is descended on"


@pytest.mark.parametrize(("decay", "kept"), [(1.0, 0.9), (None, 1.0)])
def test_biases_do_not_decay(decay, kept):
    learner = Settings(optimizer=SGD(), weight_decay=decay)

    @jax.jit
    def moved() -> Any:
        network, *_ = gradient_step(
            learner, lambda n: (0.0 * jnp.sum(n.weight), None), net(), initial_opt_state(learner, net()), 0
        )
        return network.weight, network.bias

    weight, bias = moved()
    np.testing.assert_allclose(weight, kept * WEIGHT, rtol=1e-6)
    np.testing.assert_allclose(bias, BIAS, rtol=1e-6)


def test_buffers_come_from_the_pass_and_weights_from_the_step():
    after = eqx.tree_at(lambda n: (n.moved.value, n.weight), net(), (jnp.float32(9), jnp.zeros((3, 2))))
    whole = with_buffers(net(), after)
    assert float(whole.moved.value) == 9
    assert whole.act is jax.nn.relu
    np.testing.assert_array_equal(whole.weight, net().weight)

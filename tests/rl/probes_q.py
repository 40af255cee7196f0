"""Probes for agents with action values, and how to ask one what it learned."""

from typing import Any

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments import spaces

from populace.core.population import sweep
from populace.engine.training_loop import Engine
from populace.rl import ExponentialDecay
from tests.rl import probes, probes_policy


class AllByAction(probes_policy.All):
    """The same, but `Endless` too rewards with 1 the action that the sign asks for, and with -1 the other."""

    def endless(self, matched: Any) -> Any:
        return matched


LATER = [[1, 0, 0, 0], [1, 1, 0, 0], [-1, 0, 0, 0], [-1, 1, 0, 0]]
ENDLESS = [[1, 0, 1, 0], [-1, 0, 1, 0]]
MATCHING = [[1, 0, 0, 1], [-1, 0, 0, 1]]
MEMBERS = 2


class Halves(probes.Probe):
    """Observations from 0 to 1 that are no whole numbers."""

    def get_obs(self, state, params=None, key=None):
        return jnp.array([0.5, 1.0], jnp.float32)

    def observation_space(self, params):
        return spaces.Box(0.0, 1.0, (2,), jnp.float32)


class Picture(probes.Probe):
    """A picture of 5 x 5 with 4 channels, whole numbers that tell the sign and the time."""

    horizon, length = 3, 0

    def get_obs(self, state, params=None, key=None):
        pixels = jnp.arange(100.0).reshape(5, 5, 4) * (2 + state.sign) + state.time
        return pixels % 7

    def observation_space(self, params):
        return spaces.Box(0.0, 255.0, (5, 5, 4), jnp.float32)


for probe in (AllByAction, Halves, Picture):
    name = f"Probe{probe.__name__}-test"
    if name not in gymnax.registered_envs:
        gymnax.register(name, probe)


def values(learner: type, env: str, observations: Any, steps: int = 1500, **settings: Any) -> np.ndarray:
    """Train two members on a probe and return Q (members, observations, actions)."""
    fixed = {
        "env": env, "num_envs": 4, "warmup": 64, "batch_size": 32, "hidden_sizes": (32,), "discount": 0.5,
        "learning_rate": 3e-3, "tau": 0.05, "replay_storage": 2000, "replay_capacity": 2000.0,
        "exploration": ExponentialDecay(decay=0.999, end=0.3), "evaluation_episodes": 4,
    }  # fmt: skip
    made = learner(**(fixed | settings))
    (group_state,) = Engine(sweep(made, seeds=MEMBERS), "vmap").group_states
    program = group_state.program
    carry, _ = program.advance(group_state.carry, steps)

    @jax.jit
    def ask(state, observations):
        def q(state, x):
            network = made.model(program.signature.whole_state(state))
            return made.distribution.expected(network(x))

        return jax.vmap(jax.vmap(q, (None, 0)), (0, None))(state, observations)

    return np.asarray(ask(carry.state, np.asarray(observations, np.float32)))[:MEMBERS]


def check_all(learner: type, by_action: bool = True, following: float = 2.0, tolerance: float = 0.15,
              **settings: Any) -> None:  # fmt: skip
    """Assert that a learner finds every value of three probes in one, at a discount of 0.5.

    Value, discount, termination, truncation, observation and action: each has to be right. Were a cut of the
    clock taken for an end, `Endless` would be worth 1.75 or less, and not 2; were the discount or the end of
    an episode missed, `Later` would be worth more than 0.5, and 1.

    Args:
        learner: its class.
        by_action: whether the reward of `Endless` depends on the action.
        following: what a state of `Endless` is worth by the policy that is learned from, if it does.
        tolerance: how far a value may lie from the exact one.
        settings: of the learner, where they are not those of `values`.

    """
    env = "ProbeAllByAction-test" if by_action else "ProbeAll-test"
    q = values(learner, env, LATER + ENDLESS + MATCHING, **({"steps": 2000, "batch_size": 64} | settings))
    later, endless, matching = q[:, :4], q[:, 4:6], q[:, 6:]
    known = np.array([0.5, 1.0, -0.5, -1.0])
    np.testing.assert_allclose(later, np.broadcast_to(known[:, None], later.shape), atol=tolerance)
    good, bad = 1 + 0.5 * following, -1 + 0.5 * following
    wanted = [[bad, good], [good, bad]] if by_action else [[2, 2], [2, 2]]
    np.testing.assert_allclose(endless, [wanted] * MEMBERS, atol=tolerance)
    np.testing.assert_allclose(matching, [[[-1, 1], [1, -1]]] * MEMBERS, atol=tolerance)

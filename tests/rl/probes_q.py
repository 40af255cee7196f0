"""Probes for agents with action values, and how to ask one what it learned."""

from typing import Any

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments import spaces

from populace.core.population import sweep
from populace.rl import ExponentialDecay
from tests import harness
from tests.rl import probes


class Everything(probes.Probe):
    """For ever 1 for the action that the sign asks for, else -1; the clock cuts every 3 steps.

    Q = 1 / (1 - discount) for that action, and 2 less for the other: value, discount, observation, action and
    truncation all have to be right.
    """

    length, horizon = 0, 3

    def reward(self, state, action):
        return jnp.where((action == 1) == (state.sign > 0), 1.0, -1.0)


class Halves(probes.Probe):
    """Observations from 0 to 1 that are no whole numbers."""

    def get_obs(self, state, params=None, key=None):
        return jnp.array([0.5, 1.0], jnp.float32)

    def observation_space(self, params):
        return spaces.Box(0.0, 1.0, (2,), jnp.float32)


for probe in (Everything, Halves):
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
    group_state = harness.trained(sweep(made, seeds=2), steps).group_states[0]
    network = group_state.program.signature.whole_model(group_state.program.models(group_state.state()))

    def q(network, x):
        return made.distribution.expected(network(x))

    each = jax.vmap(jax.vmap(q, (None, 0)), (0, None))
    return np.asarray(each(network, jnp.asarray(observations, jnp.float32)))

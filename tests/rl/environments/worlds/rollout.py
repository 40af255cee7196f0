"""Plays actions in a native environment, without its restarts."""

from functools import cache

import jax
import numpy as np

from populace.rl.environments import registry

STEPS = 128
"""What one program plays: shorter ways are filled up, and what comes after them is dropped."""


@cache
def _program(name):
    """Return the compiled episode of an environment; every seed and way shares it."""
    task = registry.make(name)
    environment, parameters = task.environment, task.parameters

    @jax.jit
    def run(seed, actions):
        key = jax.random.key(seed)

        def step(state, at):
            t, action = at
            observation, state, reward, end, _ = environment.step_env(
                jax.random.fold_in(key, t), state, action, parameters
            )
            return state, (observation, state, reward, end, environment.is_truncated(state, parameters))

        start = environment.reset(key, parameters)
        return start, jax.lax.scan(step, start[1], (np.arange(STEPS), actions))[1]

    return run


def play(name, actions, seed=0):
    """Return lists of observations (the first included), states, rewards, terminated and truncated."""
    count = len(actions)
    assert count <= STEPS
    filled = np.zeros(STEPS, np.int32)
    filled[:count] = actions
    start, steps = jax.device_get(_program(name)(seed, filled))
    each = [jax.tree.map(lambda x, t=t: x[t], steps) for t in range(count)]
    observations = [start[0], *(step[0] for step in each)]
    states = [start[1], *(step[1] for step in each)]
    rewards, terminated, truncated = ([step[i].item() for step in each] for i in (2, 3, 4))
    return observations, states, rewards, terminated, truncated

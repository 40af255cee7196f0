"""Plays actions in a native environment, without its restarts."""

import jax
import numpy as np

from populace.rl.environments import registry


def play(name, actions, seed=0):
    """Return lists of observations (the first included), states, rewards, terminated and truncated."""
    task = registry.make(name)
    environment, parameters = task.environment, task.parameters
    key = jax.random.key(seed)
    observation, state = environment.reset(key, parameters)
    observations, states, rewards, terminated, truncated = [np.asarray(observation)], [state], [], [], []
    step = jax.jit(environment.step_env)
    for t, action in enumerate(actions):
        observation, state, reward, end, _ = step(jax.random.fold_in(key, t), state, action, parameters)
        observations.append(np.asarray(observation))
        states.append(jax.device_get(state))
        rewards.append(float(reward))
        terminated.append(bool(end))
        truncated.append(bool(environment.is_truncated(state, parameters)))
    return observations, states, rewards, terminated, truncated

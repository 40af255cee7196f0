"""Times rejax's PPO on CartPole-v1 for many agents at once and prints one JSON line.

The work, the same for every peer: each agent acts in 8 environments, rollouts of 128 steps of each, 4 epochs
over a rollout in 4 minibatches of 256 frames, so 16 gradient steps per 1,024 frames; policy and value network
of two hidden layers of 64 (tanh) each, Adam 2.5e-4, discount 0.99, GAE 0.95, clip 0.2, entropy 0.01, value
coefficient 0.5, gradients shortened to a norm of 0.5, advantages standardized per minibatch.

What is timed: see `rejax_training.py`. The evaluation callback does nothing, is due only once, at the end,
and the initial evaluation is skipped.

Run it with the interpreter of an environment holding `requirements-rejax.txt`:

    python rejax_ppo.py --frames 40960 --agents 16 [--devices 2]

On one device this small program keeps little more than one core busy.
"""

import argparse
import json
import sys

from rejax_training import arguments, silent, timed

ENVS, ROLLOUT, EPOCHS, MINIBATCHES = 8, 128, 4, 4


def build(frames: int):
    """Return rejax's PPO with an evaluation that costs nothing."""
    from rejax import get_algo

    algo = get_algo("ppo").create(
        env="CartPole-v1",
        agent_kwargs={"activation": "tanh"},  # rejax's networks have two hidden layers of 64
        learning_rate=2.5e-4,
        gamma=0.99,
        gae_lambda=0.95,
        clip_eps=0.2,
        ent_coef=0.01,
        vf_coef=0.5,
        max_grad_norm=0.5,
        num_envs=ENVS,
        num_steps=ROLLOUT,
        num_epochs=EPOCHS,
        num_minibatches=MINIBATCHES,
        total_timesteps=frames,
        eval_freq=frames,
        skip_initial_evaluation=True,
    )
    return silent(algo)


def measure(frames: int, agents: int, devices: int, seed: int) -> dict:
    """Train, and return what is to be reported."""
    import numpy as np

    state, done, report = timed(build(frames), agents, devices, seed)
    updates = int(np.ravel(state.actor_ts.step)[0])
    expected = done // (ENVS * ROLLOUT) * EPOCHS * MINIBATCHES
    if updates != expected:
        sys.exit(f"expected {expected} updates for {done} frames, rejax made {updates}")
    return report | {"updates": updates, "envs": ENVS}


if __name__ == "__main__":
    args = arguments(argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]), frames=40_960)
    print(json.dumps(measure(**vars(args))))

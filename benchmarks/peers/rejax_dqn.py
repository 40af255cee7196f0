"""Times rejax's DQN on CartPole-v1 for many agents at once and prints one JSON line.

The work, the same for every peer: for each agent a Q-network of two hidden layers of 64 (ReLU),
Adam 1e-3, discount 0.99, no double Q, replay capacity 20,000, 1,000 warm-up frames of random
actions, then one gradient update on 64 transitions for every 4 environment frames. Epsilon falls
from 1 to 0.05 over the first tenth of the run. The target network is a hard copy, taken every
500 frames.

What is timed: see `rejax_training.py`. The evaluation callback does nothing, is due only once, at
the end, and the initial evaluation is skipped.

Run it with the interpreter of an environment holding `requirements-rejax.txt`:

    python rejax_dqn.py --frames 20000 --agents 16 [--devices 2]

rejax makes `num_epochs` updates each time it steps its `num_envs` environments once, and both are
whole numbers. One update per 4 frames therefore needs `num_envs` to be a multiple of 4, with
`num_epochs = num_envs / 4`; a single environment cannot be had, it would update once per frame.

On one device this small program keeps one core busy.

The library's own, left as it is: the squared loss, and sampling without replacement, which draws
a random number for every slot of the replay memory at each update. JAX's other random number
generator can be tried with `JAX_DEFAULT_PRNG_IMPL=rbg`; the output says which one was in use.
"""

import argparse
import json
import sys

from rejax_training import arguments, silent, timed

FRAMES_PER_UPDATE = 4
WARM_UP_FRAMES = 1_000


def build(frames: int, envs: int):
    """Return rejax's DQN set to one update per 4 frames and to an evaluation that costs nothing."""
    from rejax import get_algo

    algo = get_algo("dqn").create(
        env="CartPole-v1",
        agent_kwargs={"activation": "relu"},  # rejax's Q-network has two hidden layers of 64
        learning_rate=1e-3,
        gamma=0.99,
        ddqn=False,
        buffer_size=20_000,
        fill_buffer=WARM_UP_FRAMES,
        batch_size=64,
        num_envs=envs,
        num_epochs=envs // FRAMES_PER_UPDATE,
        polyak=0.0,  # a hard copy
        target_update_freq=500,
        exploration_fraction=0.1,
        eps_start=1.0,
        eps_end=0.05,
        total_timesteps=frames,
        eval_freq=frames,
        skip_initial_evaluation=True,
    )
    return silent(algo)


def measure(frames: int, agents: int, envs: int, devices: int, seed: int) -> dict:
    """Train, and return what is to be reported."""
    import numpy as np

    state, done, report = timed(build(frames, envs), agents, devices, seed)
    updates = int(np.ravel(state.q_ts.step)[0])
    expected = max(0, done - WARM_UP_FRAMES) / FRAMES_PER_UPDATE
    if abs(updates - expected) > max(1, envs / FRAMES_PER_UPDATE):
        sys.exit(f"expected about {expected:.0f} updates for {done} frames, rejax made {updates}")
    epochs = envs // FRAMES_PER_UPDATE
    variant = f"num_envs={envs}, num_epochs={epochs}, {report['variant']}"
    return report | {"updates": updates, "envs": envs, "variant": variant}


def env_count(text: str) -> int:
    """Parse an environment count that allows exactly one update per 4 frames."""
    count = int(text)
    if count < 1 or count % FRAMES_PER_UPDATE:
        raise argparse.ArgumentTypeError(f"must be a multiple of 4, not {count}")
    return count


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--envs", type=env_count, default=4, help="num_envs, per agent")
    print(json.dumps(measure(**vars(arguments(parser, frames=20_000)))))

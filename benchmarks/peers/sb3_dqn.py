"""Times Stable-Baselines3's DQN on CartPole-v1 and prints one JSON line.

The work, the same for every peer: one agent, a Q-network of two hidden layers of 64 (ReLU),
Adam 1e-3, discount 0.99, no double Q, replay capacity 20,000, 1,000 warm-up frames of random
actions, then one gradient update on 64 transitions for every 4 environment frames. Epsilon falls
from 1 to 0.05 over the first tenth of the run. The target network is a hard copy, taken every
500 frames.

What is timed: see `sb3_training.py`; warm-up frames are among the frames timed.

Run it with the interpreter of an environment holding `requirements-sb3.txt`:

    python sb3_dqn.py --frames 20000 --threads 1 --envs 1

`--envs 1` updates once per 4 steps of one environment; `--envs 4` once per step of four. Larger
multiples of 4 make `envs / 4` updates per step. The ratio of updates to frames never changes.

The library's own, left as it is: the Huber loss, clipping the gradient's norm at 10, and sampling
with replacement. It trains one agent per process; for a population on several cores, run one
process per core at the same time and add up their figures.
"""

import argparse
import json
import sys
from functools import partial

import torch
from sb3_training import make_env, timed
from stable_baselines3 import DQN
from stable_baselines3.common.vec_env import DummyVecEnv

FRAMES_PER_UPDATE = 4
WARM_UP_FRAMES = 1_000
THROWAWAY_FRAMES = WARM_UP_FRAMES + 500


def build(envs: int, seed: int) -> DQN:
    """Return an untrained agent stepping `envs` environments, one update per 4 frames."""
    return DQN(
        "MlpPolicy",
        DummyVecEnv([make_env] * envs),  # a VecEnv of our own: SB3 adds no Monitor to it
        learning_rate=1e-3,
        buffer_size=20_000,
        learning_starts=WARM_UP_FRAMES,
        batch_size=64,
        gamma=0.99,
        train_freq=max(1, FRAMES_PER_UPDATE // envs),  # counted in steps of all environments
        gradient_steps=max(1, envs // FRAMES_PER_UPDATE),
        tau=1.0,
        target_update_interval=500,
        exploration_fraction=0.1,
        exploration_initial_eps=1.0,
        exploration_final_eps=0.05,
        policy_kwargs={"net_arch": [64, 64], "activation_fn": torch.nn.ReLU},
        device="cpu",
        seed=seed,
        verbose=0,
    )


def measure(frames: int, envs: int, threads: int, seed: int) -> dict:
    """Train, and return what is to be reported."""
    model, report = timed(partial(build, envs), THROWAWAY_FRAMES, frames, threads, seed)
    updates = model._n_updates  # SB3 keeps this count nowhere public
    expected = max(0, report["frames"] - WARM_UP_FRAMES) / FRAMES_PER_UPDATE
    if abs(updates - expected) > max(1, envs / FRAMES_PER_UPDATE):
        sys.exit(f"expected about {expected:.0f} updates for {report['frames']} frames, SB3 made {updates}")
    return report | {"updates": updates, "envs": envs}


def env_count(text: str) -> int:
    """Parse an environment count that allows exactly one update per 4 frames."""
    count = int(text)
    if count not in (1, 2) and (count < 1 or count % FRAMES_PER_UPDATE):
        raise argparse.ArgumentTypeError(f"must be 1, 2 or a multiple of 4, not {count}")
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000, help="frames in the timed run")
    parser.add_argument("--envs", type=env_count, default=1, help="environments stepped together")
    parser.add_argument("--threads", type=int, default=1, help="torch.set_num_threads")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(json.dumps(measure(args.frames, args.envs, args.threads, args.seed)))


if __name__ == "__main__":
    main()

"""Times Stable-Baselines3's PPO on CartPole-v1 and prints one JSON line.

The work, the same for every peer: one agent in 8 environments, rollouts of 128 steps of each, 4 epochs over
a rollout in 4 minibatches of 256 frames, so 16 gradient steps per 1,024 frames; policy and value network of
two hidden layers of 64 (tanh) each, Adam 2.5e-4, discount 0.99, GAE 0.95, clip 0.2, entropy 0.01, value
coefficient 0.5, gradients shortened to a norm of 0.5, advantages standardized per minibatch.

What is timed: see `sb3_training.py`.

Run it with the interpreter of an environment holding `requirements-sb3.txt`:

    python sb3_ppo.py --frames 40960 --threads 1

It trains one agent per process, in one process, as its users run it.
"""

import argparse
import json
import sys

import torch
from sb3_training import make_env, timed
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

ENVS, ROLLOUT, EPOCHS, MINIBATCHES = 8, 128, 4, 4
FRAMES_PER_ROLLOUT = ENVS * ROLLOUT


def build(seed: int) -> PPO:
    """Return an untrained agent in `ENVS` environments, in this process."""
    return PPO(
        "MlpPolicy",
        DummyVecEnv([make_env] * ENVS),  # a VecEnv of our own: SB3 adds no Monitor to it
        learning_rate=2.5e-4,
        n_steps=ROLLOUT,
        batch_size=FRAMES_PER_ROLLOUT // MINIBATCHES,
        n_epochs=EPOCHS,
        gamma=0.99,
        gae_lambda=0.95,
        clip_range=0.2,
        ent_coef=0.01,
        vf_coef=0.5,
        max_grad_norm=0.5,
        policy_kwargs={"net_arch": [64, 64], "activation_fn": torch.nn.Tanh},
        device="cpu",
        seed=seed,
        verbose=0,
    )


def measure(frames: int, threads: int, seed: int) -> dict:
    """Train, and return what is to be reported."""
    model, report = timed(build, 2 * FRAMES_PER_ROLLOUT, frames, threads, seed)
    epochs = model._n_updates  # SB3 keeps this count nowhere public
    expected = report["frames"] // FRAMES_PER_ROLLOUT * EPOCHS
    if epochs != expected:
        sys.exit(f"expected {expected} epochs, SB3 made {epochs}")
    return report | {"updates": epochs * MINIBATCHES, "envs": ENVS}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=40_960, help="frames in the timed run")
    parser.add_argument("--threads", type=int, default=1, help="torch.set_num_threads")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(json.dumps(measure(args.frames, args.threads, args.seed)))


if __name__ == "__main__":
    main()

"""Times Stable-Baselines3's DQN on CartPole-v1 in processes of its own, and prints one JSON line.

The agent and what is timed are those of `sb3_dqn.py`; only the environments lie elsewhere: each in a process
(`SubprocVecEnv`), which is the library's way to play several at the same time.

    python sb3_host.py --frames 20000 --processes 4 --threads 1
"""

import argparse
import json

import sb3_dqn
from stable_baselines3.common.vec_env import SubprocVecEnv


def main() -> None:
    parser = argparse.ArgumentParser(description="Stable-Baselines3's DQN, each environment in a process.")
    parser.add_argument("--frames", type=int, default=20_000, help="frames in the timed run")
    parser.add_argument("--processes", type=sb3_dqn.env_count, default=4, help="one environment in each")
    parser.add_argument("--threads", type=int, default=1, help="torch.set_num_threads")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sb3_dqn.DummyVecEnv = SubprocVecEnv  # the name that `build` makes its environments by
    result = sb3_dqn.measure(args.frames, args.processes, args.threads, args.seed)
    print(json.dumps(result | {"processes": args.processes}))


if __name__ == "__main__":
    main()

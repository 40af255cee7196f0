"""Trains JaxMARL's own `ippo_ff_mpe` or `vdn_ff` on simple spread and prints one JSON line.

The trainers come from a clone of JaxMARL, whose wheel has environments alone:

    python jaxmarl_training.py --clone JAXMARL ippo|vdn|vdn-hidden --frames N [--seeds 8] [--save FILE]

The settings are those of the clone's YAML files, but for the number of frames. Compilation is not timed; the
evaluation that `vdn_ff` makes on its way is left out, and so is the callback by which `ippo_ff_mpe` logs each
update. Run it with the interpreter of an environment holding `requirements-jaxmarl.txt`.
"""

import argparse
import json
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

FILES = {
    "ippo": ("IPPO", "ippo_ff_mpe", "ippo_ff_mpe.yaml"),
    "vdn": ("QLearning", "vdn_ff", "alg/vdn_ff_mpe.yaml"),
    "vdn-hidden": ("QLearning", "vdn_ff", "alg/vdn_ff_mpe.yaml"),
}


def again(limit: float, times: int = 5) -> None:
    """Run this script until it ends: `ippo_ff_mpe` now and then stands still for ever inside of JAX."""
    for _ in range(times):
        try:
            done = subprocess.run([sys.executable, "-W", "ignore", *sys.argv, "--once"], timeout=limit)
            sys.exit(done.returncode)
        except subprocess.TimeoutExpired:
            print(f"stood still for {limit:g} s, and begins anew", file=sys.stderr, flush=True)
    sys.exit(f"stood still {times} times")


def pair_next(trainer: Any, envs: int, steps: int) -> None:
    """Make the replay pair an observation with the next one of its environment.

    `vdn_ff` adds a whole rollout as one time step of `envs * steps` rows, so that what follows a row is the
    row a rollout later. Here it is added as `steps` time steps of `envs` rows.
    """
    import jax

    make = trainer.fbx.make_flat_buffer

    def flat(*, add_sequences: bool, add_batch_size: int, **sizes: int) -> Any:
        del add_sequences, add_batch_size
        buffer = make(add_sequences=True, add_batch_size=envs, **sizes)

        def add(state: Any, rows: Any) -> Any:
            return buffer.add(
                state, jax.tree.map(lambda x: x.reshape(steps, envs, *x.shape[1:]).swapaxes(0, 1), rows)
            )

        return buffer.replace(add=add)

    trainer.fbx.make_flat_buffer = flat


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("algorithm", choices=FILES)
    parser.add_argument("--clone", required=True, type=Path)
    parser.add_argument("--frames", type=int, default=200_000, help="of each seed")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--save", type=Path, help="weights, as arrays of all seeds")
    parser.add_argument(
        "--limit", type=float, default=90, help="seconds after which a standing run begins anew"
    )
    parser.add_argument("--next", action="store_true", help="VDN's replay pairs what follows each other")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.once:
        return again(args.limit)

    folder, module, settings = FILES[args.algorithm]
    sys.path.insert(0, str(args.clone / "baselines" / folder))
    import jax
    import jax.experimental
    import numpy as np
    import wandb
    import yaml
    from flax.traverse_util import flatten_dict

    jax.experimental.io_callback = lambda *given: None
    trainer = __import__(module)
    config = yaml.safe_load((args.clone / "baselines" / folder / "config" / settings).read_text())
    # YAML reads 1e7 as text, and the trainers count with whole numbers.
    config: dict[str, Any] = {
        k: float(v) if isinstance(v, str) and v[:1].isdigit() else v for k, v in config.items()
    }
    config |= {"TOTAL_TIMESTEPS": args.frames, "WANDB_MODE": "disabled", "TEST_DURING_TRAINING": False}
    wandb.init(mode="disabled")
    if args.algorithm == "vdn-hidden":
        config["NUM_LAYERS"] = 4
    if args.next:
        pair_next(trainer, config["NUM_ENVS"], config["NUM_STEPS"])
    if args.algorithm != "ippo":
        train = trainer.make_train(config, trainer.env_from_config(config)[0])
    else:
        train = trainer.make_train(config)

    keys = jax.random.split(jax.random.PRNGKey(0), args.seeds)
    run = jax.jit(jax.vmap(train)).lower(keys).compile()
    start = time.perf_counter()
    found = jax.block_until_ready(run(keys))
    seconds = time.perf_counter() - start
    if args.save:
        params = flatten_dict(found["runner_state"][0].params["params"], sep="/")
        np.savez(args.save, allow_pickle=False, **{k: np.asarray(v) for k, v in params.items()})
    steps = config["NUM_UPDATES"] * config["NUM_STEPS"] * config["NUM_ENVS"]
    print(json.dumps({
        "frames_per_second": args.seeds * steps / seconds, "seconds": seconds,
        "version": f"jax {jax.__version__}, jaxmarl {metadata.version('jaxmarl')}",
    }))  # fmt: skip


if __name__ == "__main__":
    main()

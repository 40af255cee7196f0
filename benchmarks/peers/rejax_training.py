"""How rejax's training is timed, whatever the algorithm.

What is timed: the second call of the compiled training function, up to the moment every array it returns is
ready. Compilation and a first call with other seeds come before. All agents train in one program,
`jax.jit(jax.vmap(algo.train))` over their keys, as rejax documents; with several virtual CPU devices the
agents are split over them by `jax.pmap`, so that as many cores work at once.
"""

import argparse
import os
import time
from importlib.metadata import version
from typing import Any


def arguments(parser: argparse.ArgumentParser, frames: int) -> argparse.Namespace:
    """Add the options that every script here has, and parse; JAX must not have been imported before."""
    parser.add_argument("--frames", type=int, default=frames, help="frames of each agent")
    parser.add_argument("--agents", type=int, default=16)
    parser.add_argument("--devices", type=int, default=1, help="virtual CPU devices")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.devices < 1 or args.agents % args.devices:
        parser.error("--agents must be a multiple of --devices")
    if args.devices > 1:  # read by JAX when it is first imported
        flag = f"--xla_force_host_platform_device_count={args.devices}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
        os.environ["JAX_PLATFORMS"] = "cpu"
    return args


def silent(algo: Any) -> Any:
    """Return the algorithm with an evaluation that costs nothing."""
    return algo.replace(eval_callback=lambda algo, train_state, rng: ())


def timed(algo: Any, agents: int, devices: int, seed: int) -> tuple[Any, int, dict[str, Any]]:
    """Compile, train once untimed and once timed; return the state, its frames, and what to report."""
    import jax
    import numpy as np

    def make_keys(seed: int) -> Any:
        keys = jax.random.split(jax.random.PRNGKey(seed), agents)
        return keys if devices == 1 else keys.reshape(devices, agents // devices, -1)

    start = time.perf_counter()
    wrap = jax.jit if devices == 1 else jax.pmap
    train = wrap(jax.vmap(algo.train)).lower(make_keys(0)).compile()
    compile_seconds = time.perf_counter() - start
    jax.block_until_ready(train(make_keys(seed)))

    keys = jax.block_until_ready(make_keys(seed + 1))
    start = time.perf_counter()
    state, _ = jax.block_until_ready(train(keys))
    seconds = time.perf_counter() - start
    done = int(np.ravel(state.global_step)[0])  # the frames asked for, rounded up to whole steps
    report = {
        "peer": "rejax",
        "version": version("rejax"),
        "jax": jax.__version__,
        "platform": jax.default_backend(),
        "frames_per_second": round(done * agents / seconds, 1),
        "seconds": round(seconds, 3),
        "compile_seconds": round(compile_seconds, 3),
        "frames": done,
        "agents": agents,
        "devices": devices,
        "prng": str(jax.config.read("jax_default_prng_impl")),
        "variant": f"{'jit' if devices == 1 else 'pmap'}(vmap(train))",
    }
    return state, done, report

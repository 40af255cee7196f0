"""Times rejax's DQN on CartPole-v1 for many agents at once and prints one JSON line.

The work, the same for every peer: for each agent a Q-network of two hidden layers of 64 (ReLU),
Adam 1e-3, discount 0.99, no double Q, replay capacity 20,000, 1,000 warm-up frames of random
actions, then one gradient update on 64 transitions for every 4 environment frames. Epsilon falls
from 1 to 0.05 over the first tenth of the run. The target network is a hard copy, taken every
500 frames.

What is timed: the second call of the compiled training function, up to the moment every array it
returns is ready. Compilation and a first call with other seeds come before. All agents train in
one program, `jax.jit(jax.vmap(algo.train))` over their keys, as rejax documents. The evaluation
callback does nothing, is due only once, at the end, and the initial evaluation is skipped.

Run it with the interpreter of an environment holding `requirements-rejax.txt`:

    python rejax_dqn.py --frames 20000 --agents 16

rejax makes `num_epochs` updates each time it steps its `num_envs` environments once, and both are
whole numbers. One update per 4 frames therefore needs `num_envs` to be a multiple of 4, with
`num_epochs = num_envs / 4`; a single environment cannot be had, it would update once per frame.

`--devices D` splits the agents over D virtual CPU devices with `jax.pmap`, so that D cores work
at once. Without it this small program keeps one core busy.

The library's own, left as it is: the squared loss, and sampling without replacement, which draws
a random number for every slot of the replay memory at each update. JAX's other random number
generator can be tried with `JAX_DEFAULT_PRNG_IMPL=rbg`; the output says which one was in use.
"""

import argparse
import json
import os
import sys
import time
from importlib.metadata import version

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
    return algo.replace(eval_callback=lambda algo, train_state, rng: ())


def compile_training(algo, agents: int, devices: int):
    """Return the compiled training function and a function giving it one key per agent."""
    import jax

    def make_keys(seed: int):
        keys = jax.random.split(jax.random.PRNGKey(seed), agents)
        return keys if devices == 1 else keys.reshape(devices, agents // devices, -1)

    wrap = jax.jit if devices == 1 else jax.pmap
    return wrap(jax.vmap(algo.train)).lower(make_keys(0)).compile(), make_keys


def measure(frames: int, agents: int, envs: int, devices: int, seed: int) -> dict:
    """Compile, train once untimed and once timed, and return what is to be reported."""
    import jax
    import numpy as np

    algo = build(frames, envs)
    start = time.perf_counter()
    train, make_keys = compile_training(algo, agents, devices)
    compile_seconds = time.perf_counter() - start
    jax.block_until_ready(train(make_keys(seed)))

    keys = jax.block_until_ready(make_keys(seed + 1))
    start = time.perf_counter()
    train_state, _ = jax.block_until_ready(train(keys))
    seconds = time.perf_counter() - start

    done = int(np.ravel(train_state.global_step)[0])  # `frames`, rounded up to whole steps
    updates = int(np.ravel(train_state.q_ts.step)[0])
    expected = max(0, done - WARM_UP_FRAMES) / FRAMES_PER_UPDATE
    if abs(updates - expected) > max(1, envs / FRAMES_PER_UPDATE):
        sys.exit(f"expected about {expected:.0f} updates for {done} frames, rejax made {updates}")
    return {
        "peer": "rejax",
        "version": version("rejax"),
        "jax": jax.__version__,
        "platform": jax.default_backend(),
        "frames_per_second": round(done * agents / seconds, 1),
        "seconds": round(seconds, 3),
        "compile_seconds": round(compile_seconds, 3),
        "frames": done,
        "updates": updates,
        "agents": agents,
        "envs": envs,
        "devices": devices,
        "prng": str(jax.config.jax_default_prng_impl),
        "variant": f"num_envs={envs}, num_epochs={envs // FRAMES_PER_UPDATE}, "
        f"{'jit' if devices == 1 else 'pmap'}(vmap(train))",
    }


def env_count(text: str) -> int:
    """Parse an environment count that allows exactly one update per 4 frames."""
    count = int(text)
    if count < 1 or count % FRAMES_PER_UPDATE:
        raise argparse.ArgumentTypeError(f"must be a multiple of 4, not {count}")
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000, help="frames of each agent")
    parser.add_argument("--agents", type=int, default=16)
    parser.add_argument("--envs", type=env_count, default=4, help="num_envs, per agent")
    parser.add_argument("--devices", type=int, default=1, help="virtual CPU devices")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.devices < 1 or args.agents % args.devices:
        parser.error("--agents must be a multiple of --devices")
    if args.devices > 1:  # read by JAX when it is first imported
        flag = f"--xla_force_host_platform_device_count={args.devices}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
        os.environ["JAX_PLATFORMS"] = "cpu"
    print(json.dumps(measure(**vars(args))))


if __name__ == "__main__":
    main()

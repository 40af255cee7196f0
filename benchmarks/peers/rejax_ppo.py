"""Times rejax's PPO on CartPole-v1 for many agents at once and prints one JSON line.

The work, the same for every peer: each agent acts in 8 environments, rollouts of 128 steps of each, 4 epochs
over a rollout in 4 minibatches of 256 frames, so 16 gradient steps per 1,024 frames; policy and value network
of two hidden layers of 64 (tanh) each, Adam 2.5e-4, discount 0.99, GAE 0.95, clip 0.2, entropy 0.01, value
coefficient 0.5, gradients shortened to a norm of 0.5, advantages standardised per minibatch.

What is timed: the second call of the compiled training function, up to the moment every array it returns is
ready. Compilation and a first call with other seeds come before. All agents train in one program,
`jax.jit(jax.vmap(algo.train))` over their keys, as rejax documents. The evaluation callback does nothing, is
due only once, at the end, and the initial evaluation is skipped.

Run it with the interpreter of an environment holding `requirements-rejax.txt`:

    python rejax_ppo.py --frames 40960 --agents 16

`--devices D` splits the agents over D virtual CPU devices with `jax.pmap`, so that D cores work at once.
Without it this small program keeps little more than one core busy.
"""

import argparse
import json
import os
import sys
import time
from importlib.metadata import version

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
    return algo.replace(eval_callback=lambda algo, train_state, rng: ())


def compile_training(algo, agents: int, devices: int):
    """Return the compiled training function and a function giving it one key per agent."""
    import jax

    def make_keys(seed: int):
        keys = jax.random.split(jax.random.PRNGKey(seed), agents)
        return keys if devices == 1 else keys.reshape(devices, agents // devices, -1)

    wrap = jax.jit if devices == 1 else jax.pmap
    return wrap(jax.vmap(algo.train)).lower(make_keys(0)).compile(), make_keys


def measure(frames: int, agents: int, devices: int, seed: int) -> dict:
    """Compile, train once untimed and once timed, and return what is to be reported."""
    import jax
    import numpy as np

    algo = build(frames)
    start = time.perf_counter()
    train, make_keys = compile_training(algo, agents, devices)
    compile_seconds = time.perf_counter() - start
    jax.block_until_ready(train(make_keys(seed)))

    keys = jax.block_until_ready(make_keys(seed + 1))
    start = time.perf_counter()
    train_state, _ = jax.block_until_ready(train(keys))
    seconds = time.perf_counter() - start

    done = int(np.ravel(train_state.global_step)[0])  # `frames`, rounded up to whole rollouts
    updates = int(np.ravel(train_state.actor_ts.step)[0])
    expected = done // (ENVS * ROLLOUT) * EPOCHS * MINIBATCHES
    if updates != expected:
        sys.exit(f"expected {expected} updates for {done} frames, rejax made {updates}")
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
        "envs": ENVS,
        "devices": devices,
        "variant": f"{'jit' if devices == 1 else 'pmap'}(vmap(train))",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=40_960, help="frames of each agent")
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
    print(json.dumps(measure(**vars(args))))


if __name__ == "__main__":
    main()

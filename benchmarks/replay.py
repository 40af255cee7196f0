"""Prioritized replay beside uniform replay, in one run on one machine.

    python benchmarks/replay.py [--repeats 5]

Capacity 20,000, full; each step adds 4 transitions of CartPole and draws a batch of 64, and where it is
prioritized sets 64 new priorities. Once the replay alone, and once all of DQN, whose iteration it is a part
of; for 1 and for 16 members under `vmap` inside `lax.scan`. The two take turns, round by round, so that a
slow minute of the machine falls on both; figures are medians over the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import populace as pop
from populace.engine.training_loop import Engine
from populace.rl.buffers.prioritized import PrioritizedReplay
from populace.rl.buffers.replay import Replay
from populace.rl.environments.stepping import Transition

RAW = argparse.RawDescriptionHelpFormatter
CAPACITY, BATCH, ENVS = 20_000, 64, 4
MEMBERS = (1, 16)


def seconds(work: Callable[[], Any]) -> float:
    """Return how long it takes until the result is there."""
    start = time.perf_counter()
    jax.block_until_ready(work())
    return time.perf_counter() - start


def alone(prioritized: bool, members: int, steps: int) -> Callable[[], float]:
    """Return what times one step of one member of the bare replay, in microseconds."""
    seen = jnp.zeros(4)
    example = Transition(seen, jnp.int32(0), jnp.float32(0), seen, jnp.bool(False))
    fresh = jax.tree.map(lambda x: jnp.ones((ENVS, *x.shape), x.dtype), example)
    replay = (PrioritizedReplay if prioritized else Replay)(example, CAPACITY, ENVS)

    def step(replay: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        if not prioritized:
            replay = replay.add(fresh)
            batch = replay.sample(key, BATCH, float(CAPACITY))
            return replay, batch.reward.sum() + batch.observation.sum()
        replay = replay.add(fresh, float(CAPACITY))
        batch, index, weight = replay.sample(key, BATCH, 0.5)
        surprise = jnp.abs(batch.observation[:, 0]) + weight
        return replay.update(index, surprise, 0.6), batch.reward.sum() + batch.observation.sum()

    @jax.jit
    def run(replay: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        each = jax.random.split(key, (steps, members))
        return jax.lax.scan(jax.vmap(step), replay, each)

    population = jax.tree.map(lambda x: jnp.broadcast_to(x, (members, *x.shape)), replay)
    population, _ = run(population, jax.random.key(0))
    while int(jnp.max(jax.tree.leaves(_written(population))[0])) < CAPACITY:
        population, _ = run(population, jax.random.key(1))
    return lambda: seconds(lambda: run(population, jax.random.key(2))) / steps / members * 1e6


def _written(replay: Any) -> jax.Array:
    return replay.replay.written if isinstance(replay, PrioritizedReplay) else replay.written


def learner(prioritized: bool, members: int, steps: int) -> Callable[[], float]:
    """Return what times one iteration of one member of DQN, in microseconds."""
    dqn = pop.rl.DQN(prioritized=prioritized, replay_storage=CAPACITY, replay_capacity=float(CAPACITY))
    group_state = Engine(pop.sweep(dqn, seeds=members), "vmap", 1).group_states[0]
    carry, _ = group_state.program.advance(group_state.carry, steps)
    carry, at = jax.block_until_ready(carry), steps

    def round() -> float:
        nonlocal carry, at
        start = time.perf_counter()
        carry, _ = group_state.program.advance(carry, at + steps)
        jax.block_until_ready(carry.step)
        at += steps
        return (time.perf_counter() - start) / steps / members * 1e6

    while at * ENVS < CAPACITY:
        round()
    return round


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RAW)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print("| what | members | uniform, µs | prioritized, µs | prioritized / uniform |\n|---|---|---|---|---|")
    for name, make in (("replay alone", alone), ("all of DQN", learner)):
        for members in MEMBERS:
            steps = 4_000 if members == 1 else 1_000
            workers = [make(prioritized, members, steps) for prioritized in (False, True)]
            rounds = [[work() for work in workers] for _ in range(repeats)]
            uniform, prioritized = (statistics.median(times) for times in zip(*rounds))
            ratio = f"{prioritized / uniform:.2f}"
            print(f"| {name} | {members} | {uniform:.1f} | {prioritized:.1f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()

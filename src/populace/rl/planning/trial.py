"""Whether a table of outcomes is what an environment does: its steps beside the table's probabilities."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from scipy import special

from populace.core.errors import UsageError
from populace.rl.planning import dynamic_programming
from populace.rl.planning.transition_table import Outcomes
from populace.rl.task import Task

STEPS = 20_000
_COPIES = 64
_DISCOUNT, _RANDOM = 0.95, 0.2  # of the policy that looks for the parts of a task that random actions miss
_PLANNED = 100_000  # values, S A; of larger tables no policy is computed
_ENOUGH = 5.0  # smallest expected count of a cell of a chi-squared test
_SMALLEST = 1e-9  # p-value; the seeds are fixed, so a correct table is refused for ever or never


class DiffersError(UsageError):
    """A table is not what the environment does."""


@dataclass(frozen=True)
class Steps:
    """Steps of an environment, (n,) each, and the states in which its episodes began."""

    state: np.ndarray
    action: np.ndarray
    next_state: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    first: np.ndarray


def check(name: str, table: Outcomes, steps: Steps) -> None:
    """Compare steps with a table.

    Every step must be possible by the table. Frequencies are compared by two chi-squared tests: of the
    outcomes of each state and action, and of all first, second, ... outcomes together, which sees a small
    difference that many states share.

    Raises:
        DiffersError: they differ; the message names a state and an action, or the p-value.

    """
    s, a = steps.state, steps.action
    agrees = (
        (table.probability[s, a] > 0)
        & (table.next_state[s, a] == steps.next_state[:, None])
        & np.isclose(table.reward[s, a], steps.reward[:, None], rtol=1e-5, atol=1e-5)
        & (table.terminated[s, a] == steps.terminated[:, None])
    )
    impossible = np.flatnonzero(~agrees.any(axis=1))
    if impossible.size:
        i = int(impossible[0])
        led = f"state {steps.next_state[i]} with reward {steps.reward[i]:g}"
        if steps.terminated[i]:
            led += " and the end of the episode"
        raise _differs(name, f"action {a[i]} in state {s[i]} led to {led}, which it says is impossible")
    counts = np.zeros(table.probability.shape)
    np.add.at(counts, (s, a, agrees.argmax(axis=1)), 1)
    expected = counts.sum(axis=2, keepdims=True) * table.probability
    variance = expected * (1 - table.probability)
    shared = [part.sum(axis=(0, 1)) for part in (counts - expected, variance)]
    _compare(name, "outcomes", *_chi_squared(counts, expected))
    for difference, spread in zip(*shared):
        if spread > _ENOUGH**2:
            _compare(name, "outcomes", difference**2 / spread, 1)
    if table.start is not None:
        begun = np.bincount(steps.first, minlength=len(table.start)).astype(float)
        if begun[table.start == 0].any():
            at = int(np.flatnonzero(begun * (table.start == 0))[0])
            raise _differs(name, f"an episode began in state {at}, which it says is impossible")
        _compare(name, "initial states", *_chi_squared(begun[None], (begun.sum() * table.start)[None]))


def play(env: Any, task: Task, table: Outcomes) -> Steps:
    """Take `STEPS` steps in a Gymnasium environment, with the seeds 0, 1, ... of its episodes.

    In every second episode the action is that which was taken least in this state. The others follow the
    optimal policy of the table, with random actions now and then, to see what lies deep in the task.
    """
    random, taken = np.random.default_rng(0), np.zeros((task.states, task.actions), int)
    planned = None
    if taken.size <= _PLANNED:
        planned = dynamic_programming.value_iteration(table.mdp(_DISCOUNT), 1e-3).actions
    rows, first, seed, t = [], [], 0, 0
    state = _begin(env, task, seed, first)
    for _ in range(STEPS):
        if planned is not None and seed % 2:
            action = int(planned[state]) if random.random() >= _RANDOM else int(random.integers(task.actions))
        else:
            action = int(taken[state].argmin())
        taken[state, action] += 1
        obs, reward, terminated, truncated, _ = env.step(action + task.action_start)
        after, t = int(obs) - int(task.observation_start), t + 1
        rows.append((state, action, after, float(reward), bool(terminated)))
        state = after
        if terminated or truncated or t >= task.horizon:
            seed, t = seed + 1, 0
            state = _begin(env, task, seed, first)
    env.close()
    columns = [np.array(column) for column in zip(*rows)]
    return Steps(*columns, first=np.array(first))


def play_compiled(task: Task) -> Steps:
    """Take `STEPS` steps by random actions in copies of a compiled environment."""

    @jax.jit
    def rollout(key: jax.Array) -> Any:
        def step(carry: Any, key: jax.Array) -> Any:
            obs, env_state = carry
            act_key, step_key = jax.random.split(key)
            action = jax.random.randint(act_key, (_COPIES,), 0, task.actions)
            after, env_state, reward, terminated, _, info = task.step(step_key, env_state, action)
            return (after, env_state), (obs, action, info["final_observation"], reward, terminated)

        start_key, key = jax.random.split(key)
        carry = task.reset(start_key, _COPIES)
        return carry[0], jax.lax.scan(step, carry, jax.random.split(key, STEPS // _COPIES))[1]

    first, steps = jax.device_get(rollout(jax.random.key(0)))
    return Steps(*(np.asarray(part).ravel() for part in steps), first=np.asarray(first))


def _begin(env: Any, task: Task, seed: int, first: list[int]) -> int:
    obs, _ = env.reset(seed=seed)
    first.append(int(obs) - int(task.observation_start))
    return first[-1]


def _chi_squared(counts: np.ndarray, expected: np.ndarray) -> tuple[float, int]:
    """Return Pearson's statistic over all rows (..., K) and its degrees of freedom; rare cells are joined."""
    counts, expected = (x.reshape(-1, x.shape[-1]) for x in (counts, expected))
    often = expected >= _ENOUGH
    cells = [
        np.column_stack([np.where(often, x, 0.0), np.where(often, 0.0, x).sum(axis=1)])
        for x in (counts, expected)
    ]
    used = cells[1] >= _ENOUGH  # what is joined and still rare says too little
    terms = np.where(used, (cells[0] - cells[1]) ** 2 / np.where(used, cells[1], 1.0), 0.0)
    rows = used.sum(axis=1) >= 2
    return float(terms[rows].sum()), int((used[rows].sum(axis=1) - 1).sum())


def _compare(name: str, what: str, statistic: float, freedom: int) -> None:
    p = float(special.chdtrc(freedom, statistic)) if freedom else 1.0
    if p < _SMALLEST:
        raise _differs(
            name, f"the {what} of {STEPS:,} steps have other frequencies (chi-squared, p = {p:.1g})"
        )


def _differs(name: str, how: str) -> DiffersError:
    return DiffersError(
        f"environment '{name}' does not do what its table `P` says: {how}; correct the table, or train with "
        "dynamics=environment"
    )

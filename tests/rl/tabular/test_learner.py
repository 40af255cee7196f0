"""The tabular agent: its loop against its own transitions, its settings, invariants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.mean import Mean
from populace.core.population import sweep
from populace.rl.environments import registry
from populace.rl.exploration.strategies import Boltzmann, ConstantEpsilon
from populace.rl.tabular.features import Raw
from populace.rl.tabular.learner import Tabular
from populace.rl.tabular.rules import SARSA, DoubleQ, NStepSARSA, QLearning, SARSALambda
from tests import harness

LAKE = "FrozenLake-misc(is_slippery=False)"
LINE = "LineWorld-v0(observation='index', start='random', max_steps_in_episode=12)"


def walked(learner: Tabular, seed: int, steps: int):
    """Take single steps; return what there is to see before each of them, and after it."""

    def seen(state, metrics):
        acting = state.acting
        return {
            "observation": acting.observation, "action": state.action, "tables": state.tables,
            "episode_length": acting.episode_length, "frames": acting.frames, "episodes": acting.episodes,
            "gained": metrics["return"].total, "ended": metrics["return"].weight,
            "env_state": acting.env_state,
        }  # fmt: skip

    def run(seed, keys):
        def step(state, key):
            after, metrics = learner.step(state, jax.random.key(key))
            return after, seen(after, metrics)

        nothing = {"return": Mean(jnp.float32(0), jnp.float32(0))}
        state = learner.init(jax.random.key(seed))
        return seen(state, nothing), jax.lax.scan(step, state, keys)[1]

    learner.check()  # and with it its task is made, outside the program
    start, after = jax.device_get(jax.jit(run)(seed, np.arange(steps)))
    return jax.tree.map(lambda first, later: np.concatenate([first[None], later[:-1]]), start, after), after


@pytest.mark.parametrize(
    ("rule", "dynamics"),
    [
        (QLearning(), "auto"),
        (SARSA(), "auto"),
        (NStepSARSA(n=2), "auto"),
        (SARSALambda(), "auto"),
        (NStepSARSA(n=2), "environment"),
    ],
    ids=lambda x: x if isinstance(x, str) else x.kind,
)
def test_the_loop_learns_from_the_steps_it_takes(rule, dynamics):
    """Replay what the states of single steps tell, and update a plain table by the formulas."""
    learner = Tabular(
        env="FrozenLake-misc", rule=rule, discount=0.9, learning_rate=0.2, learning_rate_decay=0.01,
        initial_value=0.4, rollout=1, dynamics=dynamics, exploration=ConstantEpsilon(value=0.5),
    )  # fmt: skip
    before, after = walked(learner, 0, 250)
    q, trace, waiting = np.full((16, 4), 0.4), np.zeros((16, 4)), []
    for t in range(250):
        s, a = int(before["observation"][t, 0]), int(before["action"][t, 0])
        done = bool(after["ended"][t] > 0)
        reward = float(after["gained"][t]) if done else 0.0
        late = done and before["episode_length"][t, 0] == 99
        assert not late, "a cut episode would hide the last state; take another key"
        following = int(after["observation"][t, 0])
        next_action, rate = int(after["action"][t, 0]), 0.2 / (1 + 0.01 * t)
        if rule.kind == "q-learning":
            q[s, a] += rate * (reward + (0 if done else 0.9 * q[following].max()) - q[s, a])
        elif rule.kind == "sarsa":
            q[s, a] += rate * (reward + (0 if done else 0.9 * q[following, next_action]) - q[s, a])
        elif rule.kind == "sarsa-lambda":
            trace[s, a] = 1.0
            q += rate * (reward + (0 if done else 0.9 * q[following, next_action]) - q[s, a]) * trace
            trace *= 0.0 if done else 0.9 * 0.9
        else:
            waiting.append((s, a, reward))
            last = 0.0 if done else q[following, next_action]
            for i in range(max(0, len(waiting) - 2), len(waiting) if done else len(waiting) - 1):
                gained = sum(0.9**k * r for k, (_, _, r) in enumerate(waiting[i:]))
                target = gained + 0.9 ** len(waiting[i:]) * last
                q[waiting[i][:2]] += rate * (target - q[waiting[i][:2]])
            waiting = [] if done else waiting
        np.testing.assert_allclose(after["tables"][t], q, atol=1e-5)
    assert after["frames"][-1] == 250
    assert after["episodes"][-1] > 5


def test_updates_of_several_environments_are_sequential():
    learner = Tabular(env=LAKE, num_envs=3, rollout=1, learning_rate=0.5, exploration=Boltzmann())
    before, after = walked(learner, 1, 60)
    outcomes = jax.jit(jax.vmap(learner.task.step, (None, 0, 0)))(
        jax.random.key(0), before["env_state"], before["action"]
    )
    outcomes = jax.device_get((outcomes[5]["final_observation"], *outcomes[2:4]))
    q = np.zeros((16, 4))
    for t in range(60):
        s, a = before["observation"][t], before["action"][t]
        final, reward, ended = (x[t] for x in outcomes)
        for i in range(3):
            target = reward[i] + (0.0 if ended[i] else 0.99 * q[final[i]].max())
            q[s[i], a[i]] += 0.5 * (target - q[s[i], a[i]])
        np.testing.assert_allclose(after["tables"][t], q, atol=1e-5)
    assert after["frames"][-1] == 180


INVARIANT = {
    "q-learning": Tabular(rollout=5, evaluation_episodes=2),
    "n-step-sarsa": Tabular(
        rule=NStepSARSA(n=3), num_envs=2, rollout=3, dynamics="environment", evaluation_episodes=2
    ),
}


@pytest.mark.parametrize("rule", ["q-learning", pytest.param("n-step-sarsa", marks=pytest.mark.slow)])
def test_it_keeps_every_invariant(rule, tmp_path):
    axes = {"learning_rate": [0.1, 0.5], "exploration.decay": [0.9, 0.99]}
    harness.check_learner(INVARIANT[rule], axes, 20, tmp_path)


def test_bins_are_a_table_for_a_continuous_observation():
    learner = Tabular(env="MountainCar-v0", bins=(4, 5), rule=SARSA(), rollout=20)
    assert learner.task.states == 20
    table = np.zeros((20, 3), np.float32)
    table[2 * 5 + 4, 1] = 1.0  # third quarter of the way, fastest to the right
    policy = learner.policy(table)
    car = np.array([-0.1, 0.069], np.float32)
    assert int(policy(car)) == 1
    assert policy(np.stack([car, [-1.1, 0.069]])).tolist() == [1, 0]
    returns = learner.external_evaluators()["gymnasium"](table, 2, 0)
    assert returns.tolist() == [-200.0, -200.0]


def test_the_policy_acts_on_the_bins_of_its_training_on_every_edge():
    learner = Tabular(env="MountainCar-v0", bins=(20, 20), rule=SARSA(), rollout=20)
    table = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    edges = learner.task.environment.bins.edges[:, :19]
    beside = [edges, *(np.nextafter(edges, np.float32(end)) for end in (-np.inf, np.inf))]
    cars = np.stack(np.meshgrid(*np.concatenate(beside, axis=1)), axis=-1).reshape(-1, 2)
    binned = jax.jit(jax.vmap(learner.task.environment.bins.index))(cars)  # as a step of training does it
    assert np.array_equal(learner.policy(table)(cars), table[np.asarray(binned)].argmax(axis=1))
    assert len(np.unique(binned)) == 400


def test_a_held_out_environment_has_the_same_bins():
    learner = Tabular(
        env="MountainCar-v0", held_out="MountainCar-v0(max_steps_in_episode=50)", bins=(4, 5), rollout=20,
        evaluation_episodes=2,
    )  # fmt: skip
    sweep(learner)
    metrics = jax.jit(learner.evaluate)(np.zeros((20, 3), np.float32), jax.random.key(0))
    assert float(metrics["return"].value) == -200.0
    assert float(metrics["held_out_return"].value) == -50.0


def test_gymnasiums_own_lake_is_stepped_by_its_table():
    learner = Tabular(env="gymnasium:FrozenLake-v1")
    assert type(learner.task).__name__ == "Tabulated"
    assert learner.task.origin == "native"
    assert "gymnasium" in learner.external_evaluators()


def test_every_float_differs_between_members_of_one_program():
    axes = {
        "learning_rate": [0.1, 0.5], "learning_rate_decay": [0.0, 0.1], "discount": [0.9, 0.99],
        "initial_value": [0.0, 1.0], "rule.trace_decay": [0.5, 0.9], "exploration.decay": [0.9, 0.99],
    }  # fmt: skip
    population = sweep(Tabular(rule=SARSALambda()), axes)
    assert len(population) == 64
    assert len(population.groups) == 1


def test_the_policy_is_greedy_for_one_observation_and_for_many():
    learner = Tabular(rule=DoubleQ())
    first = np.zeros((16, 4), np.float32)
    first[3, 2] = 1.0
    policy = learner.policy((first, first))
    assert int(policy(3)) == 2
    assert policy(np.array([3, 0])).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be > 0, got 0.0"),
        ({"discount": 1.1}, r"discount must be in \[0, 1\], got 1.1"),
        ({"rule": {"kind": "q-lerning"}}, "did you mean 'q-learning'"),
        ({"rule": {"kind": "sarsa-lambda", "trace_decay": 2.0}}, r"trace_decay must be in \[0, 1\], got 2.0"),
        ({"env": "CartPole-v1"}, "set bins, one entry per number, or other features"),
        ({"env": "Pendulum-v1"}, "has continuous actions; Tabular needs discrete ones"),
        ({"env": "FrozenLake-v9"}, "unknown environment 'FrozenLake-v9'"),
        ({"bins_low": (0.0,)}, "bins_low and bins_high need bins"),
        ({"env": "CartPole-v1", "bins": (3, 3, 3, 3)}, "has no finite bounds"),
        ({"bins": (3, 3)}, "bins need observations of shape"),
        ({"env": "MountainCar-v0", "bins": (9_000, 9_000)}, "243,000,000 values; the maximum is 100,000,000"),
        ({"env": "MountainCar-v0", "bins": (3, 3), "dynamics": "table"}, "are not an exact MDP"),
        ({"env": "CartPole-v1", "features": "raw", "exploration": "ucb"}, "use it with features 'table'"),
        ({"env": "CartPole-v1", "features": "raw", "rule": "watkins-q"}, "replacing traces need a table"),
        ({"env": "GridRobot-v0(observation='index', source='random')", "dynamics": "table"}, "is unknown"),
        ({"dynamics": "guess"}, r"one of auto \| table \| environment"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    from populace.core import settings as declared

    with pytest.raises(UsageError, match=message) as caught:
        sweep(declared.from_dict(Tabular, settings))
    assert "\n" not in str(caught.value)


def test_action_values_are_the_table_and_of_two_tables_their_mean():
    one, other = np.random.default_rng(0).normal(size=(2, 16, 4)).astype(np.float32)
    first, second = jnp.asarray(one), jnp.asarray(other)
    np.testing.assert_array_equal(Tabular().action_values(first), one)
    found = Tabular(rule=DoubleQ()).action_values((first, second))
    np.testing.assert_allclose(found, (one + other) / 2, rtol=1e-6)


def test_action_values_need_a_table():
    with pytest.raises(UsageError, match="need features 'table'"):
        Tabular(env="MountainCar-v0", features=Raw()).action_values(np.zeros((3, 3)))


def test_the_name_of_the_environment_is_that_of_its_table():
    assert registry.make("FrozenLake-misc").horizon == Tabular().task.horizon
    assert type(Tabular().task).__name__ == "Tabulated"
    assert type(Tabular(dynamics="environment").task).__name__ == "Task"
    assert type(Tabular(env=LINE).task).__name__ == "Task"  # found by trying only: not taken unasked
    line = "LineWorld-v0(observation='index')"
    assert type(Tabular(env=line, dynamics="table").task).__name__ == "Tabulated"

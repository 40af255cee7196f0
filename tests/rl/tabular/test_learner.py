"""The tabular agent: values that planning computes, the loop against its own transitions, invariants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.rl.environments import registry
from populace.rl.exploration.strategies import UCB, Boltzmann, ConstantEpsilon, LinearDecay
from populace.rl.planning import dynamic_programming, enumeration
from populace.rl.tabular import plots
from populace.rl.tabular.features import Fourier, Raw
from populace.rl.tabular.learner import Tabular
from populace.rl.tabular.rules import (
    SARSA,
    DoubleQ,
    ExpectedSARSA,
    NStepSARSA,
    QLearning,
    SARSALambda,
    WatkinsQ,
)
from tests import harness
from tests.rl import probes  # noqa: F401  registers the probes

LAKE = "FrozenLake-misc(is_slippery=False)"
# The line is cut before its 20th move, whose penalty the state does not tell.
LINE = "LineWorld-v0(observation='index', start='drawn', max_steps_in_episode=12)"
ROBOT = "GridRobot-v0(observation='index', source='drawn', obstacles=((1, 1),))"
OFF_POLICY = [QLearning(), DoubleQ(), WatkinsQ(trace_decay=0.6)]
ON_POLICY = [SARSA(), ExpectedSARSA(), NStepSARSA(n=3), SARSALambda(trace_decay=0.6)]


def tables(learner: Tabular, steps: int, seeds: int = 3) -> np.ndarray:
    """Train and return the action values, (seeds, S, A)."""
    group_state = harness.trained(sweep(learner, seeds=seeds), steps).group_states[0]
    model = group_state.program.signature.whole_model(group_state.program.models(group_state.state()))
    each = [jax.tree.map(lambda x, i=i: x[i], model) for i in range(seeds)]
    return np.stack([learner.action_values(one) for one in each])


@pytest.mark.parametrize("env", [LAKE, LINE, ROBOT])
@pytest.mark.parametrize("rule", OFF_POLICY, ids=lambda rule: rule.kind)
def test_off_policy_values_converge_to_those_that_planning_computes(rule, env):
    mdp = enumeration.mdp(env, 0.9)
    learner = Tabular(
        env=env,
        rule=rule,
        discount=0.9,
        learning_rate=0.5,
        rollout=200,
        exploration=ConstantEpsilon(value=0.7),
    )
    found = tables(learner, 200)
    going = ~mdp.terminal
    expected = dynamic_programming.policy_iteration(mdp).action_values
    np.testing.assert_allclose(found[:, going], np.stack([expected[going]] * 3), atol=1e-3)


@pytest.mark.parametrize("env", [LAKE, ROBOT])
@pytest.mark.parametrize("rule", ON_POLICY, ids=lambda rule: rule.kind)
def test_on_policy_values_converge_to_those_of_the_policy_that_acts(rule, env):
    # Epsilon is 1, so the policy that acts is known: every action alike.
    mdp = enumeration.mdp(env, 0.9)
    learner = Tabular(
        env=env, rule=rule, discount=0.9, learning_rate=0.1, learning_rate_decay=3e-5, rollout=400,
        exploration=ConstantEpsilon(value=1.0),
    )  # fmt: skip
    found, going = tables(learner, 800), ~mdp.terminal
    expected = mdp.backup(
        dynamic_programming.evaluate_policy(mdp, np.full((mdp.states, mdp.actions), 1 / mdp.actions))
    )
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found.mean(axis=0)[going], expected[going], atol=0.05 * scale)


@pytest.mark.parametrize("rule", [*OFF_POLICY, *ON_POLICY], ids=lambda rule: rule.kind)
def test_every_rule_ends_with_the_optimal_policy(rule):
    learner = Tabular(
        env="GridRobot-v0(observation='index')", rule=rule, discount=0.9, learning_rate=0.3, rollout=200,
        exploration=LinearDecay(end=0.02, duration=40_000.0), evaluation_episodes=1,
    )  # fmt: skip
    mdp = enumeration.mdp(learner.env, 0.9)
    found = tables(learner, 300)
    assert mdp.start is not None
    best = (
        dynamic_programming.evaluate_for(mdp, dynamic_programming.policy_iteration(mdp).actions, 100)
        @ mdp.start
    )
    for q in found:
        assert dynamic_programming.evaluate_for(mdp, q.argmax(axis=1), 100) @ mdp.start == pytest.approx(best)


@pytest.mark.parametrize("dynamics", ["auto", "environment"])
@pytest.mark.parametrize("rule", [QLearning(), SARSA(), NStepSARSA(n=2), SARSALambda()], ids=lambda r: r.kind)
def test_the_loop_learns_from_the_very_steps_it_takes(rule, dynamics):
    """Replay what the states of single steps tell, and update a plain table by the formulas."""
    learner = Tabular(
        env="FrozenLake-misc", rule=rule, discount=0.9, learning_rate=0.2, learning_rate_decay=0.01,
        initial_value=0.4, rollout=1, dynamics=dynamics, exploration=ConstantEpsilon(value=0.5),
    )  # fmt: skip
    step = jax.jit(learner.step)
    state = learner.init(jax.random.key(0))
    q, trace, waiting = np.full((16, 4), 0.4), np.zeros((16, 4)), []
    for t in range(250):
        s, a = int(state.acting.observation[0]), int(state.action[0])
        after, metrics = step(state, jax.random.key(t))
        over = bool(metrics["return"].weight > 0)
        reward = float(metrics["return"].total) if over else 0.0
        late = over and float(state.acting.episode_length[0]) == 99
        assert not late, "a cut episode would hide the last state; take another key"
        following = int(after.acting.observation[0])
        next_action, rate = int(after.action[0]), 0.2 / (1 + 0.01 * t)
        if rule.kind == "q-learning":
            q[s, a] += rate * (reward + (0 if over else 0.9 * q[following].max()) - q[s, a])
        elif rule.kind == "sarsa":
            q[s, a] += rate * (reward + (0 if over else 0.9 * q[following, next_action]) - q[s, a])
        elif rule.kind == "sarsa-lambda":
            trace[s, a] = 1.0
            q += rate * (reward + (0 if over else 0.9 * q[following, next_action]) - q[s, a]) * trace
            trace *= 0.0 if over else 0.9 * 0.9
        else:
            waiting.append((s, a, reward))
            last = 0.0 if over else q[following, next_action]
            for i in range(max(0, len(waiting) - 2), len(waiting) if over else len(waiting) - 1):
                gained = sum(0.9**k * r for k, (_, _, r) in enumerate(waiting[i:]))
                target = gained + 0.9 ** len(waiting[i:]) * last
                q[waiting[i][:2]] += rate * (target - q[waiting[i][:2]])
            waiting = [] if over else waiting
        state = after
        np.testing.assert_allclose(state.tables, q, atol=1e-5)
    assert int(state.acting.frames) == 250
    assert int(state.acting.episodes) > 5


def test_truncation_is_not_termination():
    # Reward 1 for ever, cut every 3 steps: Q = 1 / (1 - discount). Terminated, it would be below 1.75.
    for rule in (QLearning(), SARSA(), NStepSARSA(n=2), SARSALambda(trace="accumulating")):
        learner = Tabular(
            env="ProbeEndless-test", features=Raw(), rule=rule, discount=0.5, learning_rate=0.1, rollout=100,
            exploration=ConstantEpsilon(value=0.5),
        )  # fmt: skip
        group_state = harness.trained(sweep(learner), 60).group_states[0]
        weights = np.asarray(group_state.state().tables)[0]
        np.testing.assert_allclose(np.array([[1, 0, 1], [-1, 0, 1]]) @ weights, 2.0, atol=0.05)


def test_linear_in_one_hot_features_is_a_table():
    common = {
        "discount": 0.9,
        "rollout": 50,
        "exploration": ConstantEpsilon(value=0.5),
        "dynamics": "environment",
    }
    indexed = Tabular(env="GridRobot-v0(observation='index')", **common)
    onehot = Tabular(env="GridRobot-v0", features=Raw(constant=False), **common)
    states = [harness.trained(sweep(learner), 20).group_states[0].state() for learner in (indexed, onehot)]
    np.testing.assert_allclose(states[0].tables, states[1].tables, atol=1e-6)


def test_a_linear_agent_drives_the_mountain_car():
    learner = Tabular(
        env="MountainCar-v0", features=Fourier(order=3), rule=SARSALambda(trace="accumulating"), discount=1.0,
        learning_rate=0.001, exploration=ConstantEpsilon(value=0.0), rollout=200, evaluation_episodes=20,
    )  # fmt: skip
    engine = harness.trained(sweep(learner, seeds=3), 300)
    best = np.asarray(engine.group_states[0].best.score)
    assert best.min() > -160


def test_ucb_counts_what_it_does():
    learner = Tabular(env=LAKE, exploration=UCB(confidence=0.5), rollout=50)
    state = harness.trained(sweep(learner), 4).group_states[0].state()
    visits = np.asarray(state.visits)[0]
    assert visits.sum() == 200
    tried = visits[visits.sum(axis=1) >= 4]
    assert (tried > 0).all()  # untried actions come first


def test_an_optimistic_start_tries_everything_without_exploring():
    greedy = {"env": LAKE, "exploration": ConstantEpsilon(value=0.0), "discount": 0.9, "rollout": 100}
    bold = tables(Tabular(initial_value=1.0, learning_rate=0.5, **greedy), 40)
    for q in bold:
        assert q[0].max() == pytest.approx(0.9**5, abs=1e-3)


def test_several_environments_are_learned_from_one_after_the_other():
    learner = Tabular(env=LAKE, num_envs=3, rollout=1, learning_rate=0.5, exploration=Boltzmann())
    state, step, q = learner.init(jax.random.key(1)), jax.jit(learner.step), np.zeros((16, 4))
    for t in range(60):
        s, a = np.asarray(state.acting.observation), np.asarray(state.action)
        outcome = learner.task.step(jax.random.key(0), state.acting.world, state.action)
        final, reward, ended = (np.asarray(x) for x in (outcome[5]["final_observation"], *outcome[2:4]))
        for i in range(3):
            target = reward[i] + (0.0 if ended[i] else 0.99 * q[final[i]].max())
            q[s[i], a[i]] += 0.5 * (target - q[s[i], a[i]])
        state, _ = step(state, jax.random.key(t))
        np.testing.assert_allclose(state.tables, q, atol=1e-5)
    assert int(state.acting.frames) == 180


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
    table = jnp.zeros((20, 3)).at[2 * 5 + 4, 1].set(1.0)  # third quarter of the way, fastest to the right
    policy = learner.policy(table)
    car = np.array([-0.1, 0.069], np.float32)
    assert int(policy(car)) == 1
    assert policy(np.stack([car, [-1.1, 0.069]])).tolist() == [1, 0]
    returns = learner.external_evaluators()["gymnasium"](table, 2, 0)
    assert returns.tolist() == [-200.0, -200.0]


def test_an_environment_held_out_is_cut_into_the_same_bins():
    learner = Tabular(
        env="MountainCar-v0", held_out="MountainCar-v0(max_steps_in_episode=50)", bins=(4, 5), rollout=20,
        evaluation_episodes=2,
    )  # fmt: skip
    sweep(learner)
    metrics = learner.evaluate(jnp.zeros((20, 3)), jax.random.key(0))
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


def test_it_shows_its_table():
    for env in ("FrozenLake-misc", "GridRobot-v0(observation='index')", "LineWorld-v0(observation='index')"):
        learner = Tabular(env=env)
        model = learner.model(learner.init(jax.random.key(0)))
        image = learner.visualize(model, jax.random.key(0))["values"].image
        assert image.dtype == np.uint8
        assert image.ndim == 3


@pytest.mark.parametrize("env", ["FrozenLake-misc", "gymnasium:FrozenLake-v1"])
def test_the_lake_is_drawn_as_a_map(env, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "_lake", lambda tiles, q: drawn.append(tiles.shape))
    learner = Tabular(env=env)
    plots.draw(learner.task, (), np.zeros((16, 4)))
    assert drawn == [(4, 4)]


def test_the_policy_is_greedy_for_one_observation_and_for_many():
    learner = Tabular(rule=DoubleQ())
    first = jnp.zeros((16, 4)).at[3, 2].set(1.0)
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
        ({"env": "CartPole-v1"}, "give bins, one per number, or other features"),
        ({"env": "Pendulum-v1"}, "has continuous actions; Tabular needs discrete ones"),
        ({"env": "FrozenLake-v9"}, "unknown environment 'FrozenLake-v9'"),
        ({"bins_low": (0.0,)}, "bins_low and bins_high need bins"),
        ({"env": "CartPole-v1", "bins": (3, 3, 3, 3)}, "has no finite bounds"),
        ({"bins": (3, 3)}, "bins need an observation of"),
        ({"env": "MountainCar-v0", "bins": (9_000, 9_000)}, "243,000,000 values; the most is 100,000,000"),
        ({"env": "MountainCar-v0", "bins": (3, 3), "dynamics": "table"}, "are no exact MDP"),
        ({"env": "CartPole-v1", "features": "raw", "exploration": "ucb"}, "needs features 'table'"),
        ({"env": "CartPole-v1", "features": "raw", "rule": "watkins-q"}, "replacing traces need a table"),
        ({"env": "GridRobot-v0(observation='index', source='drawn')", "dynamics": "table"}, "is not known"),
        ({"dynamics": "guess"}, r"one of auto \| table \| environment"),
    ],
)
def test_what_cannot_be_is_told(settings, message):
    from populace.core import settings as declared

    with pytest.raises(UsageError, match=message) as caught:
        sweep(declared.from_dict(Tabular, settings))
    assert "\n" not in str(caught.value)


def test_action_values_need_a_table():
    with pytest.raises(UsageError, match="need features 'table'"):
        Tabular(env="MountainCar-v0", features=Raw()).action_values(jnp.zeros((3, 3)))


def test_the_name_of_the_environment_is_that_of_its_table():
    assert registry.make("FrozenLake-misc").horizon == Tabular().task.horizon
    assert type(Tabular().task).__name__ == "Tabulated"
    assert type(Tabular(dynamics="environment").task).__name__ == "Task"
    assert type(Tabular(env=LINE).task).__name__ == "Task"  # found by trying only: not taken unasked
    line = "LineWorld-v0(observation='index')"
    assert type(Tabular(env=line, dynamics="table").task).__name__ == "Tabulated"

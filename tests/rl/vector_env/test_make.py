"""Gymnasium's environments as tasks: the same episodes, in any transformation, from any checkpoint."""

import itertools
import logging

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import RunError, UsageError
from populace.core.population import sweep
from populace.engine import host_errors
from populace.rl import A2C, DQN, PPO, Tabular
from populace.rl.environments import gymnasium_evaluation, registry
from populace.rl.vector_env import callback
from tests import harness
from tests.rl.host_learner import Wanderer

CARTPOLE = "gymnasium:CartPole-v1(workers=2)"
OWN = "tests.rl.host_envs"


def rollout(task, key, copies, steps, action=None):
    """Return seeds, actions and observations of a scan over steps, NumPy arrays (steps, copies, ...)."""

    def act(carry, key):
        observation, world = carry
        chosen = jax.random.bits(key, (copies,)) % max(task.actions, 1)
        chosen = chosen.astype(jnp.int32) if action is None else action(key)
        observation, world, reward, terminated, truncated, info = task.step(key, world, chosen)
        seen = {
            "observation": observation, "final": info["final_observation"], "reward": reward,
            "terminated": terminated, "truncated": truncated, "seed": world.seed, "action": chosen,
        }  # fmt: skip
        return (observation, world), seen

    start_key, key = jax.random.split(key)
    observation, world = task.reset(start_key, copies)
    end, seen = jax.lax.scan(act, (observation, world), jax.random.split(key, steps))
    return {"start": observation, "first": world.seed, "world": end[1]} | seen


@pytest.mark.parametrize("identifier", ["CartPole-v1", "MountainCarContinuous-v0", "FrozenLake-v1"])
def test_trajectories_equal_gymnasiums(identifier):
    task = registry.make(f"gymnasium:{identifier}")
    copies, action = 3, None
    if task.box:
        action = lambda key: jax.random.normal(key, (copies, 1))  # noqa: E731  beyond the box at times
    found = jax.tree.map(
        np.asarray, jax.jit(lambda k: rollout(task, k, copies, 150, action))(jax.random.key(3))
    )
    ended = 0
    for i in range(copies):
        env = gymnasium.make(identifier)
        seen, _ = env.reset(seed=int(found["first"][i]))
        np.testing.assert_array_equal(seen, found["start"][i])
        for t in range(150):
            taken = found["action"][t, i]
            taken = np.clip(taken, -1, 1) if task.box else int(taken)
            seen, reward, terminated, truncated, _ = env.step(taken)
            np.testing.assert_array_equal(np.asarray(seen, task.observation_dtype), found["final"][t, i])
            assert np.float32(reward) == found["reward"][t, i]
            assert (terminated, truncated) == (found["terminated"][t, i], found["truncated"][t, i])
            if terminated or truncated:
                seen, _ = env.reset(seed=int(found["seed"][t, i]))
                ended += 1
            np.testing.assert_array_equal(
                np.asarray(seen, task.observation_dtype), found["observation"][t, i]
            )
    assert ended > 0 or task.box


def test_the_time_limit_truncates_and_does_not_terminate():
    task = registry.make("gymnasium:Pendulum-v1(max_episode_steps=7, workers=1)")
    found = jax.jit(lambda k: rollout(task, k, 2, 21, lambda key: jnp.zeros((2, 1))))(jax.random.key(0))
    assert np.asarray(found["truncated"]).nonzero()[0].tolist() == [6, 6, 13, 13, 20, 20]
    assert not np.asarray(found["terminated"]).any()
    assert task.horizon == 7


def test_a_wrapper_that_goes_on_after_the_limit_is_truncated():
    task = registry.make(f"{OWN}:Onward(workers=1)")
    assert task.horizon == 200
    run = jax.jit(lambda k: rollout(task, k, 1, 201, lambda key: jnp.ones(1, jnp.int32)))
    found = run(jax.random.key(0))
    assert np.asarray(found["truncated"]).nonzero()[0].tolist() == [199]
    total = gymnasium_evaluation.play(task.name, lambda seen: np.ones(len(seen), int), 1, seed=0)
    assert total.tolist() == [-200.0]


def test_a_member_in_a_batch_equals_the_member_alone():
    task = registry.make(CARTPOLE)
    keys = jax.random.split(jax.random.key(1), 3)
    one = jax.jit(lambda k: rollout(task, k, 2, 60))
    both = jax.jit(lambda keys: (jax.vmap(one)(keys), jax.lax.map(one, keys)))
    every, mapped = jax.device_get(both(keys))
    for i, key in enumerate(keys):
        for alone, batched, in_map in zip(*(jax.tree.leaves(x) for x in (one(key), every, mapped))):
            np.testing.assert_array_equal(alone, batched[i])
            np.testing.assert_array_equal(alone, in_map[i])


def test_the_callback_for_accelerators_gives_the_same(monkeypatch):
    task = registry.make(CARTPOLE)

    def run(keys):
        return jax.jit(jax.vmap(lambda k: rollout(task, k, 2, 20)))(keys)

    keys = jax.random.split(jax.random.key(5), 2)
    in_place = run(keys)
    monkeypatch.setattr(callback.jax, "default_backend", lambda: "gpu")  # takes the other kind of callback
    for a, b in zip(jax.tree.leaves(in_place), jax.tree.leaves(run(keys))):
        np.testing.assert_array_equal(a, b)


def test_members_that_have_finished_cost_no_replays():
    task = registry.make(CARTPOLE)
    cache = task.environment.cache

    def until(limit, key):
        start, key = jax.random.split(key)
        observation, world = task.reset(start, 2)

        def step(loop):
            t, observation, world = loop
            observation, world, *_ = task.step(key, world, jnp.zeros(2, jnp.int32))
            return t + 1, observation, world

        return jax.lax.while_loop(lambda loop: loop[0] < limit, step, (0, observation, world))

    keys, limits = jax.random.split(jax.random.key(2), 3), np.array([3, 30, 11], np.int32)
    before = cache.replayed
    found = jax.device_get(jax.jit(jax.vmap(until))(limits, keys))
    assert cache.replayed == before
    alone = jax.jit(until)
    for i, key in enumerate(keys):
        for a, b in zip(jax.tree.leaves(alone(limits[i], key)), jax.tree.leaves(found)):
            np.testing.assert_array_equal(a, b[i])


def test_large_batches_on_two_devices_do_not_hang():
    # A pure callback does, with arguments of this size: every thread waits for another.
    task = registry.make("gymnasium:CartPole-v1(workers=2)")
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:2]), ("members",))
    spec = jax.sharding.PartitionSpec("members")
    run = jax.shard_map(
        jax.vmap(lambda k: rollout(task, k, 300, 4)["reward"].sum()),
        mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False,
    )  # fmt: skip
    np.testing.assert_array_equal(jax.jit(run)(jax.random.split(jax.random.key(0), 4)), [1200.0] * 4)


def test_nan_actions_and_actions_beyond_the_box_are_clipped():
    task = registry.make(f"{OWN}:Steering(max_episode_steps=5, workers=1)")
    assert task.box is not None
    np.testing.assert_array_equal(task.box, [[-1, 0], [1, 3]])
    assert task.observation_dtype == np.float32
    given = np.array([[np.nan, 5.0], [-np.inf, np.inf], [0.5, 2.5]], np.float32)
    found = jax.jit(lambda k: rollout(task, k, 3, 1, lambda key: given))(jax.random.key(0))
    np.testing.assert_array_equal(found["observation"][0], [[0, 3], [-1, 3], [0.5, 2.5]])


def test_discrete_spaces_are_counted_from_zero():
    task = registry.make(f"{OWN}:Rooms(max_episode_steps=50, workers=1)")
    assert (task.states, task.actions, task.observation_shape) == (4, 2, ())
    found = jax.tree.map(np.asarray, jax.jit(lambda k: rollout(task, k, 2, 20))(jax.random.key(0)))
    assert set(found["observation"].ravel().tolist()) == {0, 1, 2, 3}
    previous = np.concatenate([found["start"][None], found["observation"][:-1]])
    np.testing.assert_array_equal(found["observation"], (previous + found["action"]) % 4)


@pytest.mark.parametrize("kind", [Tabular, DQN, PPO, A2C])
def test_a_policy_uses_the_numbering_of_the_environment(kind):
    learner = kind(env=f"{OWN}:Rooms(max_episode_steps=50, workers=1)")
    learner.check()
    model = jax.jit(lambda: learner.model(learner.init(jax.random.key(0))))()
    if kind is Tabular:
        model = jax.tree.map(lambda q: jnp.asarray(np.eye(2)[[0, 1, 1, 0]], q.dtype), model)
    policy, inside = learner.policy(model), learner.policy_inside(model)
    seen = np.arange(10, 14)
    np.testing.assert_array_equal(policy(seen), inside(seen - 10) - 1)
    assert [int(policy(int(s))) for s in seen] == policy(seen).tolist()
    if kind is Tabular:
        assert policy(seen).tolist() == [-1, 0, 0, -1]
    for stranger in (0, 14, [10, 9], 10.5):
        with pytest.raises(UsageError, match="a whole number from 10 to 13, got"):
            policy(stranger)


def test_a_policy_refuses_an_observation_of_another_shape():
    learner = DQN(env="CartPole-v1")
    learner.check()
    policy = learner.policy(jax.jit(lambda: learner.model(learner.init(jax.random.key(0))))())
    assert policy(np.zeros((3, 4))).shape == (3,)
    with pytest.raises(UsageError, match=r"has shape \(4,\).*got shape \(5,\)"):
        policy(np.zeros(5))


def test_the_fields_of_a_task():
    task = registry.make("gymnasium:MountainCarContinuous-v0(workers=1)")
    assert (task.actions, task.states, task.horizon, task.origin) == (0, 0, 999, "host")
    assert task.action_shape == (1,)
    space = gymnasium.make("MountainCarContinuous-v0").observation_space
    assert isinstance(space, gymnasium.spaces.Box)
    np.testing.assert_array_equal(task.observation_low, space.low)
    np.testing.assert_array_equal(task.observation_high, space.high)


def test_no_two_histories_have_the_same_hash():
    def marks(actions):
        def fold(mark, action):
            after = callback._next_hash(mark, action)
            return after, after

        return jax.lax.scan(fold, callback._start_hash(jnp.uint32(7)), actions)[1]

    every = np.asarray(list(itertools.product(range(3), repeat=9)), np.uint8)
    floats = np.random.default_rng(0).normal(size=(1000, 9, 4)).astype(np.float32)
    found, of_floats = jax.jit(lambda *actions: [jax.vmap(marks)(a) for a in actions])(every, floats)
    found = np.asarray(found).reshape(-1, 9, 2)
    per_half = [len(np.unique(found[:, -1, half])) for half in (0, 1)]
    assert min(per_half) > len(every) - 3, "each half alone is nearly enough"
    prefixes = {tuple(m) for t in range(9) for m in found[:, t].tolist()}
    assert len(prefixes) == sum(3**t for t in range(1, 10))
    assert len(np.unique(np.asarray(of_floats)[:, -1], axis=0)) == 1000


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gymnasium:CartPol-v1", "did you mean 'CartPole-v1'"),
        (
            "gymnasium:Zzzz-v9",
            "unknown environment 'Zzzz-v9' of Gymnasium; the nearest of [0-9]+:( [^ ]*,?){5}$",
        ),
        ("CliffWalking-v1", "Gymnasium has one: did you mean 'gymnasium:CliffWalking-v1'"),
        ("gymnasium:Blackjack-v1", "observations must be one array, got Tuple"),
        (f"{OWN}:Dictionary(max_episode_steps=5)", "observations must be one array, got Dict"),
        (
            f"{OWN}:Several(max_episode_steps=5)",
            "the action space must be Discrete or a Box of floats, got MultiDiscrete",
        ),
        (
            f"{OWN}:Steering",
            r"no time limit.*set it: tests.rl.host_envs:Steering\(max_episode_steps=1000\)",
        ),
        (f"{OWN}:Counting(what='nan-reward', max_episode_steps=5)", "the reward of step 3 is NaN"),
        (f"{OWN}:Counting(what='nan-observation', max_episode_steps=5)", "the observation of step 3 is NaN"),
        (
            f"{OWN}:Counting(what='short-observation', max_episode_steps=5)",
            r"does not work: it returned an observation of shape \(1,\).*in step 3 of random actions",
        ),
        (f"{OWN}:Counting(width=5, max_episode_steps=5)", "unexpected keyword argument 'width'"),
        (f"{OWN}:NoEnvironment", "NoEnvironment' is no environment: it is not a subclass of Env"),
        (f"{OWN}:Nothing", "cannot import environment"),
        ("no_such_module:Env", "cannot import environment 'no_such_module:Env'.*No module named"),
        ("gymnasium:CartPole-v1(workers=0)", "workers must be a whole number above 0, got 0"),
        ("gymnasium:CartPole-v1(timeout='long')", "timeout must be a number above 0, got 'long'"),
        ("gymnasium:CartPole-v1(max_episode_steps=2.5)", "max_episode_steps must be a whole number"),
    ],
)
def test_bad_environments_are_refused_in_one_line(name, message):
    with pytest.raises(UsageError, match=message) as refused:
        registry.make(name)
    assert "\n" not in str(refused.value)


def test_an_id_registered_in_this_process_only_is_refused():
    gymnasium.register("HereOnly-v0", "tests.rl.host_envs:Counting")
    try:
        with pytest.raises(
            UsageError, match=r"in this process only.*gymnasium:MODULE:HereOnly-v0.*MODULE:Class"
        ):
            registry.make("gymnasium:HereOnly-v0")
    finally:
        del gymnasium.registry["HereOnly-v0"]


@pytest.mark.parametrize("kind", [DQN, Tabular])
@pytest.mark.parametrize("setting", ["env", "held_out"])
def test_a_class_instead_of_a_name_is_refused_with_advice(kind, setting):
    with pytest.raises(UsageError, match=f"{setting} must be a str, got <class.*'module:Class'"):
        kind(**{setting: gymnasium.Env})


def test_a_class_in_the_current_folder_is_found(tmp_path, monkeypatch):
    text = "from tests.rl.host_envs import Counting\n\n\nclass Mine(Counting):\n    pass\n"
    (tmp_path / "my_own_world.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("/nowhere")  # puts sys.path back afterwards
    assert registry.make("my_own_world:Mine(max_episode_steps=5, workers=1)").actions == 3


def test_a_resumed_run_continues_in_the_same_episodes(tmp_path):
    learner = Wanderer(env=CARTPOLE, num_envs=2, evaluation_episodes=3)
    cache = registry.make(CARTPOLE).environment.cache
    before = cache.replayed
    harness.check_resume_is_exact(sweep(learner, {"bias": [0.5, 0.3]}), 40, tmp_path)
    assert cache.replayed > before


def test_recovered_failures_change_no_run(tmp_path, caplog):
    folder = tmp_path / "faults"
    folder.mkdir()
    learner = Wanderer(
        env=f"{OWN}:Counting(length=20, what='die', at=4, trace='{folder}', max_episode_steps=9, workers=2)",
        num_envs=2, evaluation_episodes=2,
    )  # fmt: skip
    population = sweep(learner, seeds=2)
    undisturbed = harness.states(harness.trained(population, 20))
    (folder / "one").touch()
    with caplog.at_level(logging.WARNING, "populace"):
        disturbed = harness.states(harness.trained(population, 20))
    assert "its process ended with exit code 3, in step 4" in caplog.text
    for member, leaves in undisturbed.items():
        harness.assert_identical(leaves, disturbed[member])


def test_repeated_failures_end_the_run_with_one_line_and_it_can_continue(tmp_path):
    folder = tmp_path / "faults"
    folder.mkdir()
    learner = Wanderer(
        env=f"{OWN}:Counting(length=20, what='raise', at=3, trace='{folder}', max_episode_steps=9)",
        num_envs=2, evaluation_episodes=2,
    )  # fmt: skip
    population = sweep(learner)
    engine = harness.trained(population, 10)
    for i in range(100):
        (folder / str(i)).touch()
    with pytest.raises(RunError, match="fails repeatedly") as ended, host_errors.reraised():
        engine.train(60, window=50, evaluate_every=0)
    assert "\n" not in str(ended.value)
    for file in folder.iterdir():
        file.unlink()
    harness.trained(population, 10)


@pytest.mark.slow
def test_every_invariant_holds(tmp_path):
    dqn = DQN(
        env=CARTPOLE, hidden_sizes=(8,), batch_size=8, warmup=16, replay_storage=64, replay_capacity=64.0,
        evaluation_episodes=2, num_envs=2,
    )  # fmt: skip
    harness.check_learner(dqn, {"learning_rate": [1e-2, 1e-3]}, 60, tmp_path)

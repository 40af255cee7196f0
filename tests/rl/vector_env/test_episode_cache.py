"""The cache as a function: equal questions get equal answers, wherever environments are, whatever fails."""

import logging
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from populace.core.errors import RunError
from populace.rl.vector_env.episode_cache import START, EpisodeCache, StepRequest
from populace.rl.vector_env.process import messages
from populace.rl.vector_env.process.making import Spec
from populace.rl.vector_env.process.probing import EnvInfo
from populace.rl.vector_env.slots import Slots
from populace.rl.vector_env.worker_pool import WorkerPool
from tests.rl import host_envs

HORIZON = 9


def cache_of(cls: str = "Counting", count: int = 1, deterministic: bool = True, **arguments) -> EpisodeCache:
    """Return the cache of one of the small environments, without probing it."""
    arguments = {"length": 20} | arguments
    worker_pool = WorkerPool(cls, Spec(False, f"tests.rl.host_envs:{cls}", arguments, HORIZON), count, 60.0)
    env_info = EnvInfo(None, None, HORIZON, 1e-5, "", deterministic)
    return EpisodeCache(worker_pool, messages.record(("<f4", (3,)), ("|u1", ())), env_info)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where each file stands for one fault to come."""
    (tmp_path / "faults").mkdir()
    return tmp_path / "faults"


class Episodes:
    """What a program carries of its episodes, in NumPy; history hashes come from Python's own `hash`."""

    def __init__(self, cache: EpisodeCache, seeds: list[int], rule: int = 0) -> None:
        self.cache, self.rule, self.steps, n = cache, rule, 0, len(seeds)
        found = cache.begin(np.asarray(seeds, np.uint32))
        self.seed, self.obs_checksum = found["next_seed"].copy(), found["obs_checksum"].copy()
        self.t = np.zeros(n, np.int32)
        self.history_hash = self.seed.astype(np.uint64) | np.uint64(START << 32)
        self.history = np.zeros((n, HORIZON), np.uint8)
        self.results: list[tuple] = [tuple(found["observation"][:, 1].tolist())]

    def query(self) -> StepRequest:
        rows = np.arange(len(self.seed))
        self.history[rows, self.t] = (self.t + rows + self.rule) % 3
        after = [
            hash((int(seed), *actions[: t + 1].tolist())) & (2**63 - 1)
            for seed, actions, t in zip(self.seed, self.history, self.t)
        ]
        fresh = (self.seed * np.uint32(7) + np.uint32(1)) & np.uint32(0x7FFFFFFF)
        return StepRequest(
            self.seed,
            self.t,
            self.history_hash,
            np.asarray(after, np.uint64),
            self.obs_checksum,
            fresh,
            self.history,
        )

    def step(self, times: int = 1) -> "Episodes":
        for _ in range(times):
            query = self.query()
            found = self.cache.step(query)
            done = found["terminated"] | found["truncated"]
            self.results.append(
                (
                    found["observation"].tolist(),
                    found["final_observation"][done].tolist(),
                    found["reward"].tolist(),
                    done.tolist(),
                )
            )
            self.seed = np.where(done, found["next_seed"], self.seed)
            self.t = np.where(done, 0, self.t + 1)
            begun = found["next_seed"].astype(np.uint64) | np.uint64(START << 32)
            self.history_hash = np.where(done, begun, query.next_hash)
            self.obs_checksum = found["obs_checksum"].copy()
        return self

    def moved(self, cache: EpisodeCache) -> "Episodes":
        """Return the same episodes, asked of another cache: what a resume is."""
        other = object.__new__(Episodes)
        other.__dict__.update(
            self.__dict__ | {"cache": cache, "results": list(self.results), "history": self.history.copy()}
        )
        return other


SEEDS = [3, 5, 7, 9, 11]


@pytest.fixture(scope="module")
def reference():
    """30 steps of undisturbed episodes, in two processes. Read only."""
    cache = cache_of(count=2)
    found = Episodes(cache, SEEDS).step(30)
    assert cache.replayed == 0
    assert len(cache.slots) == len(SEEDS)
    cache.close()
    return found.results


def test_answers_equal_those_of_the_environment(reference):
    for row, seed in enumerate(SEEDS):
        env = gymnasium.wrappers.TimeLimit(host_envs.Counting(length=20), HORIZON)
        seed, t = seed, 0
        env.reset(seed=seed)
        for observations, _, rewards, done in reference[1:]:
            seen, reward, _, truncated, _ = env.step((t + row) % 3)
            t += 1
            if truncated:
                seed, t = (seed * 7 + 1) & 0x7FFFFFFF, 0
                seen, _ = env.reset(seed=seed)
            assert (observations[row], rewards[row], done[row]) == (seen.tolist(), reward, truncated)


def test_another_cache_continues_in_the_same_episodes(reference):
    first, second = cache_of(count=2), cache_of()
    half = Episodes(first, SEEDS).step(14)
    first.close()
    assert half.moved(second).step(16).results == reference
    assert second.replayed == len(SEEDS)
    second.close()


def test_interleaved_episodes_change_nothing(reference):
    cache = cache_of()
    ours = Episodes(cache, SEEDS)
    for _ in range(3):
        Episodes(cache, [1, 2, 3, 4, 5], rule=1).step(25)  # as many: they take the place of ours
        ours.step(10)
    assert ours.results == reference
    assert 0 < cache.replayed <= 2 * len(SEEDS)
    assert len(cache.slots) <= 3 * len(SEEDS)
    cache.close()


def test_equal_episodes_have_separate_environments():
    cache = cache_of()
    twins = Episodes(cache, [3, 3, 3]).step(12)
    alone = Episodes(cache, [3]).step(12)
    assert [results[0][0] for results in twins.results[1:]] == [
        results[0][0] for results in alone.results[1:]
    ]
    assert cache.replayed == 0
    cache.close()


def test_a_repeated_question_needs_no_replay():
    cache = cache_of()
    episodes = Episodes(cache, SEEDS).step(5)
    query = episodes.query()
    first = cache.step(query)
    for _ in range(30):
        again = cache.step(query)
        for field in ("observation", "reward", "terminated", "truncated", "obs_checksum"):
            np.testing.assert_array_equal(again[field], first[field])
    assert cache.replayed == 0
    assert len(cache.slots) == len(SEEDS)
    cache.close()


def test_evaluations_reuse_the_slots_of_the_previous_one():
    cache = cache_of()
    training = Episodes(cache, SEEDS)
    sizes = []
    for k in range(6):
        training.step(4)
        Episodes(cache, [100 + 10 * k + i for i in range(3)]).step(HORIZON)
        sizes.append(len(cache.slots))
    assert set(sizes) == {len(SEEDS) + 3}
    assert cache.replayed == 0
    cache.close()


def test_abandoned_slots_are_free_after_two_horizons():
    slots = Slots(HORIZON)
    slots.next_call()
    given_up = slots.allocate(4, 4, reset=True)
    for _ in range(2 * HORIZON):
        slots.next_call()
        assert set(slots.allocate(1, 7, reset=False)).isdisjoint(given_up)
    slots.next_call()
    assert slots.allocate(1, 7, reset=False)[0] in given_up


@pytest.mark.parametrize("what", ["raise", "die"])
def test_a_single_failure_changes_nothing(what, folder, reference, caplog):
    cache = cache_of(count=2, what=what, at=4, trace=str(folder))
    episodes = Episodes(cache, SEEDS).step(2)
    (folder / "one").touch()
    with caplog.at_level(logging.WARNING, "populace"):
        assert episodes.step(28).results == reference
    (line,) = caplog.messages
    why = "ZeroDivisionError: the wheel came off" if what == "raise" else "its process ended with exit code 3"
    slot, seed = int(line.split()[1]), int(line.partition("seed ")[2].partition(";")[0])
    assert seed == SEEDS[slot]
    assert line == (
        f"environment {slot} of 'Counting' (worker {slot % 2}): {why}, in step 4 of the episode with seed "
        f"{seed}; restarted, and its episode replayed"
    )
    assert cache.warnings.counts == {"failed": 1}
    cache.close()


def test_environments_lost_with_another_are_restored_without_a_warning(folder, reference, monkeypatch):
    cache = cache_of(what="raise", at=4, trace=str(folder))
    ours = Episodes(cache, SEEDS).step(2)
    others = Episodes(cache, [2, 4]).step(2)
    # The first row raises; while it is replayed, its process dies, and with it all that had gone well.
    (folder / "1-raise").touch()
    step = cache.worker_pool.step

    def and_then(slots, replays):
        report = step(slots, replays)
        if list(report.failed.values()) == ["ZeroDivisionError: the wheel came off"]:
            (folder / "2-die").touch()
        return report

    monkeypatch.setattr(cache.worker_pool, "step", and_then)
    ours.step(3)
    assert cache.warnings.counts["failed"] == 2
    others.step(1)
    assert ours.results[:4] == reference[:4]
    after = [results[0][1:] for results in ours.results[4:]]
    assert after == [results[0][1:] for results in reference[4:6]], "all but the row that was cut"
    assert cache.warnings.counts["failed"] == 2
    cache.close()


def test_an_episode_that_cannot_continue_is_truncated():
    cache = cache_of(what="raise", at=4)
    episodes = Episodes(cache, [3]).step(4)
    before, (observations, final, reward, done) = episodes.results[-2], episodes.results[-1]
    assert done == [True]
    assert reward == [0.0]
    assert final == before[0], "what is bootstrapped is what was seen before the fault"
    assert int(episodes.seed[0]) == 3 * 7 + 1
    env = host_envs.Counting()
    assert observations[0] == env.reset(seed=22)[0].tolist()
    cache.close()


def test_repeated_failures_end_the_run_with_one_line():
    cache = cache_of(what="raise", at=4)
    with pytest.raises(RunError, match="'Counting' fails repeatedly: 3 episodes in a row") as ended:
        Episodes(cache, SEEDS).step(4)
    assert "ZeroDivisionError: the wheel came off" in str(ended.value)
    assert str(ended.value).endswith("; fix it, then Run.load(folder).resume()")
    assert ended.value.command_line.endswith("; fix it, then continue with `populace resume`")
    assert "\n" not in str(ended.value)
    cache.close()


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("short-observation", r"an observation of shape \(1,\), but observation_space has shape \(3,\)"),
        ("reward-array", r"a reward of shape \(1,\), expected one number"),
    ],
)
def test_a_result_that_does_not_fit_ends_the_run_at_once(what, told):
    cache = cache_of(what=what, at=4)
    where = (
        f"environment 0 of 'Counting' .worker 0.: it returned {told}, in step 4 of the episode with seed 3;"
    )
    with pytest.raises(RunError, match=where) as ended:
        Episodes(cache, [3]).step(4)
    assert "\n" not in str(ended.value)
    assert cache.warnings.counts["failed"] == 0
    cache.close()


def test_a_seed_that_fails_in_reset_is_skipped(caplog):
    cache = cache_of("Refusing")
    with caplog.at_level(logging.WARNING, "populace"):
        episodes = Episodes(cache, [4, 5])
    assert episodes.seed.tolist() == [5, 5]
    assert "ValueError: even, in the reset with seed 4" in caplog.text
    episodes.step(12)
    assert all(seed % 2 for seed in episodes.seed)
    cache.close()


@pytest.mark.parametrize(("what", "field"), [("nan-reward", "reward"), ("nan-observation", "observation")])
def test_nan_is_reported(what, field, caplog):
    cache = cache_of(what=what, at=2)
    with caplog.at_level(logging.WARNING, "populace"):
        Episodes(cache, [3]).step(3)
    assert caplog.messages == [
        f"environment 0 of 'Counting' (worker 0): the {field} is NaN, in step 2 of the episode with seed 3"
    ]
    cache.close()


def test_nondeterminism_is_reported_once(caplog):
    first, second = cache_of("Drifting"), cache_of("Drifting")
    with caplog.at_level(logging.WARNING, "populace"):
        half = Episodes(first, SEEDS).step(3)
        half.moved(second).step(2)
    results = [m for m in caplog.messages if "not deterministic" in m]
    assert len(results) == 1
    assert second.warnings.counts["nondeterministic"] == len(SEEDS)
    first.close()
    second.close()


def test_a_closed_cache_raises():
    cache = cache_of()
    episodes = Episodes(cache, [3])
    cache.close()
    with pytest.raises(RunError, match="closed"):
        episodes.step()

"""How many members are computed at a time: what `auto` makes of its timings, and what it remembers."""

import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.engine import strategy
from populace.engine.placement import place
from populace.engine.strategy import check, choose
from populace.engine.training_loop import Engine
from tests.learners import Quadratic


@pytest.fixture
def timed(monkeypatch, tmp_path):
    """Widths that were timed; the narrower a batch, the quicker, and nothing is remembered from before."""
    widths: list[int] = []

    def seconds(program: strategy.Program) -> float:
        widths.append(program.width)
        return 1e-3 * program.width

    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path))
    monkeypatch.setattr(strategy, "_seconds_per_step", seconds)
    return widths


def chosen(seeds: int, name: str = "auto") -> strategy.BatchingChoice:
    group = sweep(Quadratic(), seeds=seeds).groups[0]
    return choose(name, group, 0, place(seeds, 1), lambda line: None)[0]


def test_auto_takes_the_quickest_and_says_by_how_much(timed):
    found = chosen(4)
    assert (found.strategy, found.width) == ("map", 1)
    assert found.seconds_per_step == {"vmap": 4e-3, "map": 1e-3}
    assert "vmap 4 ms, map 1 ms" in found.why
    assert timed == [4, 1]


def test_chunks_are_timed_where_there_are_members_for_several(timed):
    chosen(17)
    assert timed == [17, 1, 8]


def test_a_choice_is_remembered_for_the_same_members_only(timed):
    first, again = chosen(4), chosen(4)
    assert timed == [4, 1]
    assert (again.strategy, again.width) == (first.strategy, first.width)
    assert again.why.endswith(", measured before")
    chosen(5)
    assert timed == [4, 1, 5, 1]


def test_a_number_is_as_many_members_at_a_time(timed):
    assert (chosen(4, "3").width, chosen(2, "3").width, chosen(1).width) == (3, 2, 1)
    assert timed == []


def test_a_name_or_a_number_of_at_least_one():
    assert [check(name) for name in ("auto", "vmap", "map", "3", 3)] == ["auto", "vmap", "map", "3", "3"]
    for wrong in ("0", 0, -1, "1.5", 1.5, True, "fast", ""):
        with pytest.raises(UsageError, match="strategy must be auto, vmap, map or a number"):
            check(wrong)


def test_single_members_replay_on_the_devices_that_auto_took_and_fewer_devices_are_told():
    population = sweep(Quadratic(), {"width": [2, 3]}, seeds=1)
    first = Engine(population, "auto")
    names, lines = [c.choice.strategy for c in first.group_states], []
    again = Engine(population, names, 99, lines.append)
    devices = [[len(c.program.placement.devices) for c in e.group_states] for e in (first, again)]
    assert devices[0] == devices[1]
    assert len(lines) == 1
    assert lines[0].startswith("99 devices were asked for and ")

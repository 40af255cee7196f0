"""Joined: what processes give one another arrives, and who does not come is named."""

import numpy as np
import pytest

from populace.core.errors import RunError
from populace.engine.hosts import joined as room
from populace.engine.hosts.joined import LostError
from tests.engine.hosts.exchange import Store, at_once, processes


def test_all_get_what_all_gave_again_and_again_and_old_messages_are_gone():
    store = Store()

    def work(joined):
        return [joined.exchange(b"%d/%d" % (joined.index, i), "a test") for i in range(5)]

    expected = [[b"%d/%d" % (who, i) for who in range(3)] for i in range(5)]
    assert at_once(processes(3, store=store), work) == [expected] * 3
    assert {key.split("/")[1] for key in store.entries} == {"3", "4"}


def test_what_only_the_first_is_to_know_keeps_nobody_waiting():
    first, second = processes(2)
    sent = [second.exchange(b"%d" % i, "a test", everywhere=False) for i in range(3)]
    assert sent == [[b"0"], [b"1"], [b"2"]]
    assert [first.exchange(b"", "a test", everywhere=False)[1] for _ in range(3)] == [b"0", b"1", b"2"]


def test_lanes_do_not_mix():
    def work(joined):
        lanes = ("main", "other") if joined.index else ("other", "main")
        give = {"what": "a test", "everywhere": False}
        return {lane: joined.exchange(lane.encode(), lane=lane, **give)[-1] for lane in lanes}

    assert at_once(processes(2), work) == [{"main": b"main", "other": b"other"}] * 2


def test_who_does_not_come_is_named_by_the_first_process():
    first, second, *_ = processes(4, limit=0.1)
    second.exchange(b"", "window 7", everywhere=False)
    with pytest.raises(LostError) as error:
        first.exchange(b"", "window 7")
    assert str(error.value).startswith(
        "process 2 on n2, process 3 on n3 did not come to 'window 7' within 0.1 seconds, and the others end"
    )
    assert error.value.exit_code == 75


def test_a_first_process_that_stands_still_is_named_by_the_others(monkeypatch):
    monkeypatch.setattr(room, "_REPORTS_FIRST", 0.1)
    _, second = processes(2, limit=0.1)
    with pytest.raises(LostError, match="process 0 on n0 did not come to 'window 7'"):
        second.exchange(b"", "window 7")


@pytest.mark.parametrize("call", ["put", "get", "exchange"])
def test_a_first_process_that_is_gone_is_named_by_whoever_asks(call):
    second = processes(2)[1]
    second.agent.ended, second.doing = True, "window 7"
    asked = {"put": ("a", b""), "get": ("a", 1.0, [0]), "exchange": (b"", "window 7")}[call]
    with pytest.raises(
        LostError, match="process 0 on n0 was lost during 'window 7'; `populace resume` goes on"
    ):
        getattr(second, call)(*asked)


def test_of_many_that_are_missing_the_first_are_named():
    assert processes(9)[0].called(range(1, 9)).endswith("process 5 on n5 and 3 more")


def test_arrays_arrive_as_they_were():
    given = {"a": np.ones((2, 3), np.float32), "file": np.array([np.nan, -np.inf]), "": np.int32(4)}
    found = room.unpack_arrays(room.pack_arrays(given))
    assert found.keys() == given.keys()
    for name, x in given.items():
        assert found[name].dtype == x.dtype
        np.testing.assert_array_equal(found[name], x)


@pytest.mark.parametrize("value", ["0", "-3", "soon", "nan"])
def test_a_limit_that_is_none_is_refused(value):
    with pytest.raises(RunError, match="POPULACE_HOST_LIMIT must be a number of seconds above 0"):
        room.limit({"POPULACE_HOST_LIMIT": value})
    assert room.limit({}) == 600
    assert room.limit({"POPULACE_HOST_LIMIT": "2.5"}) == 2.5

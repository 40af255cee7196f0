"""Watchdog: a process that gives no sign of life is named, and all end with one line and one exit code."""

import json
import threading

import pytest

from populace.engine.hosts import together, watchdog
from populace.engine.hosts.agent import GONE
from tests.engine.hosts.exchange import Store, processes


class Ended(Exception):  # noqa: N818  it stands for the end of a process
    pass


@pytest.fixture(autouse=True)
def _ends(monkeypatch):
    def end(code):
        raise Ended(code)

    monkeypatch.setattr(watchdog.os, "_exit", end)
    monkeypatch.setattr(watchdog, "_APART", 0.01)
    monkeypatch.setattr(watchdog, "SILENT", 0.2)
    yield
    together.become(None)


def watched(joined):
    """Return the exit code of a process that watches."""
    together.become(joined)
    with pytest.raises(Ended) as ended:
        watchdog._watch(joined)
    return ended.value.args[0]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("index", [0, 1])
def test_a_silent_process_is_named_and_nothing_is_written_before_the_lock_is_released(index, capsys):
    mine, released = processes(2)[index], []
    mine.doing = "window 7"
    with together.if_lost(lambda: released.append(True)):
        assert watched(mine) == 75
    line = f"populace: process {1 - index} on n{1 - index} was lost during 'window 7'; `populace resume`"
    assert capsys.readouterr().err.startswith(line)
    assert released == [True]
    assert together.joined() is None


@pytest.mark.timeout(60)
def test_one_that_gives_signs_of_life_is_let_be_until_it_stops():
    store, beats = Store(), 40
    first, second = processes(2, store=store)
    alive = threading.Event()

    def live():
        for number in range(beats):
            second.agent.call("key_value_set", "beats/1", str(number), True)
            alive.wait(0.02)
        alive.set()

    thread = threading.Thread(target=live)
    thread.start()
    assert watched(first) == 75
    assert alive.is_set()
    thread.join()


@pytest.mark.timeout(60)
def test_one_that_was_killed_is_named_at_once(capsys):
    store = Store()
    store.entries[f"{GONE}1"] = ""
    assert watched(processes(3, store=store)[2]) == 75
    assert "process 1 on n1 was lost" in capsys.readouterr().err


@pytest.mark.timeout(60)
def test_who_learns_that_all_end_says_nothing(capsys):
    store = Store()
    store.entries["news/end"] = json.dumps({"by": 0, "code": 143, "message": "stopped"})
    assert watched(processes(2, store=store)[1]) == 143
    assert capsys.readouterr().err == ""


def test_the_first_that_ends_says_why_and_gives_the_code():
    store = Store()
    first, second = processes(2, store=store)
    together.become(second)
    assert watchdog.end("the disk is full", 1) == (True, 1)
    together.become(first)
    assert watchdog.end("stopped", 143) == (False, 1)
    assert first.agent.left
    assert together.joined() is None
    assert watchdog.end("alone", 2) == (True, 2)


def test_where_the_service_has_ended_one_of_the_others_speaks():
    said = []
    for joined in processes(3)[1:]:
        joined.agent.ended = True
        together.become(joined)
        said.append(watchdog.end("process 0 was lost", 75))
    assert said == [(True, 75), (False, 75)]


@pytest.mark.timeout(60)
def test_one_that_has_left_is_not_missed(monkeypatch):
    store = Store()
    first, second, third = processes(3, store=store)
    together.become(second)
    watchdog.leave(second)
    assert second.agent.left
    assert together.joined() is None
    said = []
    monkeypatch.setattr(watchdog, "_lost", lambda joined, who: said.append(who) or watchdog._exit(75))
    assert watched(first) == 75
    assert said == [[third.index]]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("entry", [{}, {"news/end": json.dumps({"by": 1, "code": 1, "message": "full"})}])
def test_while_the_main_thread_ends_the_process_the_watchdog_neither_speaks_nor_ends_it(entry, capsys):
    store = Store()
    store.entries |= entry
    mine = processes(2, store=store)[1]
    mine.ending.acquire()
    together.become(mine)
    with pytest.raises(SystemExit):
        watchdog._watch(mine)
    assert capsys.readouterr().err == ""


@pytest.mark.timeout(60)
def test_while_the_watchdog_ends_the_process_the_main_thread_is_silent(monkeypatch):
    monkeypatch.setattr(watchdog, "_ENDING", 0.01)
    mine = processes(2)[1]
    mine.ending.acquire()
    together.become(mine)
    assert watchdog.end("process 0 was lost", 75) == (False, 75)

"""Together: a process alone is answered at once, and several get the same answers."""

import threading

import jax.numpy as jnp
import numpy as np

from populace.engine import hosts
from populace.engine.hosts import together
from tests.engine.hosts.exchange import at_once, processes


def test_one_process_is_the_writer_and_reads_copies():
    array = jnp.arange(3)
    found = hosts.fetch(array)
    found[0] = 7
    np.testing.assert_array_equal(array, [0, 1, 2])
    assert hosts.is_writer()
    assert (hosts.index(), hosts.count()) == (0, 1)
    assert (hosts.any_of(True), hosts.any_of(False)) == (True, False)
    assert hosts.from_writer([1], "a test") == [1]
    assert hosts.gathered("a", "a test") == ["a"]
    hosts.barrier("a test")


def test_several_processes_agree(monkeypatch):
    def work(joined):
        given = {"index": np.asarray([joined.index]), "mine": np.full(2, joined.index)}
        return [
            (together.index(), together.count(), together.is_writer()),
            hosts.any_of(joined.index == 1), hosts.any_of(True), hosts.any_of(False),
            hosts.from_writer(f"from {joined.index}", "a test"),
            hosts.gathered([joined.index, None], "a test"),
            [int(x["mine"].sum()) for x in together.arrays(given, "a test")],
            [int(x["index"][0]) for x in together.arrays(given, "a test", everywhere=False)],
        ]  # fmt: skip

    of = threading.local()
    monkeypatch.setattr(together, "_joined", _Of(of))

    def run(joined):
        of.joined = joined
        return work(joined)

    found = at_once(processes(3), run)
    for i, answers in enumerate(found):
        assert answers[0] == (i, 3, i == 0)
        assert answers[1:7] == [True, True, False, "from 0", [[0, None], [1, None], [2, None]], [0, 2, 4]]
        assert answers[7] == ([0, 1, 2] if i == 0 else [i])


class _Of:
    """Stands for the process of whichever thread asks."""

    def __init__(self, of):
        self._of = of

    def __getattr__(self, name):
        return getattr(self._of.joined, name)


def test_what_is_due_before_the_end_is_done_while_the_block_lasts_and_errors_stop_nothing():
    done = []
    with together.if_lost(lambda: done.append("over")):
        pass
    with together.if_lost(lambda: done.append("outer")), together.if_lost(lambda: 1 / 0):
        together.before_ending()
    together.before_ending()
    assert done == ["outer"]

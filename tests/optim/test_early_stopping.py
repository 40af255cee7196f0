"""Rules of early stopping on given losses and scores."""

from typing import Any

import jax
import numpy as np
import pytest

from populace.optim.early_stopping import EarlyStopping, Never, Patience, Window

LOSSES = [1.0, 0.9, 0.8, 0.7, 0.75, 0.95, 0.6, 0.99]


def stopped_at(rule: EarlyStopping, scores: list[float]) -> list[int]:
    """Return after each epoch when the member stopped, or -1; steps are ten an epoch."""

    def after(seen: Any, given: Any) -> Any:
        seen = rule.after(seen, *given)
        return seen, seen.stopped_at

    given = (np.arange(10, 90, 10, dtype=np.int32), np.float32(LOSSES), np.float32(scores))
    return jax.jit(lambda given: jax.lax.scan(after, rule.start(), given)[1])(given).tolist()


EVEN = [0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]


@pytest.mark.parametrize(
    ("rule", "scores", "expected"),
    [
        # 0.95 is the first above the mean of the three before it, 0.8, 0.7 and 0.75.
        (Window(epochs=3), EVEN, [-1] * 5 + [60] * 3),
        # The lowest loss is the fourth; two epochs later none is below it.
        (Patience(epochs=2), EVEN, [-1] * 5 + [60] * 3),
        (Patience(epochs=3), EVEN, [-1] * 8),
        (Patience(epochs=2, watch="loss-or-score"), EVEN, [-1] * 5 + [60] * 3),
        # A score that is as good as the best is an improvement, by that rule alone.
        (Patience(epochs=2, watch="loss-or-score"), [0.5] * 8, [-1] * 8),
        (Patience(epochs=2), [0.5] * 8, [-1] * 5 + [60] * 3),
    ],
)
def test_a_rule_stops_where_its_paper_says(rule, scores, expected):
    assert stopped_at(rule, scores) == expected


def test_a_member_that_never_stops_carries_nothing():
    assert Never().start() is None
    assert not Never().enabled

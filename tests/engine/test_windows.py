"""Windows end where they are logged and evaluated, wherever training begins."""

import pytest

from populace.engine.windows import ends


@pytest.mark.parametrize(
    ("at", "steps", "window", "evaluate_every", "expected"),
    [
        (0, 10, 4, 0, [4, 8, 10]),
        (0, 10, 4, 5, [4, 5, 8, 10]),
        (6, 20, 4, 5, [8, 10, 12, 15, 16, 20]),
        (0, 3, 100, 0, [3]),
        (10, 10, 4, 5, []),
    ],
)
def test_windows_end_at_multiples_and_at_the_end(at, steps, window, evaluate_every, expected):
    assert list(ends(at, steps, window, evaluate_every)) == expected

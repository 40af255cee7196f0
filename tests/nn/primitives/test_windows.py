"""Windows of series: the formula, at the edges of the kernel's vectors, for any number of members."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.nn.primitives import windows
from populace.nn.primitives.windows import cut, windows_p

SIZES = ((1, 1), (3, 2), (8, 16), (17, 5), (24, 12), (40, 33))
"""Steps of a history and of a target."""
BEGINS = np.array([[0, 5, 17, 5, 27], [27, 26, 1, 2, 3]], np.int32)  # 27: the last of the longest
SERIES = np.random.default_rng(0).normal(size=100)


def by_hand(begin: int, window: int, horizon: int, *, less_last: bool) -> tuple[np.ndarray, np.ndarray]:
    taken = SERIES[begin : begin + window + horizon].astype(np.float32)
    taken = taken - taken[window - 1] if less_last else taken
    return taken[:window], taken[window:]


@pytest.mark.parametrize("backend", ["auto", "xla"])
def test_it_is_the_formula(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bind = windows_p.bind
    monkeypatch.setattr(windows.windows_p, "bind", lambda *a, **k: bind(*a, **k | {"backend": backend}))

    @jax.jit
    def found(values: Any, begins: Any) -> Any:
        def one(begins: Any) -> Any:
            return [cut(values, begins, *size, less_last=less) for size in SIZES for less in (False, True)]

        return jax.vmap(one)(begins)

    cuts = iter(found(SERIES.astype(np.float32), BEGINS))
    for size in SIZES:
        for less_last in (False, True):
            history, target = (np.asarray(part) for part in next(cuts))
            for place in np.ndindex(BEGINS.shape):
                expected = by_hand(int(BEGINS[place]), *size, less_last=less_last)
                np.testing.assert_array_equal(history[place], expected[0])
                np.testing.assert_array_equal(target[place], expected[1])


@pytest.mark.parametrize("backend", ["auto", "xla"])
def test_no_window_leads_outside(backend: str) -> None:
    values = SERIES.astype(np.float32)
    begins = jnp.asarray([[91, 1000, 2**31 - 1]], jnp.int32)
    sizes = {"window": 6, "horizon": 3, "less_last": False}
    history, target = windows_p.bind(values, begins, backend=backend, **sizes)
    np.testing.assert_array_equal(history[0], np.tile(values[91:97], (3, 1)))
    np.testing.assert_array_equal(target[0], np.tile(values[97:], 3))


def test_series_of_each_member_and_whole_numbers() -> None:
    values = np.arange(60).reshape(3, 20)
    found = jax.jit(jax.vmap(lambda values, begins: cut(values, begins, 4, 2, less_last=True)))(
        values, np.array([[0], [5], [14]], np.int32)
    )
    np.testing.assert_array_equal(found[0][:, 0], np.tile([-3, -2, -1, 0], (3, 1)))
    np.testing.assert_array_equal(found[1][:, 0], np.tile([1, 2], (3, 1)))

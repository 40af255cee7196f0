"""Sampling: what is kept, in which order, and that nothing becomes NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.text.generation.sampling import Sampling, chosen_from

P = np.array([0.15, 0.5, 0.05, 0.3], np.float32)
_jitted = jax.jit(chosen_from, static_argnames="unwritten")


def kept(p=P, unwritten=(), **how) -> np.ndarray:
    found = np.exp(np.asarray(_jitted(jnp.log(jnp.asarray(p)), Sampling(**how).arrays(), unwritten)))
    assert not np.isnan(found).any()
    assert found.sum() == pytest.approx(1, abs=1e-5)
    return found


def test_nothing_changes_what_the_model_says():
    assert kept() == pytest.approx(P, rel=1e-5)


@pytest.mark.parametrize(("p", "count"), [(0.6, 2), (0.85, 3), (0.0, 1), (0.5, 1), (0.96, 4), (1.0, 4)])
def test_the_token_that_crosses_p_is_kept_and_at_least_one(p: float, count: int):
    found = kept(top_p=p)
    assert np.flatnonzero(found).tolist() == sorted(np.argsort(-P)[:count])
    assert found[found > 0] == pytest.approx(P[found > 0] / P[found > 0].sum(), rel=1e-5)


def test_exactly_k_are_kept_and_ties_go_by_number():
    assert np.flatnonzero(kept(top_k=2)).tolist() == [1, 3]
    assert np.flatnonzero(kept(np.full(6, 1 / 6), top_k=4)).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(kept(np.full(6, 1 / 6), temperature=0.0)).tolist() == [0]
    assert np.count_nonzero(kept(top_k=100)) == 4


def test_temperature():
    assert kept(temperature=2.0) == pytest.approx(np.sqrt(P) / np.sqrt(P).sum(), rel=1e-5)
    assert kept(temperature=0.01) == pytest.approx([0, 1, 0, 0], abs=1e-6)
    assert kept(temperature=0.0, top_k=3, top_p=0.9) == pytest.approx([0, 1, 0, 0])
    assert kept(np.array([1e-30, 1.0, 1e-38, 0], np.float32), temperature=0.01)[1] == 1


def test_temperature_comes_before_k_and_k_before_p():
    # At temperature .5 the share of the first of two is .25 / .34 = .735; of all four .25 / .365 = .685.
    assert np.count_nonzero(kept(temperature=0.5, top_p=0.7)) == 2
    assert np.count_nonzero(kept(temperature=0.5, top_k=2, top_p=0.7)) == 1
    assert np.count_nonzero(kept(top_p=0.7)) == 2


def test_what_is_never_written_has_no_share():
    assert kept(unwritten=(1,)) == pytest.approx([0.3, 0, 0.1, 0.6], rel=1e-5)
    assert np.flatnonzero(kept(unwritten=(1,), temperature=0.0)).tolist() == [3]


@pytest.mark.parametrize(("how", "message"), [
    ({"temperature": -1}, "temperature must be at least 0, got -1"),
    ({"temperature": float("nan")}, "temperature must be at least 0"),
    ({"top_p": 1.5}, "top_p must be at least 0 and at most 1, got 1.5"),
    ({"top_k": -1}, "top_k must be at least 0"),
    ({"top_k": 2.5}, "top_k must be a whole number"),
])  # fmt: skip
def test_bad_input(how: dict, message: str):
    with pytest.raises(UsageError, match=message):
        Sampling(**how)

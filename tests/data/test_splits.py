"""Splits by share: the total is kept, every class is trained on, and none is held out of nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from populace.core.errors import UsageError
from populace.data.splits import hold_out


@pytest.mark.parametrize("each", [4, 6])
def test_many_small_classes_hold_out_the_total(each):
    """Rounded class by class, 10 % of 100 classes of 4 would be nothing, and of 6 would be 100 for 60."""
    labels = np.repeat(np.arange(100), each)
    rows, held = hold_out(labels, len(labels), 0.1, 0)
    assert len(held) == 10 * each
    assert np.bincount(labels[held]).max() == 1
    assert sorted([*rows, *held]) == list(range(len(labels)))
    others = [hold_out(labels, len(labels), 0.1, seed)[1] for seed in (0, 1)]
    assert np.array_equal(others[0], held)
    assert set(labels[others[1]]) != set(labels[held])  # which classes are rounded up is drawn


@given(
    st.lists(st.sampled_from([0, 1, 2, 3, 7, 50]), min_size=1, max_size=12),
    st.floats(0.01, 0.99),
    st.integers(0, 9),
)
def test_each_class_has_its_share_and_one_to_train_on(counts, share, seed):
    counts = np.array([*counts, 20])
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    wanted, most = round(share * len(labels)), int(np.maximum(counts - 1, 0).sum())
    if not 0 < wanted <= most:
        with pytest.raises(UsageError, match="is none; hold out more" if not wanted else "none to train on"):
            hold_out(labels, len(labels), share, seed)
        return
    rows, held = hold_out(labels, len(labels), share, seed)
    assert len(held) == wanted
    trained, out = (np.bincount(labels[part], minlength=len(counts)) for part in (rows, held))
    assert (trained[counts > 0] > 0).all()
    np.testing.assert_array_equal(trained + out, counts)
    if (share * counts <= counts - 1)[counts > 0].all():  # where no class has to give way to be kept
        assert (np.abs(out - share * counts) < 1).all()


@pytest.mark.parametrize("labels", [None, np.array([0, 1, 1, 0])])
def test_a_validation_part_of_nothing_is_refused(labels):
    with pytest.raises(UsageError, match=r"validation 0.1 of 4 examples is none; hold out more"):
        hold_out(labels, 4, 0.1, 0)
    rows, held = hold_out(labels, 4, 0.0, 0)
    assert (len(rows), len(held)) == (4, 0)

"""Example files: what is read of them, and what is told of files that are not as they should be."""

import os

import numpy as np
import pytest

from populace.core.errors import RunError, UsageError
from populace.data import example_files
from populace.data.arrays import kept
from populace.data.example_files import ExampleFiles, Selection, open_array

ZERO = np.zeros((), np.float32)


@pytest.fixture
def saved(tmp_path):
    """Files of 7 and 4 examples, as paths and arrays."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(7, 3, 2)) + 5, rng.normal(size=(4, 3, 2))
    np.save(tmp_path / "first.npy", first)
    np.save(tmp_path / "second.npy", second)
    return tmp_path / "first.npy", tmp_path / "second.npy", first, second


def mapped(*paths):
    return [open_array("x", path, mapped=True) for path in paths]


@pytest.mark.parametrize("block", [1, 2**20])
def test_rows_come_from_the_right_file_in_the_order_asked_for(saved, monkeypatch, block):
    monkeypatch.setattr(example_files, "BLOCK", block)
    *paths, first, second = saved
    origin = np.full((3, 2), 5, np.float32)
    files = ExampleFiles(mapped(*paths), origin, 100)
    assert (files.shape, files.dtype, files.row_bytes, len(files)) == ((11, 3, 2), np.float32, 24, 11)
    expected = kept(np.concatenate([first, second]), origin)
    rows = np.array([10, 0, 6, 7, 0, 3, 10], np.int32)
    np.testing.assert_array_equal(files.take(rows), expected[rows])
    np.testing.assert_array_equal(files.take(rows[:1]), expected[rows[:1]])
    np.testing.assert_array_equal(np.concatenate(list(files.blocks())), expected)


def test_bytes_stay_bytes(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(12, dtype=np.uint8).reshape(6, 2))
    files = ExampleFiles(mapped(tmp_path / "x.npy"), ZERO, 100)
    assert files.take(np.array([5, 1])).tolist() == [[10, 11], [2, 3]]
    assert (files.dtype, files.row_bytes) == (np.uint8, 2)


def test_files_are_equal_whose_content_is(saved):
    one, other, *_ = saved

    def files(*paths, origin=ZERO, memory=100):
        return ExampleFiles(mapped(*paths), origin, memory)

    assert files(one) == files(one)
    assert hash(files(one)) == hash(files(one))
    different = [files(other), files(one, one), files(one, memory=99), files(one, origin=ZERO + 1)]
    different += [ExampleFiles([mapped(one)[0][1:]], ZERO, 100), ExampleFiles([np.load(one)], ZERO, 100)]
    assert not any(files(one) == each for each in different)


def test_a_selection_is_indexed_like_an_array_and_gives_what_the_files_hold(saved):
    path, _, first, _ = saved
    origin = np.full((3, 2), 5, np.float32)
    rows = np.array([6, 2, 4])
    chosen = Selection(ExampleFiles(mapped(path), origin, 100), rows, origin)
    assert (len(chosen), chosen.shape) == (3, (3, 3, 2))
    for index in (1, -1, slice(1, 3), np.array([2, 0])):
        np.testing.assert_allclose(chosen[index], first[rows[index]], rtol=1e-6)


def test_a_file_that_changes_is_not_read(saved):
    path, *_ = saved
    files = ExampleFiles(mapped(path), ZERO, 100)
    files.take(np.array([1]))
    os.utime(path, ns=(0, 0))
    with pytest.raises(RunError, match=r"first.npy' was changed or removed while it was in use; restore it"):
        files.take(np.array([1]))
    path.unlink()
    with pytest.raises(RunError, match="was changed or removed"):
        files.take(np.array([1]))


def test_what_is_no_file_of_an_array_is_told(tmp_path):
    (tmp_path / "text.npy").write_text("no array")
    np.savez(tmp_path / "two.npz", a=np.zeros(2), b=np.zeros(3))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    for name, message in {
        "missing.npy": "x: no file '.*missing.npy'; give the path of an array that numpy.save wrote",
        "text.npy": "text.npy' is no array as numpy.save writes it",
        "two.npz": "two.npz' holds several arrays; save one with numpy.save",
        "objects.npy": "objects.npy' is no array as numpy.save writes it",
    }.items():
        with pytest.raises(UsageError, match=message) as caught:
            open_array("x", tmp_path / name, mapped=True)
        assert "\n" not in str(caught.value)
    given = [1, 2]
    assert open_array("x", given) is given

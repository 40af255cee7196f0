"""Batches of CIFAR-10, binary and of Python: damaged and malicious ones are refused by name."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from populace.images.datasets import cifar_batch, registry
from tests.images.datasets.files import Batches, attempt, flip, lay, refused


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: os.truncate(path, 1000), "has 1,000 bytes, expected 61,460 (20 x 3,073)"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "has 61,461 bytes"),
        (lambda path: flip(path, 3073 * 4, 6), "is damaged: label 6"),
        (lambda path: (path.unlink(), path.mkdir()), "no 'data_batch_3.bin'"),
    ],
    ids=["truncated", "too long", "label", "folder"],
)
def test_a_damaged_binary_batch_is_refused_by_name(
    damage: Callable[[Path], Any],
    message: str,
    given: Path,
    batches: Batches,
) -> None:
    lay("binary", given, batches)
    damage(given / "data_batch_3.bin")
    said = refused(registry.cifar)
    assert "data_batch_3.bin" in said
    assert message in said


class Evil:
    """A pickle of this runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harm",)


class Short:
    """A pickle of this is an array that says it has 20 rows and has three bytes."""

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild: Any = np.empty(0).__reduce__()[0]
        return rebuild, (np.ndarray, (0,), b"b"), (1, (20, 3072), np.dtype(np.uint8), False, b"abc")


def batch_of(**changed: Any) -> bytes:
    content = {"data": np.zeros((20, 3072), np.uint8), "labels": [0] * 20} | changed
    return pickle.dumps({key: value for key, value in content.items() if value is not None}, protocol=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no Python batch of CIFAR-10 (Ran out of input)"),
        (b"no pickle", "is no Python batch of CIFAR-10 ("),
        (pickle.dumps([1, 2]), "holds list, expected a dictionary with data and labels"),
        (batch_of(labels=None, fine_labels=[0] * 20), "holds data, fine_labels, expected a dictionary"),
        (batch_of(data=np.zeros((20, 3072))), "has data f8 (20, 3072), expected u1 (20, 3072)"),
        (batch_of(data=np.zeros((19, 3072), np.uint8)), "has data u1 (19, 3072)"),
        (batch_of(data=[0]), "has data list, expected u1"),
        (
            batch_of(data=Short()),
            "has data that are an array of 3 bytes, expected 61,440 for shape (20, 3072)",
        ),
        (batch_of(labels=[0] * 19), "has labels that are no list of 20 whole numbers"),
        (batch_of(labels=[0.5] * 20), "has labels that are no list of 20 whole numbers"),
        (batch_of(labels=[0] * 19 + [2**80]), "is damaged: label 255 in row 19, expected 0 to 9"),
        (batch_of(labels=[0, -3] + [0] * 18), "is damaged: label -1 in row 1, expected 0 to 9"),
        (batch_of(more=Evil()), "is no Python batch of CIFAR-10 (it asks for posix.mkdir, which is refused)"),
        (batch_of(more=eval), "is no Python batch of CIFAR-10 (it asks for builtins.eval, which is refused)"),
    ],
)
def test_what_is_no_python_batch_is_refused_by_name(
    content: bytes, message: str, given: Path, batches: Batches,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(given)
    lay("python", given, batches)
    (given / "data_batch_1").write_bytes(content)
    said = refused(registry.cifar)
    assert said.startswith(f"'{given / 'data_batch_1'}' ")
    assert message in said
    assert not (given / "harm").exists()


@drawn(st.data())
@hypothesis_settings(max_examples=40)
def test_a_damaged_python_batch_never_ends_in_a_traceback(choice: st.DataObject) -> None:
    """Whatever a flipped byte makes of it: one line that names it, or a batch of the right shape."""
    content = bytearray(pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]}, protocol=3))
    edges = [*range(200), *range(len(content) - 60, len(content))]  # between them are pixels
    content[choice.draw(st.sampled_from(edges))] = choice.draw(st.integers(0, 255))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar_batch, "_BATCH", 2)
        found, said = attempt(lambda: cifar_batch.parse_python(bytes(content), "batch"))
    if found is None:
        assert said.startswith("'batch' ")
    else:
        assert (found[0].shape, found[1].shape) == ((2, 32, 32, 3), (2,))

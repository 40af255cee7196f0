"""Digits and MNIST: what the real files are known to hold, and that no damaged or wrong file gets through."""

import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from populace.data import download
from populace.images import digits
from populace.images.datasets import registry
from tests.images.datasets.files import refused
from tests.places import SHARED_DATA
from tests.web import Answer, serving

needs_mnist = pytest.mark.skipif(not (SHARED_DATA / "mnist").is_dir(), reason=f"no MNIST in {SHARED_DATA}")


# -- digits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["found", "gone"])
def test_digits_are_those_of_scikit_learn(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.datasets import load_digits

    if file == "gone":
        monkeypatch.setattr(registry, "find_spec", lambda name: None)
    digits.cache_clear()
    found = digits()
    source: Any = load_digits()
    assert found.name == "digits"
    assert found.train_images.shape == (1437, 8, 8, 1)
    assert found.test_images.shape == (360, 8, 8, 1)
    values = np.concatenate([found.train_images, found.test_images])[..., 0]
    np.testing.assert_array_equal(np.round(values / 255 * 16), source.images)
    assert np.abs(values - source.images * 255 / 16).max() <= 0.5
    assert (values.min(), values.max()) == (0, 255)
    np.testing.assert_array_equal(np.concatenate([found.train_labels, found.test_labels]), source.target)
    assert found.classes == tuple("0123456789")
    assert digits() is found


# -- MNIST ---------------------------------------------------------------------------------------------


@needs_mnist
@pytest.mark.parametrize(
    "folder", [SHARED_DATA, SHARED_DATA / "mnist"], ids=["the folder above", "the folder itself"]
)
def test_mnist_is_the_real_one(folder: Path, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(folder))
    found = registry.mnist()
    assert found.name == "mnist"
    assert found.train_images.shape == (60000, 28, 28, 1)
    assert found.test_images.shape == (10000, 28, 28, 1)
    assert list(found.train_labels[:10]) == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert list(found.test_labels[:10]) == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(found.train_labels).tolist() == counts
    assert found.train_images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert found.train_images.std() / 255 == pytest.approx(0.3081, abs=1e-4)
    assert registry.mnist() is found


@pytest.fixture
def small_mnist(given: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Four files of the same names with 20 and 10 pictures, in the given folder; return their contents."""
    rng = np.random.default_rng(0)
    contents, parts = {}, []
    for part in registry._MNIST:
        shape = (20 if "train" in part.name else 10, *part.shape[1:])
        values = rng.integers(0, 256 if len(shape) == 3 else 10, shape, np.uint8)
        content = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + values.tobytes()
        packed = gzip.compress(content)
        contents[f"{part.name}.gz"] = packed
        sums = {"packed": hashlib.sha256(packed).hexdigest(), "content": hashlib.sha256(content).hexdigest()}
        parts.append(replace(part, shape=shape, **sums))
        (given / f"{part.name}.gz").write_bytes(packed)
    monkeypatch.setattr(registry, "_MNIST", tuple(parts))
    return contents


def test_mnist_may_be_packed_anew_or_not_at_all(small_mnist: dict[str, bytes], given: Path) -> None:
    first = registry.mnist()
    (given / "mnist").mkdir()
    names = iter(["train-images-idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images-idx3-ubyte.gz"])
    for name, packed in small_mnist.items():
        (given / name).unlink()
        content = gzip.decompress(packed)
        chosen = next(names, name)
        content = gzip.compress(content, compresslevel=1, mtime=7) if chosen.endswith(".gz") else content
        (given / "mnist" / chosen).write_bytes(content)
    second = registry.mnist()
    assert second is not first
    for field in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(second, field), getattr(first, field))


def test_mnist_is_downloaded_and_kept(
    small_mnist: dict[str, bytes], given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = registry.mnist()
    for name in small_mnist:
        (given / name).unlink()
    with serving() as web:
        for name, content in small_mnist.items():
            web.serve(f"good/{name}", Answer(content))
        web.serve("bad/t10k-labels-idx1-ubyte.gz", Answer(b"damaged"))
        monkeypatch.setattr(registry, "_MNIST_MIRRORS", (f"{web.url}bad/", f"{web.url}good/"))
        found = registry.mnist()
    np.testing.assert_array_equal(found.train_images, expected.train_images)
    np.testing.assert_array_equal(found.test_labels, expected.test_labels)
    assert registry.mnist() is found  # from the cache: the server is gone
    assert sorted(p.name for p in (download.data_dir() / "mnist").iterdir()) == sorted(small_mnist)


def test_mnist_offline_says_what_to_do(small_mnist: dict[str, bytes], given: Path) -> None:
    (given / "train-labels-idx1-ubyte.gz").unlink()
    said = refused(registry.mnist)
    assert said.startswith(f"mnist: no train-labels-idx1-ubyte.gz in {given}/mnist, {given}, ")
    assert "http://127.0.0.1:9/train-labels-idx1-ubyte.gz cannot be reached" in said
    assert "set POPULACE_DATA to that folder" in said


@pytest.mark.parametrize(
    ("name", "taken_from", "message"),
    [
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "begins with 00 00 08 01, expected"),
        ("train-labels-idx1-ubyte.gz", "train-images-idx3-ubyte.gz", "begins with 00 00 08 03, expected"),
        ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz", "(10, 28, 28), expected (20, 28, 28)"),
        ("t10k-labels-idx1-ubyte.gz", "train-labels-idx1-ubyte.gz", "shape (20,), expected (10,)"),
    ],
)
def test_mnist_files_that_changed_places_are_refused(
    name: str, taken_from: str, message: str, small_mnist: dict[str, bytes], given: Path
) -> None:
    (given / name).write_bytes(small_mnist[taken_from])
    said = refused(registry.mnist)
    assert said.startswith(f"'{given / name}' ")
    assert message in said


def test_another_data_set_under_the_names_of_mnist_is_refused(
    small_mnist: dict[str, bytes], given: Path
) -> None:
    name = "t10k-images-idx3-ubyte.gz"
    content = bytearray(gzip.decompress(small_mnist[name]))
    content[100] ^= 1
    (given / name).write_bytes(gzip.compress(content))
    assert f"'{given / name}' is not the published file of MNIST: unpacked it has SHA-256" in refused(
        registry.mnist
    )


def test_a_label_of_mnist_out_of_range_is_told_with_its_row(
    small_mnist: dict[str, bytes], given: Path
) -> None:
    name = "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(small_mnist[name]))
    content[8 + 3] = 17
    (given / name).write_bytes(gzip.compress(content))
    said = refused(registry.mnist)
    assert f"'{given / name}' is damaged: label 17 in row 3, expected 0 to 9" in said


def test_no_loader_depends_on_the_folder_it_is_started_in(
    given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POPULACE_DATA")
    for load in (registry.mnist, registry.cifar):
        assert f" in {given.parent}/cache/data/" in refused(load)

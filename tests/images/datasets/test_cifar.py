"""CIFAR-10 in each form it is passed on in, downloaded, and as a sample; what is damaged is named."""

import hashlib
import importlib
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from populace.images.datasets import registry
from tests.images.datasets.files import Batches, flip, lay, refused
from tests.places import SHARED_DATA
from tests.web import Answer, serving

cifar10 = importlib.import_module("populace.images.datasets.cifar")  # the module, not its function

needs_cifar = pytest.mark.skipif(
    not (SHARED_DATA / "cifar10-sample").is_dir(), reason=f"no CIFAR-10 in {SHARED_DATA}"
)


@needs_cifar
@pytest.mark.parametrize("folder", [SHARED_DATA, SHARED_DATA / "cifar10-sample"], ids=["above", "itself"])
def test_the_cifar_sample_is_the_real_one(folder: Path, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(folder))
    found = registry.cifar()
    assert found.name == "cifar10-sample"
    assert found.train_images.shape == (4000, 32, 32, 3)
    assert found.test_images.shape == (1000, 32, 32, 3)
    assert list(found.train_labels[:10]) == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert list(found.test_labels[:10]) == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    counts = [396, 366, 420, 384, 422, 393, 414, 385, 407, 413]
    assert np.bincount(found.train_labels).tolist() == counts
    scaled = found.train_images / 255
    np.testing.assert_allclose(scaled.mean((0, 1, 2)), [0.4916, 0.4818, 0.4447], atol=1e-4)
    np.testing.assert_allclose(scaled.std((0, 1, 2)), [0.2471, 0.2440, 0.2625], atol=1e-4)
    assert found.classes[6] == "frog"
    assert registry.cifar() is found


FORMS = ["binary", "python", "binary archive", "python archive"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["cifar10", "cifar-10-batches-py", "."])
def test_cifar_is_read_in_each_form(form: str, where: str, given: Path, batches: Batches) -> None:
    lay(form, given / where, batches)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = registry.cifar()
    pictures, labels = (np.concatenate([batch[i] for batch in batches.values()]) for i in (0, 1))
    assert found.name == "cifar10"
    np.testing.assert_array_equal(found.train_images, pictures[:100])
    np.testing.assert_array_equal(found.test_images, pictures[100:])
    np.testing.assert_array_equal(found.train_labels, labels[:100])
    np.testing.assert_array_equal(found.test_labels, labels[100:])
    assert found.train_images.flags.c_contiguous
    assert registry.cifar() is found


def test_cifar_is_downloaded_where_there_is_none(
    given: Path, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay("binary archive", given, batches)
    content = (given / "cifar-10-binary.tar.gz").read_bytes()
    (given / "cifar-10-binary.tar.gz").unlink()
    said = refused(registry.cifar)
    assert said.startswith(f"cifar10: no cifar-10-binary.tar.gz in {given}/cifar10, {given}, ")
    with serving() as web:
        url = web.serve("archive", Answer(content))
        sha256 = hashlib.sha256(content).hexdigest()
        archive = replace(cifar10._ARCHIVE, urls=(url,), sha256=sha256, size=len(content))
        monkeypatch.setattr(cifar10, "_ARCHIVE", archive)
        found = registry.cifar()
    assert found.name == "cifar10"
    assert registry.cifar() is found


@pytest.mark.parametrize("form", ["binary", "python"])
def test_a_batch_that_is_missing_is_named(form: str, given: Path, batches: Batches) -> None:
    lay(form, given, batches)
    suffix = ".bin" if form == "binary" else ""
    (given / f"data_batch_1{suffix}").unlink()
    assert refused(registry.cifar) == (
        f"CIFAR-10 in '{given}' has no 'data_batch_1{suffix}'; it needs all six batches"
    )


@pytest.mark.parametrize("form", ["binary archive", "python archive"])
def test_a_batch_missing_in_an_archive_is_named(form: str, given: Path, batches: Batches) -> None:
    del batches["data_batch_4"]
    lay(form, given, batches)
    assert "is no archive of CIFAR-10: it has no data_batch_4; replace it" in refused(registry.cifar)


def test_a_batch_taken_twice_is_noticed(given: Path, batches: Batches) -> None:
    lay("binary", given, batches)
    shutil.copy(given / "data_batch_1.bin", given / "data_batch_2.bin")
    said = refused(registry.cifar)
    assert said.startswith(f"'{given}' is not CIFAR-10 as published: ")
    assert "training images of class" in said
    assert "expected 10" in said


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: os.truncate(path, path.stat().st_size - 3),
        lambda path: os.truncate(path, 0),
        lambda path: path.write_bytes(b"<html>"),
        lambda path: flip(path, path.stat().st_size // 2),
        lambda path: flip(path, path.stat().st_size - 6),
    ],
    ids=["half", "cut", "empty", "html", "flipped", "checksum"],
)
def test_a_damaged_archive_is_refused_by_name(
    damage: Callable[[Path], Any], given: Path, batches: Batches
) -> None:
    lay("binary archive", given, batches)
    damage(given / "cifar-10-binary.tar.gz")
    assert refused(registry.cifar).startswith(f"'{given / 'cifar-10-binary.tar.gz'}' is ")


# -- a sample of CIFAR-10 ------------------------------------------------------------------------------


@pytest.fixture
def sheets(given: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Sheets 0, 1, 10 and 51 of ten pictures instead of a thousand; return all 600 pictures and labels."""
    monkeypatch.setattr(cifar10, "_SHEET", 10)
    rng = np.random.default_rng(2)
    pictures = rng.integers(0, 256, (600, 32, 32, 3), np.uint8)
    labels = rng.permutation(np.arange(600) % 10)
    for i in (0, 1, 10, 51):
        iio.imwrite(given / f"cifar10_batch_{i}.png", pictures[10 * i : 10 * i + 10].reshape(10, 1024, 3))
    (given / "labels.txt").write_text("\n".join(map(str, labels[:520])) + "\n")
    return pictures, labels


def test_a_sample_holds_the_sheets_that_are_there(sheets: tuple[np.ndarray, np.ndarray]) -> None:
    pictures, labels = sheets
    found = registry.cifar()
    train, test = [*range(20), *range(100, 110)], list(range(510, 520))
    assert found.name == "cifar10-sample"
    np.testing.assert_array_equal(found.train_images, pictures[train])
    np.testing.assert_array_equal(found.train_labels, labels[train])
    np.testing.assert_array_equal(found.test_images, pictures[test])
    np.testing.assert_array_equal(found.test_labels, labels[test])


def test_the_whole_is_taken_before_a_sample(
    sheets: tuple[np.ndarray, np.ndarray], given: Path, batches: Batches
) -> None:
    lay("python", given, batches)
    assert registry.cifar().name == "cifar10"


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("cifar10_batch_51.png", lambda path: path.unlink(), "has no test images ('..._50.png')"),
        ("cifar10_batch_1.png", lambda path: os.truncate(path, 5000), "is damaged ("),
        ("cifar10_batch_1.png", lambda path: os.truncate(path, path.stat().st_size - 20), "is damaged ("),
        ("cifar10_batch_1.png", lambda path: flip(path, 9000), "is damaged ("),
        ("cifar10_batch_1.png", lambda path: path.write_bytes(b"<html>"), "is damaged ("),
        ("cifar10_batch_1.png", lambda path: path.write_bytes(b""), "is damaged ("),
        (
            "cifar10_batch_1.png",
            lambda path: iio.imwrite(path, np.zeros((10, 1024), np.uint8)),
            "holds uint8 (10, 1024), expected uint8 (10, 1024, 3)",
        ),
        ("labels.txt", lambda path: path.unlink(), "has no 'labels.txt'"),
        ("labels.txt", lambda path: path.write_text("1 2 three"), "is no list of labels"),
        ("labels.txt", lambda path: path.write_text("1 2 99999999999999999999"), "is no list of labels"),
        ("labels.txt", lambda path: path.write_text("1 2 3"), "has 3 labels, expected 520 for the sheets"),
        ("labels.txt", lambda path: path.write_text("10 " * 520), "label 10 in row 0, expected 0 to 9"),
    ],
)
def test_a_damaged_sample_is_refused_by_name(
    file: str, damage: Callable[[Path], Any], message: str, sheets: tuple[np.ndarray, np.ndarray], given: Path
) -> None:
    damage(given / file)
    said = refused(registry.cifar)
    assert message in said
    assert str(given if "has no" in message else given / file) in said


def test_a_sample_without_training_pictures_is_refused(
    sheets: tuple[np.ndarray, np.ndarray], given: Path
) -> None:
    for i in (0, 1, 10):
        (given / f"cifar10_batch_{i}.png").unlink()
    assert "has no training images ('cifar10_batch_0.png')" in refused(registry.cifar)

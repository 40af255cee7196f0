"""The loaders: what the real files are known to hold, and that no damaged or wrong file gets through."""

import gzip
import hashlib
import importlib
import io
import os
import pickle
import shutil
import struct
import tarfile
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from populace.core.errors import RunError, UsageError
from populace.data import download
from populace.images import Images, digits
from populace.images.datasets import cifar_batch, idx, registry
from tests.places import SHARED_DATA
from tests.web import Answer, serving

cifar10 = importlib.import_module(
    "populace.images.datasets.cifar"
)  # the name of the module is also the loader's
Batches = dict[str, tuple[np.ndarray, np.ndarray]]

needs_mnist = pytest.mark.skipif(not (SHARED_DATA / "mnist").is_dir(), reason=f"no MNIST in {SHARED_DATA}")
needs_cifar = pytest.mark.skipif(
    not (SHARED_DATA / "cifar10-sample").is_dir(), reason=f"no CIFAR-10 in {SHARED_DATA}"
)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder that POPULACE_DATA names, an empty cache, and no network."""
    folder = tmp_path / "given"
    folder.mkdir()
    monkeypatch.setenv("POPULACE_DATA", str(folder))
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setattr(registry, "_MNIST_MIRRORS", ("http://127.0.0.1:9/",))
    archive = replace(cifar10._ARCHIVE, urls=("http://127.0.0.1:9/cifar-10-binary.tar.gz",))
    monkeypatch.setattr(cifar10, "_ARCHIVE", archive)
    return folder


def refused(load: Callable[[], Any]) -> str:
    """Return the one line that a person gets."""
    with pytest.raises(RunError) as caught:
        load()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def attempt(load: Callable[[], Any]) -> tuple[Any, str]:
    """Return what is loaded, or None and the one line that a person gets."""
    try:
        return load(), ""
    except RunError as error:
        return None, str(error)


def flip(path: Path, byte: int, bit: int = 0) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


# -- what all have in common ---------------------------------------------------------------------------


def images(**changed: Any) -> Images:
    pictures, labels = np.zeros((6, 4, 5, 1), np.uint8), np.array([0, 1, 2, 0, 1, 2], np.int32)
    parts = {
        "name": "six", "train_images": pictures, "train_labels": labels,
        "test_images": pictures.copy(), "test_labels": labels.copy(), "classes": ("a", "b", "c"),
    }  # fmt: skip
    return Images(**parts | changed)


def test_arrays_are_read_only() -> None:
    for array in (images().train_images, images().train_labels, images().test_images, images().test_labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_images": np.zeros((6, 4, 5), np.uint8)}, r"train_images are uint8 of shape \(6, 4, 5\)"),
        ({"test_images": np.zeros((6, 4, 5, 1))}, "test_images are float64"),
        ({"test_images": np.zeros((0, 4, 5, 1), np.uint8)}, r"test_images are uint8 of shape \(0, 4, 5, 1\)"),
        (
            {"train_labels": np.zeros(5, np.int32)},
            r"train_labels are int32 of shape \(5,\), .*\(6,\)",
        ),
        ({"train_labels": np.zeros(6)}, "train_labels are float64"),
        ({"test_labels": np.array([0, 1, 2, 3, 1, 2], np.int32)}, "label 3 in row 3, expected 0 to 2"),
        ({"train_labels": np.array([0, -1, 2, 3, 1, 2], np.int32)}, "label -1 in row 1, expected 0 to 2"),
        ({"test_images": np.zeros((6, 5, 4, 1), np.uint8)}, r"have shape \(4, 5, 1\), test .* \(5, 4, 1\)"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^Images 'six': .*{message}"):
        images(**changed)


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


# -- idx -----------------------------------------------------------------------------------------------

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
# Written out by hand: zero, zero, unsigned byte, three axes; 2, 3, 4; the values.
PLAIN = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, *range(24)])
PACKED = gzip.compress(PLAIN, mtime=0)  # with the time of day in it, two workers would see two files


@pytest.mark.parametrize("content", [PLAIN, PACKED], ids=["plain", "packed"])
def test_idx_is_read_whatever_its_name(content: bytes, tmp_path: Path) -> None:
    for name in ("a.gz", "a"):
        (tmp_path / name).write_bytes(content)
        found = idx.read(tmp_path / name, (2, 3, 4))
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, VALUES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing, expected 00 00 08 03 (idx, 3 axes of bytes)"),
        (b"<html>404</html>", "begins with 3c 68 74 6d, expected 00 00 08 03"),
        (b"\0\0\x08\x01" + PLAIN[4:], "begins with 00 00 08 01, expected 00 00 08 03"),
        (b"\0\0\x0d\x03" + PLAIN[4:], "begins with 00 00 0d 03"),
        (PLAIN[:9], "ends after 9 bytes, expected 40 bytes"),
        (PLAIN[:-1], "ends after 39 bytes, expected 40 bytes"),
        (PLAIN + b"x", "goes on after its end, expected 40 bytes"),
        (PLAIN[:4] + PLAIN[8:12] + PLAIN[4:8] + PLAIN[12:], "shape (3, 2, 4), expected (2, 3, 4)"),
        (gzip.compress(PLAIN[:-1], mtime=0), "ends after 39 bytes"),
        (PACKED[:-4], "is damaged (Compressed file ended"),
        (PACKED[:12], "is damaged ("),
        (PACKED[:-8] + bytes(8), "is damaged (CRC check failed"),
        (PACKED + b"more", "is damaged (Not a gzipped file"),
    ],
    ids=[
        "empty",
        "a page of the web",
        "one axis",
        "another type",
        "header cut",
        "value cut",
        "too long",
        "another shape",
        "packed value cut",
        "packing cut",
        "packing cut early",
        "wrong checksum",
        "more after the packing",
    ],
)
def test_what_is_no_such_idx_file_is_refused_by_name(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "some-file.gz"
    path.write_bytes(content)
    said = refused(lambda: idx.read(path, (2, 3, 4)))
    assert said.startswith(f"'{path}' ")
    assert message in said
    assert said.endswith("; replace it, or delete it to have it looked for elsewhere")


def test_an_idx_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (Is a directory)" in refused(lambda: idx.read(tmp_path, (2, 3, 4)))
    assert "cannot be read (No such file" in refused(lambda: idx.read(tmp_path / "gone", (2, 3, 4)))


@drawn(st.data())
def test_no_damage_to_a_packed_file_gets_through(choice: st.DataObject) -> None:
    """Cut anywhere, or with any bit flipped, it is refused, or the values are the same all the same."""
    content = bytearray(PACKED)
    if choice.draw(st.booleans()):
        del content[choice.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[choice.draw(st.integers(0, len(content) - 1))] ^= 1 << choice.draw(st.integers(0, 7))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.gz"
        path.write_bytes(content)
        found, said = attempt(lambda: idx.read(path, (2, 3, 4)))
    if found is None:
        assert said.startswith(f"'{path}' ")
    else:
        np.testing.assert_array_equal(found, VALUES)


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
        md5s = {"packed": hashlib.md5(packed).hexdigest(), "content": hashlib.md5(content).hexdigest()}
        parts.append(replace(part, shape=shape, **md5s))
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
    assert f"'{given / name}' is not MNIST's: unpacked it has md5" in refused(registry.mnist)


def test_a_label_of_mnist_out_of_range_is_told_with_its_row(
    small_mnist: dict[str, bytes], given: Path
) -> None:
    name = "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(small_mnist[name]))
    content[8 + 3] = 17
    (given / name).write_bytes(gzip.compress(content))
    said = refused(registry.mnist)
    assert f"'{given / name}' is damaged: label 17 in row 3, expected 0 to 9" in said


# -- CIFAR-10 ------------------------------------------------------------------------------------------


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


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Batches:
    """Six batches of 20 pictures instead of 10,000, every class equally often in training and in test."""
    monkeypatch.setattr(cifar_batch, "_BATCH", 20)
    rng = np.random.default_rng(1)
    labels = np.concatenate(
        [rng.permutation(np.repeat(np.arange(10), 10)), rng.permutation(np.arange(20) % 10)]
    )
    pictures = rng.integers(0, 256, (120, 32, 32, 3), np.uint8)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    return {
        name: (pictures[20 * i : 20 * i + 20], labels[20 * i : 20 * i + 20]) for i, name in enumerate(names)
    }


def binary(pictures: np.ndarray, labels: np.ndarray) -> bytes:
    """Write a binary batch byte by byte."""
    content = bytearray()
    for picture, label in zip(pictures, labels):
        content.append(label)
        for channel in range(3):
            for row in picture[:, :, channel]:
                content += bytes(row.tolist())
    return bytes(content)


Pickler: Any = getattr(pickle, "_Pickler")  # noqa: B009  # the one that is written in Python


class Python2(Pickler):
    """Writes text and bytes as Python 2 did, both as its one type of string."""

    def string(self, value: str | bytes) -> None:
        raw = value.encode("latin1") if isinstance(value, str) else value
        self.write(b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    dispatch = Pickler.dispatch | {str: string, bytes: string}


def python(pictures: np.ndarray, labels: np.ndarray) -> bytes:
    """Write a Python batch as it was published: by Python 2 and NumPy 1."""
    out = io.BytesIO()
    rows = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).reshape(len(pictures), -1)
    names = [f"picture_{i}.png" for i in range(len(labels))]
    content = {"data": rows, "labels": labels.tolist(), "batch_label": "batch", "filenames": names}
    Python2(out, protocol=2).dump(content)
    return out.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def pack(path: Path, contents: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"folder/readme.html": b"hello", **contents}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def lay(form: str, folder: Path, batches: Batches) -> None:
    """Put CIFAR-10 into a folder in one of its forms."""
    folder.mkdir(parents=True, exist_ok=True)
    kind, _, packed = form.partition(" ")
    write, suffix = (binary, ".bin") if kind == "binary" else (python, "")
    contents = {name + suffix: write(*batch) for name, batch in reversed(batches.items())}
    if packed:
        pack(folder / f"cifar-10-{kind}.tar.gz", {f"some-folder/{n}": c for n, c in contents.items()})
    else:
        for name, content in contents.items():
            (folder / name).write_bytes(content)


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
        archive = replace(cifar10._ARCHIVE, urls=(url,), checksum=f"md5:{hashlib.md5(content).hexdigest()}")
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
    assert "training pictures of class" in said
    assert "expected 10" in said


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
        (batch_of(data=Short()), "has 3 bytes of data, expected 61,440"),
        (batch_of(labels=[0] * 19), "has labels that are no list of 20 whole numbers"),
        (batch_of(labels=[0.5] * 20), "has labels that are no list of 20 whole numbers"),
        (batch_of(labels=[0] * 19 + [2**80]), "is damaged: label 255 in row 19, expected 0 to 9"),
        (batch_of(labels=[0, -3] + [0] * 18), "is damaged: label -1 in row 1, expected 0 to 9"),
        (batch_of(more=Evil()), "is no Python batch of CIFAR-10 (it asks for posix.mkdir)"),
        (batch_of(more=eval), "is no Python batch of CIFAR-10 (it asks for builtins.eval)"),
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
        ("cifar10_batch_51.png", lambda path: path.unlink(), "has no test pictures ('..._50.png')"),
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
    assert "has no training pictures ('cifar10_batch_0.png')" in refused(registry.cifar)


def test_no_loader_depends_on_the_folder_it_is_started_in(
    given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POPULACE_DATA")
    for load in (registry.mnist, registry.cifar):
        assert f" in {given.parent}/cache/data/" in refused(load)

"""CIFAR-10 in each of the forms it is passed on in: binary, Python, packed or not, and as PNG sheets."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from populace.core.errors import RunError
from populace.data.download import Remote, damaged, fetch, places
from populace.images.datasets.cifar_batch import CLASSES, Batch, parse_binary, parse_python
from populace.images.datasets.labeled import Images, wrong_label

_ARCHIVE = Remote(
    "cifar-10-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    170_052_171,
)
# Names under which the folder is distributed.
_FOLDERS = ("cifar-10", "cifar", "cifar-10-batches-bin", "cifar-10-batches-py", "cifar10-sample")
_BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
_BLOCK = 2**20


def cifar() -> Images:
    """Load CIFAR-10 or a sample of it: 50,000 training and 10,000 test RGB images of 32 x 32 in ten classes.

    The first of these found in `$POPULACE_DATA/cifar10` (or another common name of that folder), in
    `$POPULACE_DATA`, or in the cache is used: the six binary batches (`data_batch_1.bin`, ...), the six
    Python batches (`data_batch_1`, ...), `cifar-10-binary.tar.gz`, `cifar-10-python.tar.gz`, or a sample in
    PNG sheets of 1,000 images (`cifar10_batch_0.png`, ..., and `labels.txt`). Otherwise the binary archive is
    downloaded (162 MiB). The data set is named `cifar10`, or `cifar10-sample` for a sample.

    Raises:
        RunError: the data is missing and cannot be downloaded, or a file is missing, damaged or wrong.

    Source: A. Krizhevsky (2009), Learning multiple layers of features from tiny images.

    """
    for place in places("cifar10", *_FOLDERS):
        for pattern, read in _FORMS.items():
            if found := sorted(place.glob(pattern)):
                return _read(read, found[0].resolve())
    return _read(_from_archive, *fetch("cifar10", [_ARCHIVE]))


@cache
def _read(read: Callable[[Path], Images], first: Path) -> Images:
    return read(first)


def _from_folder(first: Path) -> Images:
    """Read the six batches that lie beside the one that was found."""
    files = {name: first.with_name(name + first.suffix) for name in _BATCHES}
    for file in files.values():
        if not file.is_file():
            raise RunError(f"CIFAR-10 in '{first.parent}' has no '{file.name}'; it needs all six batches")
    parse = parse_binary if first.suffix else parse_python
    try:
        return _whole(
            {name: parse(file.read_bytes(), str(file)) for name, file in files.items()}, first.parent
        )
    except OSError as error:
        raise damaged(error.filename, f"cannot be read ({error.strerror})") from None


def _from_archive(path: Path) -> Images:
    """Read the six batches out of a packed archive, in one pass and without unpacking it to disk."""
    batches: dict[str, Batch] = {}
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as archive:
            for member in archive:
                name = Path(member.name).name
                if name.removesuffix(".bin") not in _BATCHES or not (file := archive.extractfile(member)):
                    continue
                parse = parse_binary if name.endswith(".bin") else parse_python
                batches[name.removesuffix(".bin")] = parse(file.read(), f"{path}:{name}")
            while unpacked.read(_BLOCK):  # to its very end, where its checksum is
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise damaged(path, f"is damaged ({error})") from None
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from None
    if missing := [name for name in _BATCHES if name not in batches]:
        raise damaged(path, f"is no archive of CIFAR-10: it has no {', '.join(missing)}")
    return _whole(batches, path)


def _whole(batches: Mapping[str, Batch], where: Path) -> Images:
    """Join six batches."""
    train = [batches[name] for name in _BATCHES[:-1]]
    return _balanced(Images("cifar10", *_join(train), *_join([batches[_BATCHES[-1]]]), CLASSES), where)


def _balanced(images: Images, where: Path) -> Images:
    """Return CIFAR-10 if every class is as frequent as in the original: one batch taken twice is not."""
    for split, labels in (("training", images.train_labels), ("test", images.test_labels)):
        counts, expected = np.bincount(labels, minlength=len(CLASSES)), len(labels) // len(CLASSES)
        if (wrong := np.flatnonzero(counts != expected)).size:
            raise damaged(
                where,
                f"is not CIFAR-10 as published: {counts[wrong[0]]:,} {split} images of class "
                f"'{CLASSES[wrong[0]]}', expected {expected:,}",
            )
    return images


def _join(batches: list[Batch]) -> Batch:
    images, labels = zip(*batches)
    return np.concatenate(images), np.concatenate(labels).astype(np.int32)


_SHEET = 1000  # images in a PNG
_TRAIN_SHEETS, _TEST_SHEETS = 50, 10  # test images follow training images


def _from_sheets(first: Path) -> Images:
    """Read a sample: sheet i holds images 1000 i to 1000 i + 999, a row each, training before test."""
    folder = first.parent
    numbers = range(_TRAIN_SHEETS + _TEST_SHEETS)
    sheets = {i: path for i in numbers if (path := folder / f"cifar10_batch_{i}.png").is_file()}
    train, test = ([i for i in sheets if (i < _TRAIN_SHEETS) == wanted] for wanted in (True, False))
    if not train or not test:
        lacks = "training images ('cifar10_batch_0.png')" if not train else "test images ('..._50.png')"
        raise RunError(f"CIFAR-10 sample in '{folder}' has no {lacks}")
    labels = _sheet_labels(folder / "labels.txt", (test[-1] + 1) * _SHEET)
    parts = [
        _join([(_sheet(sheets[i]), labels[i * _SHEET : (i + 1) * _SHEET]) for i in split])
        for split in (train, test)
    ]
    if len(sheets) == len(numbers):
        return _balanced(Images("cifar10", *parts[0], *parts[1], CLASSES), folder)
    return Images("cifar10-sample", *parts[0], *parts[1], CLASSES)


def _sheet(path: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as sheet:
            sheet.verify()  # all checksums, which reading the pixels passes over
        with Image.open(path, formats=["PNG"]) as sheet:
            pixels = np.asarray(sheet)
    except Exception as error:  # Pillow promises no less for a damaged file
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise damaged(path, f"is damaged ({why})") from None
    if pixels.dtype != np.uint8 or pixels.shape != (_SHEET, 1024, 3):
        raise damaged(path, f"holds {pixels.dtype} {pixels.shape}, expected uint8 {(_SHEET, 1024, 3)}")
    return pixels.reshape(_SHEET, 32, 32, 3)


def _sheet_labels(path: Path, needed: int) -> np.ndarray:
    try:
        labels = np.array(path.read_text(encoding="ascii").split(), dtype=np.int32)
    except FileNotFoundError:
        raise RunError(f"CIFAR-10 sample in '{path.parent}' has no 'labels.txt'") from None
    except (OSError, ValueError, OverflowError) as error:
        raise damaged(path, f"is no list of labels ({error})") from None
    if len(labels) < needed:
        raise damaged(path, f"has {len(labels):,} labels, expected {needed:,} for the sheets beside it")
    if wrong := wrong_label(labels, len(CLASSES)):
        raise damaged(path, f"is damaged: {wrong}")
    return labels


_FORMS: Mapping[str, Callable[[Path], Images]] = {
    "data_batch_?.bin": _from_folder,
    "data_batch_?": _from_folder,
    "cifar-10-binary.tar.gz": _from_archive,
    "cifar-10-python.tar.gz": _from_archive,
    "cifar10_batch_*.png": _from_sheets,
}

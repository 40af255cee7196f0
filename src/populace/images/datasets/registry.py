"""Image data sets: the digits of scikit-learn, MNIST, CIFAR-10.

`digits()` needs no files. `mnist()` and `cifar()` are read from disk or downloaded once: see docs/data.md.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from populace.data.download import Remote, damaged, fetch, find
from populace.images.datasets import idx
from populace.images.datasets.cifar import cifar
from populace.images.datasets.labeled import Images, wrong_label

__all__ = ["cifar", "digits", "mnist"]

_DIGITS = tuple("0123456789")
_DIGITS_TRAIN = 1437  # four fifths of 1,797


@cache
def digits() -> Images:
    """Load the 1,797 handwritten digits that come with scikit-learn, 8 x 8 grayscale.

    The first 1,437 are for training, the last 360 for test, in the order of the file: neighbors look
    as if written by the same hand, and shuffling first would put that hand into both. The values 0
    to 16 are spread over 0 to 255.

    Source: E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI.
    """
    values, labels = _digits_table()
    images = np.rint(values.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    labels = labels.astype(np.int32)
    cut = _DIGITS_TRAIN
    return Images("digits", images[:cut], labels[:cut], images[cut:], labels[cut:], _DIGITS)


def _digits_table() -> tuple[np.ndarray, np.ndarray]:
    """Return values (1797, 64) and labels, read from the file because scikit-learn is slow to import."""
    package = find_spec("sklearn")
    if package and package.origin:
        path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            table = np.loadtxt(path, np.uint8, delimiter=",")
            return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits  # the same data, if the file is elsewhere

    values, labels = load_digits(return_X_y=True)
    return np.asarray(values), np.asarray(labels)


@dataclass(frozen=True)
class _Part:
    """One file of MNIST: its shape, bytes and SHA-256 of the packed file, and the SHA-256 of its content."""

    name: str
    shape: tuple[int, ...]
    size: int
    packed: str
    content: str


_MNIST = (
    _Part(
        "train-images-idx3-ubyte", (60000, 28, 28),
        9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    _Part(
        "train-labels-idx1-ubyte", (60000,),
        28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    _Part(
        "t10k-images-idx3-ubyte", (10000, 28, 28),
        1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    _Part(
        "t10k-labels-idx1-ubyte", (10000,),
        4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)  # fmt: skip
_MNIST_MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)


def mnist() -> Images:
    """Load MNIST: 60,000 training and 10,000 test images of handwritten digits, 28 x 28 grayscale.

    The four idx files, packed (`.gz`) or plain, lie in `$POPULACE_DATA/mnist`, in `$POPULACE_DATA`, or
    in the cache; what is missing is downloaded.

    Raises:
        RunError: a file is missing and cannot be downloaded, or is damaged, or is not MNIST's.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), Gradient-based learning applied to
    document recognition.

    """
    return _read_mnist(fetch("mnist", _remotes()))


def has_mnist() -> bool:
    """Return whether all files of MNIST are on disk, so that `mnist()` downloads nothing."""
    return all(find("mnist", remote.name, *remote.aliases) for remote in _remotes())


def _remotes() -> list[Remote]:
    return [
        Remote(
            f"{part.name}.gz",
            tuple(f"{mirror}{part.name}.gz" for mirror in _MNIST_MIRRORS),
            part.packed,
            part.size,
            aliases=(part.name, part.name.replace("-idx", ".idx")),
        )
        for part in _MNIST
    ]


@cache
def _read_mnist(paths: tuple[Path, ...]) -> Images:
    train_images, train_labels, test_images, test_labels = map(_read_part, _MNIST, paths)
    return Images(
        "mnist",
        train_images[..., None], train_labels.astype(np.int32),
        test_images[..., None], test_labels.astype(np.int32),
        _DIGITS,
    )  # fmt: skip


def _read_part(part: _Part, path: Path) -> np.ndarray:
    """Read one file and check its content: other data sets use the same four file names."""
    values = idx.read(path, part.shape)
    if values.ndim == 1 and (wrong := wrong_label(values, len(_DIGITS))):
        raise damaged(path, f"is damaged: {wrong}")
    digest = hashlib.sha256(idx.header(part.shape))
    digest.update(values.data)
    if (found := digest.hexdigest()) != part.content:
        raise damaged(
            path,
            f"is not the published file of MNIST: unpacked it has SHA-256 {found}, expected {part.content}",
        )
    return values

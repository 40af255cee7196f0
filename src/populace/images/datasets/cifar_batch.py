"""A batch of CIFAR-10, as 10,000 binary records or as a Python pickle, which is read without trusting it."""

import numpy as np

from populace.core.untrusted.shown import shortened, shown
from populace.data import safe_pickle
from populace.data.download import damaged
from populace.images.datasets.labeled import wrong_label

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_BATCH = 10000
_PIXELS = 32 * 32 * 3

Batch = tuple[np.ndarray, np.ndarray]  # images (N, 32, 32, 3) uint8, labels (N,)


def parse_binary(content: bytes, where: str) -> Batch:
    """Read records of a byte, the label, and 3,072 more: all red values row by row, then green, blue."""
    record = 1 + _PIXELS
    if len(content) != _BATCH * record:
        raise damaged(
            where, f"has {len(content):,} bytes, expected {_BATCH * record:,} ({_BATCH:,} x {record:,})"
        )
    records = np.frombuffer(content, np.uint8).reshape(_BATCH, record)
    return _checked(records[:, 1:], records[:, 0].astype(np.int32), where)


def parse_python(content: bytes, where: str) -> Batch:
    """Read a pickled dictionary with `data`, (10000, 3072) uint8 as in the binary form, and `labels`."""
    try:
        batch = safe_pickle.loads(content)
    except Exception as error:  # a damaged pickle may raise anything at all
        raise damaged(
            where, f"is no Python batch of CIFAR-10 ({str(error) or type(error).__name__})"
        ) from None
    if not isinstance(batch, dict) or not {"data", "labels"} <= batch.keys():
        keys = [*batch] if isinstance(batch, dict) else []
        names = ", ".join(key if isinstance(key, str) else shown(key) for key in keys)
        found = shortened(names) if keys else type(batch).__name__
        raise damaged(where, f"holds {found}, expected a dictionary with data and labels")
    array, labels = batch["data"], batch["labels"]
    found = array.described if isinstance(array, safe_pickle.Array) else type(array).__name__
    if found != (expected := f"u1 {(_BATCH, _PIXELS)}"):
        raise damaged(where, f"has data {found}, expected {expected}")
    try:
        pixels = array.array()
    except (ValueError, TypeError, AttributeError) as error:
        raise damaged(where, f"has data that are {error}") from None
    if not (isinstance(labels, list) and len(labels) == _BATCH and all(type(x) is int for x in labels)):
        raise damaged(where, f"has labels that are no list of {_BATCH:,} whole numbers")
    return _checked(pixels, np.array([min(max(x, -1), 255) for x in labels], np.int32), where)


def _checked(pixels: np.ndarray, labels: np.ndarray, where: str) -> Batch:
    """Return a batch with its channels last, its labels within range."""
    if wrong := wrong_label(labels, len(CLASSES)):
        raise damaged(where, f"is damaged: {wrong}")
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels

"""Files of data sets as tests need them: small ones, damaged ones, and what is said of them."""

import io
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from populace.core.errors import RunError

Batches = dict[str, tuple[np.ndarray, np.ndarray]]


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

"""The reader of idx files: a file written out by hand, and no damage that gets through."""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from populace.images.datasets import idx
from tests.images.datasets.files import attempt, refused

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

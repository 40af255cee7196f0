"""Pickles that ask for more than a file of their size holds."""

import pickle
from collections import defaultdict

import numpy as np
import pytest
from scipy import sparse

from populace.core.errors import RunError
from populace.data import safe_pickle

FORTY = (
    b"\x80\x02})" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(40)) + b"K\x01s."
)
"""A dictionary whose key is a tuple of twice a tuple of twice ... an empty tuple: 2^40 steps to hash."""

REFUSED = {
    "a tuple as a key": (pickle.dumps({(0, 1): [1]}, 2), safe_pickle.neighbors, "a tuple is a key"),
    "a tuple nested forty times": (FORTY, safe_pickle.neighbors, "a tuple is a key"),
    "node 10^9": (pickle.dumps({0: [10**9]}, 2), safe_pickle.neighbors, "has node 1000000000"),
    "an integer of 5,000 digits": (
        pickle.dumps({10**5000: [1]}, 2),
        safe_pickle.neighbors,
        "node an integer of 16,610 bits",
    ),
    "10^12 columns": (
        pickle.dumps(sparse.csr_matrix(([1.0], ([0], [0])), shape=(3, 10**12)), 2),
        safe_pickle.matrix,
        r"a matrix of shape \(3, 1000000000000\)",
    ),
    "a buffer of 2^40 bytes": (
        b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b".",
        safe_pickle.array,
        "a set or a buffer",
    ),
    "a set of tuples": (b"\x80\x04(" + FORTY[3:-4] + b"\x91.", safe_pickle.array, "a set or a buffer"),
    "attributes of a dictionary": (
        b"\x80\x02ccollections\ndefaultdict\n)R}X\x05\x00\x00\x00itemsK\x01sb.",
        safe_pickle.neighbors,
        "has attributes",
    ),
    "a call of list": (b"\x80\x02c__builtin__\nlist\n](K\x01K\x02e\x85R.", safe_pickle.array, "unpickled"),
    "bytes again and again": (
        b"\x80\x02c_codecs\nencode\nq\x00X\x10\x00\x00\x00" + b"x" * 16 + b"X\x06\x00\x00\x00latin1\x86q\x01"
        + b"h\x00h\x01R" * 100 + b".",
        safe_pickle.array,
        "more bytes than it has",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "read", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_of_the_size_of_its_file_is_refused(tmp_path, content, read, said):
    path = tmp_path / "p"
    path.write_bytes(content)
    with pytest.raises(RunError, match=said):
        read(path)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_the_files_hold_is_read(tmp_path, protocol):
    path = tmp_path / "p"
    matrix = sparse.random(9, 5, 0.5, "csr", dtype=np.float32, random_state=0)
    path.write_bytes(pickle.dumps(sparse.csr_matrix(matrix), protocol))
    np.testing.assert_array_equal(safe_pickle.matrix(path).toarray(), matrix.toarray())
    path.write_bytes(pickle.dumps(np.eye(3, dtype=np.int32), protocol))
    np.testing.assert_array_equal(safe_pickle.array(path), np.eye(3))
    path.write_bytes(pickle.dumps(defaultdict(list, {0: [1, 2], 2: []}), protocol))
    assert safe_pickle.neighbors(path) == {0: [1, 2], 2: []}

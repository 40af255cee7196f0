"""Tables that say more than they hold."""

import gzip

import numpy as np
import pytest

from populace.core.errors import RunError, UsageError
from populace.data.example_files import open_array
from populace.data.tables import table
from populace.graphs.data.formats.convert import from_csv


def test_a_packed_table_unpacks_to_what_numbers_pack_to(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"1,2\n" * 1000))
    assert table(path).shape == (1000, 2)
    path.write_bytes(gzip.compress(b" " * 50_000_000, 9))
    with pytest.raises(RunError, match=r"unpack to more than 10,\d+,\d+, which no table does"):
        table(path)


def test_an_array_whose_head_says_more_than_the_file_holds_is_refused(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((4, 3), np.float32))
    content = path.read_bytes()
    for shape in (b"(4000000, 30000000)", b"(9999999999999999999, 3)", b"(4, -3)", b"(" * 16):
        width = len(b"(4, 3)" + b" " * 20)
        path.write_bytes(content.replace(b"(4, 3), }" + b" " * 20, (shape + b", }").ljust(width + 3)))
        for mapped in (False, True):
            with pytest.raises(UsageError, match=r"is no array as numpy.save writes it"):
                open_array("x", path, mapped=mapped)


def test_a_slip_of_the_pen_makes_no_billion_nodes(tmp_path):
    path = tmp_path / "edges.txt"
    path.write_text("0 1\n1 1000000000\n")
    with pytest.raises(UsageError, match="an edge names node 1,000,000,000"):
        from_csv(path)
    path.write_text("0 1\n1 1000\n")
    assert from_csv(path).nodes == 1001

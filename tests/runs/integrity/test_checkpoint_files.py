"""Checkpoint files: however many processes wrote the parts, each reader finds the rows of its members."""

import numpy as np
import pytest

from populace.engine.hosts import division
from populace.runs.integrity import checkpoint_files

SIZES = [7, 2, 5]


@pytest.mark.parametrize("wrote", [1, 2, 4])
@pytest.mark.parametrize("reads", [1, 2, 3])
def test_parts_of_any_number_of_processes_make_the_members_of_any_other(wrote, reads):
    written = division.shares(SIZES, wrote)
    info = {
        "parts": [
            {"folder": f"arrays-{i}", "arrays": {}, "members": [[s.group, s.start, s.stop] for s in own]}
            for i, own in enumerate(written)
        ]
    }
    parts = checkpoint_files.parts(info)
    assert [part.folder for part in parts] == [f"arrays-{i}" for i in range(wrote)]
    held = [{s.group: np.arange(s.start, s.stop) for s in own} for own in written]
    for own in division.shares(SIZES, reads):
        for share in own:
            rows = [part.rows(share.group, share.start, share.stop) for part in parts]
            found = [x.get(share.group, np.arange(0))[r] for x, r in zip(held, rows)]
            np.testing.assert_array_equal(np.concatenate(found), np.arange(share.start, share.stop))


def test_the_part_of_one_process_has_all_members():
    (part,) = checkpoint_files.parts({"arrays": {"a": ["float32", [7], "0"]}})
    assert (part.folder, part.rows(2, 3, 5)) == ("arrays", slice(3, 5))

"""What --verbose says was compiled."""

import re

import jax
import numpy as np

from populace.cli.compilation import CompilationLog


def test_programs_are_counted_by_name_and_those_before_are_not():
    def doubled(x):
        return 2 * x

    def squared(x):
        return x * x

    jax.jit(squared)(np.ones(3))
    log = CompilationLog()
    program = jax.jit(doubled)
    for n in (2, 3, 3):
        program(np.ones(n, np.float32))
    found = log.programs["doubled"]
    assert (found.times, found.cached) == (2, 0)
    assert found.compiled > 0
    assert found.prepared > 0
    assert "squared" not in log.programs
    lines = log.text().splitlines()
    assert re.fullmatch(r"doubled +2 +0 +[.\d]+ +[.\d]+", lines[1])
    assert lines[-1].split()[:3] == ["all", "2", "0"]


def test_of_many_programs_the_quickest_are_put_together():
    log = CompilationLog()
    for number in range(15):
        log._event("/jax/compilation_cache/cache_hits")
        log._duration("/jax/core/compile/backend_compile_duration", float(number), fun_name=f"jit(f{number})")
    lines = log.text().splitlines()
    assert lines[1].split() == ["f14", "1", "1", "0.00", "14.00"]
    assert lines[-2].split() == ["3", "others", "3", "3", "0.00", "3.00"]
    assert lines[-1].split() == ["all", "15", "15", "0.00", "105.00"]


def test_it_is_printed_beside_the_results(cli, tmp_path):
    found = cli("run", "line-world", "--steps", "2", "--seeds", "1", "--out", str(tmp_path / "run"), "--json",
                "--no-report", "--verbose")  # fmt: skip
    assert found.code == 0, found.err
    assert found.out.lstrip().startswith("{")
    assert re.search(r"^all +\d+", found.err, re.M)

"""LSTM and GRU by kernels: the same bits whoever computes them, and programs for other processors."""

import hashlib
import os
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest
from jax import export

from populace.core import native
from populace.nn.recurrent import fused
from tests.nn.recurrent.operands import CELLS, assert_close, draw, ours, with_gradients

pytestmark = pytest.mark.skipif(not native.wide(), reason="no kernels for vectors")


def bits(members: int, cell: str = "lstm") -> list[str]:
    """Checksums of all results for each of some members, of which many are not cut in parts."""
    drawn = [a[:members] for a in draw(cell, 9, 40, 30, 24, 64)]
    found = jax.tree.leaves(jax.jit(lambda d: with_gradients(ours, d, cell=cell, reverse=False))(drawn))
    found = [np.asarray(a) for a in found]
    return [hashlib.sha256(b"".join(a[m].tobytes() for a in found)).hexdigest() for m in range(members)]


@pytest.mark.parametrize("cell", CELLS)
def test_a_member_is_the_same_alone_and_whatever_the_threads_and_the_kind(cell: str) -> None:
    together = bits(9, cell)
    assert len(set(together)) == 9
    assert bits(1, cell) == together[:1]
    one_core = "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"
    call = f"from tests.nn.recurrent.test_fused_programs import bits; print(*bits(2, {cell!r}))"
    code = f"import os; {one_core}\n{call}\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, native.CHOICE: "avx2"},
    )  # fmt: skip
    assert done.stdout.split() == together[:2]


def test_accelerators_get_a_program_without_our_calls() -> None:
    each = draw("lstm", 2, 3, 4, 5, 6)

    def step(each: Any) -> Any:
        return with_gradients(ours, each, cell="lstm", reverse=False)

    for platform, ours_there in (("cuda", False), ("rocm", False), ("tpu", False), ("cpu", True)):
        program = export.export(jax.jit(step), platforms=[platform], disabled_checks=[
            export.DisabledSafetyCheck.custom_call("populace_recur"),
            export.DisabledSafetyCheck.custom_call("populace_recur_back"),
        ])(each)  # fmt: skip
        assert ("populace_recur" in program.mlir_module()) == ours_there, platform


def test_lowered_for_another_processor_it_computes_the_same() -> None:
    """What accelerators get, here run on a CPU."""
    each = draw("gru", 2, 3, 4, 5, 6)
    bind = fused.recur_p.bind

    def by_xla(*operands: Any, backend: str, **params: Any) -> Any:
        return bind(*operands, backend="xla", **params)

    def run() -> Any:
        return jax.jit(lambda d: with_gradients(ours, d, cell="gru", reverse=True))(each)

    expected = run()
    jax.clear_caches()
    fused.recur_p.bind = by_xla  # type: ignore[method-assign]
    try:
        found = run()
    finally:
        fused.recur_p.bind = bind  # type: ignore[method-assign]
        jax.clear_caches()
    assert_close(found, expected, "by XLA", 1e-5)

"""Errors of callbacks come out of a program as they were raised, and JAX prints nothing more at exit."""

import contextlib
import subprocess
import sys

import jax
import pytest

from populace.core.errors import RunError
from populace.engine import host_errors

PROGRAM = """
import jax, numpy as np
from jax.experimental.buffer_callback import buffer_callback
from populace.core.errors import RunError
from populace.engine import host_errors

jax.config.update("jax_num_cpu_devices", 2)


def fail(context, out, x):
    error = RunError("the simulator is gone")
    host_errors.record(error)
    raise error


def call(x):
    return buffer_callback(fail, jax.ShapeDtypeStruct(x.shape, x.dtype))(x)


spec = jax.sharding.PartitionSpec("members")
mesh = jax.sharding.Mesh(np.asarray(jax.devices()), ("members",))
program = jax.jit(jax.shard_map(call, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False))
try:
    with host_errors.reraised():
        first, second = program(np.ones(4)), program(np.ones(4))
        jax.block_until_ready((first, second))
except RunError as error:
    print(error)
"""


def test_the_error_of_a_callback_is_all_that_the_installed_jax_prints():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert run.stdout == "the simulator is gone\n", run.stderr
    assert (run.returncode, run.stderr) == (0, ""), (
        f"jax {jax.__version__} has moved what host_errors._forget_failed_programs clears:\n{run.stderr}"
    )


def failing(message: str, *errors: RunError) -> None:
    for error in errors:
        host_errors.record(error)
    raise jax.errors.JaxRuntimeError(message)


def test_the_first_error_of_its_own_time_is_raised():
    host_errors.record(RunError("before anybody listened"))
    first, second = RunError("first"), RunError("second")
    with pytest.raises(RunError, match=r"^first$") as caught, host_errors.reraised():
        failing("INTERNAL", first, second)
    assert isinstance(caught.value.__cause__, jax.errors.JaxRuntimeError)


def test_an_exception_of_any_kind_becomes_one_line():
    @host_errors.recorded("the simulator failed")
    def simulate():
        raise IndexError("off by one\nand more")

    @host_errors.reraised()
    def program():
        with contextlib.suppress(RunError):
            simulate()
        failing("INTERNAL")

    with pytest.raises(RunError, match=r"^the simulator failed: IndexError: off by one$"):
        program()


def test_errors_of_jax_alone_pass_unchanged():
    with pytest.raises(jax.errors.JaxRuntimeError, match="out of memory"), host_errors.reraised():
        failing("out of memory")


def test_an_inner_use_does_not_empty_an_outer_one():
    def nested():
        host_errors.record(RunError("outer"))
        with host_errors.reraised():
            pass
        failing("INTERNAL")

    with pytest.raises(RunError, match=r"^outer$"), host_errors.reraised():
        nested()
    assert not host_errors._collected

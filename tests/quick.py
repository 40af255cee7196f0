"""How XLA compiles what the tests run: quickly, except where bits are compared.

Compiling is most of what the tests cost, and most of that is XLA optimizing programs that run for a moment.
A lower level and its older emitters of fused loops take two thirds of the processor time of the defaults.
What is computed differs in the last bits only, so tests that compare training bit for bit compile
`as_shipped`, and so does every process that a test starts. `XLA_FLAGS= pytest` runs everything with the
defaults.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jax
import pytest
from jax._src import compiler  # `jax.jit` has no public option for what it compiles when it is called

from populace.engine.programs import compiled_cache

QUICK = {"xla_backend_optimization_level": "1", "xla_cpu_use_fusion_emitters": "false"}
SHIPPED = {"xla_backend_optimization_level": 3, "xla_cpu_use_fusion_emitters": True}
"""The same options as XLA has them where nobody sets them."""
CHOSEN = "POPULACE_TEST_XLA_FLAGS"
"""Environment variable that tells the processes of one run of pytest which flags this XLA knows."""


def choose() -> None:
    """Decide on the flags, for all processes of this run of pytest; the user's own `XLA_FLAGS` come first."""
    if "XLA_FLAGS" not in os.environ and CHOSEN not in os.environ:
        os.environ[CHOSEN] = " ".join(filter(_known, (f"--{name}={value}" for name, value in QUICK.items())))


def start() -> None:
    """Start JAX in this process with the flags; the processes that it starts know nothing of them."""
    if "XLA_FLAGS" in os.environ or not os.environ.get(CHOSEN):
        return
    os.environ["XLA_FLAGS"] = os.environ[CHOSEN]
    jax.devices()  # reads the flags, once for all
    del os.environ["XLA_FLAGS"]


@contextlib.contextmanager
def as_shipped() -> Iterator[None]:
    """Compile the programs that are made here as they are compiled for a user."""
    if not os.environ.get(CHOSEN):
        yield
        return
    options = compiler.get_compile_options
    usual = {name: value for name, value in SHIPPED.items() if f"--{name}=" in os.environ[CHOSEN]}

    def shipped(*args: Any, env_options_overrides: dict[str, Any] | None = None, **words: Any) -> Any:
        return options(*args, env_options_overrides=usual | (env_options_overrides or {}), **words)

    # Programs are shared by structure: none may come here that was compiled otherwise, nor leave.
    compiled_cache.forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "get_compile_options", shipped)
        yield
    compiled_cache.forget()


def _known(flag: str) -> bool:
    """Whether this XLA has a flag: it ends a process that is given one that it does not have."""
    start = [sys.executable, "-c", "import jax; jax.devices()"]
    done = subprocess.run(start, env=os.environ | {"XLA_FLAGS": flag}, capture_output=True, check=False)
    return done.returncode == 0

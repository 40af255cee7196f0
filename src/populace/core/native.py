"""The compiled kernels: found, checked and made known to XLA when they are first asked for.

They are built while populace is installed, where there is a C++ compiler. Without them, or with some that do
not fit this Python code or this jaxlib, everything is computed by XLA's own operations; `missing` says why.
"""

import ctypes
import os
import sysconfig
from functools import cache
from pathlib import Path

import jax

from populace.core.errors import UsageError, unknown

SOURCES = "ced452d508cbdbe9"
"""Digest of the sources in native/ that this code goes with, as CMakeLists.txt has it; a library of others
may expect other arrays."""
CALLS = (
    "sum", "products", "maximum", "chosen", "attend", "attend_back",
    "correlation", "dense", "dense_back", "recur", "recur_back", "count", "fold_in", "windows",
)  # fmt: skip
BACKENDS = ("auto", "xla", "native")
DTYPES = ("float32", "float64")
"""What the kernels compute with."""
KINDS = ("baseline", "avx2", "avx512")
"""Kernels by the processor that they need, as native/arrays.h lists them; the baseline runs on every one."""
CHOICE = "POPULACE_KERNELS"
"""Environment variable that chooses among the kinds, to compare them."""
NAME = "_native.so"
ADVICE = (
    "install a C++ compiler, then populace again: "
    "pip install --force-reinstall --no-deps --no-cache-dir populace"
)


@cache
def missing() -> str:
    """Return why the kernels cannot be used; empty if they can."""
    return _load(candidates())


@cache
def kind() -> str:
    """Return which kernels run here, one of `KINDS`, or nothing without any.

    The widest that the processor has, or what `POPULACE_KERNELS` names.

    Raises:
        UsageError: `POPULACE_KERNELS` names kernels that do not exist or that this processor cannot run.

    """
    if missing():
        return ""
    running = _text(ctypes.CDLL(str(_first(candidates()))), "kind")
    asked = os.environ.get(CHOICE, "")
    if asked and asked not in KINDS:
        raise unknown(CHOICE, asked, KINDS)
    if asked and asked != running:
        raise UsageError(f"{CHOICE}={asked}: this processor runs {running} at most; unset {CHOICE}")
    return running


def wide() -> bool:
    """Return whether the kernels run on vectors of 32 bytes; where they do not, some are slower than XLA."""
    return kind() not in ("", "baseline")


def check_backend(backend: str, what: str = "backend") -> str:
    """Return the name of a backend if it is one that can be used here; `what` is its name in errors.

    Raises:
        UsageError: an unknown name, or `"native"` without the kernels.

    """
    if backend not in BACKENDS:
        raise unknown(what, backend, BACKENDS)
    if backend == "native" and missing():
        raise UsageError(f"{what} 'native' is not here: {missing()}; use 'auto', or {ADVICE}")
    return backend


def candidates() -> list[Path]:
    """Return where the library may be: beside this file, or where an editable install has put it."""
    return [
        Path(__file__).with_name(NAME),
        Path(sysconfig.get_path("platlib"), "populace", "core", NAME),
    ]


def _text(library: ctypes.CDLL, what: str) -> str:
    """Return what a library says of itself."""
    ask = getattr(library, f"populace_native_{what}")
    ask.restype = ctypes.c_char_p
    return ask().decode()


def _first(places: list[Path]) -> Path | None:
    return next((p for p in places if p.is_file()), None)


def _load(places: list[Path]) -> str:
    """Register the first library that exists; return why it cannot be, or nothing."""
    path = _first(places)
    if path is None:
        return "no native kernels were built"
    try:
        library = ctypes.CDLL(str(path))
        if (found := _text(library, "sources")) != SOURCES:
            return f"the native kernels were built from sources {found}, this populace has {SOURCES}"
        for name in CALLS:
            call = jax.ffi.pycapsule(getattr(library, f"populace_{name}"))
            jax.ffi.register_ffi_target(f"populace_{name}", call, platform="cpu")
    except Exception as error:  # a damaged file, another system's, or an XLA that wants other calls
        return f"the native kernels cannot be loaded: {str(error).splitlines()[0]}"
    return ""

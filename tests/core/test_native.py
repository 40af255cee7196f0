"""The library of kernels: found or not, sound or not, populace computes."""

import ctypes
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core import native
from populace.core.errors import UsageError
from populace.nn.graph.aggregate import aggregate, attend
from populace.nn.graph.edges import EdgeIndex
from tests.places import ROOT

HERE = pytest.mark.skipif(bool(native.missing()), reason="no native kernels")


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch):
    """A populace that was installed without a compiler."""

    def forget() -> None:
        native.missing.cache_clear()
        native.kind.cache_clear()  # or who comes next finds none

    monkeypatch.setattr(native, "candidates", lambda: [Path("/nowhere/_native.so")])
    forget()
    yield
    monkeypatch.undo()
    forget()


def test_without_kernels_xla_computes(without: None) -> None:
    edges, _ = EdgeIndex.of(np.array([0, 1, 1]), np.array([1, 0, 2]), (3, 2))
    x, ones = np.asarray([[1, 2], [3, 4]], np.float32), np.ones((3, 2), np.float32)
    found = jax.jit(lambda x: (aggregate(edges, x), attend(edges, x, ones, x[..., None])[..., 0]))(x)
    np.testing.assert_array_equal(found[0], [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
    with pytest.raises(UsageError) as refused:
        aggregate(edges, x, backend="native")
    assert str(refused.value) == (
        f"backend 'native' is not here: no native kernels were built; use 'auto', or {native.ADVICE}"
    )


def test_doctor_says_what_is_missing(without: None, cli) -> None:
    missing = cli("doctor", "--json").json["missing"]
    (line,) = [line for line in missing if line.startswith("native kernels")]
    assert "no native kernels were built" in line
    assert "install a C++ compiler" in line


@HERE
def test_doctor_is_silent_about_kernels_that_are_there(cli) -> None:
    assert not [line for line in cli("doctor", "--json").json["missing"] if "native" in line]


def test_a_damaged_library_is_a_reason_not_a_crash(tmp_path: Path) -> None:
    damaged = tmp_path / native.NAME
    damaged.write_bytes(b"\x7fELF nothing")
    assert native._load([damaged]).startswith("the native kernels cannot be loaded: ")


def test_the_sources_are_those_that_the_code_goes_with() -> None:
    """Whoever edits a kernel writes its new digest into core/native.py, or the kernels are left out."""
    sources = sorted(p for p in (ROOT / "src" / "populace" / "native").iterdir() if p.suffix in (".cc", ".h"))
    digests = "".join(hashlib.sha256(p.read_bytes()).hexdigest() for p in sources)
    assert hashlib.sha256(digests.encode()).hexdigest()[:16] == native.SOURCES


@HERE
def test_a_library_of_other_sources_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    built = native.SOURCES
    monkeypatch.setattr(native, "SOURCES", "0" * 16)
    said = f"the native kernels were built from sources {built}, this populace has {'0' * 16}"
    assert native._load(native.candidates()) == said


@HERE
def test_nothing_of_the_kernels_is_seen_from_outside_but_what_is_called() -> None:
    """Another library with functions of the same names must not stand in for ours."""
    if not (nm := shutil.which("nm")):
        pytest.skip("no nm")
    library = native._first(native.candidates())
    listed = subprocess.run([nm, "-D", "--defined-only", library], capture_output=True, text=True, check=True)
    ours = {name for name in (line.split()[-1] for line in listed.stdout.splitlines()) if "populace" in name}
    assert ours == {f"populace_{name}" for name in (*native.CALLS, "native_kind", "native_sources")}


def test_a_library_of_something_else_is_not_used() -> None:
    other = Path(ctypes.__file__).parent  # some shared library that is no kernel of ours
    library = next(Path(np.__file__).parent.rglob("_multiarray_umath*.so"), other)
    assert "cannot be loaded" in native._load([library])


def test_importing_populace_looks_for_no_library() -> None:
    code = "import populace.nn.graph.aggregate as a; print(a.missing.cache_info().misses)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


@HERE
def test_any_number_of_threads_gives_the_same() -> None:
    """A process with one core and one device, and this one with all: the same bits."""
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from tests.core.test_native import checksums\n"
        "print(*checksums())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == checksums()


@HERE
def test_edges_that_lead_elsewhere_are_refused() -> None:
    edges, _ = EdgeIndex.of(np.array([0, 1]), np.array([1, 0]), (2, 2))
    edges.sources[:] = 7  # as no EdgeIndex.of makes them
    with pytest.raises(Exception, match="outside of their graph"):
        np.asarray(aggregate(edges, jnp.ones((2, 3)), backend="native"))


def checksums() -> list[str]:
    """Of three aggregations and two gradients, computed by the native kernels."""
    draws = np.random.default_rng(0)
    edges, _ = EdgeIndex.of(draws.integers(0, 500, 8000), draws.integers(0, 500, 8000), (500, 500))
    x, w = (draws.normal(size=shape).astype(np.float32) for shape in ((500, 4, 50), 8000))

    def loss(x: jax.Array, w: jax.Array) -> jax.Array:
        y = attend(edges, x[..., 0], x[..., 1], x, rate=0.5, key=jax.random.key(0))
        return jnp.sum(aggregate(edges, x, "sum", w) ** 2) + jnp.sum(y**2)

    @jax.jit
    def compute(x: jax.Array, w: jax.Array) -> tuple[jax.Array, ...]:
        forward = (
            aggregate(edges, x, "max"),
            aggregate(edges, x, "sum", w),
            attend(edges, x[..., 0], x[..., 1], x),
        )
        return (*forward, *jax.grad(loss, (0, 1))(x, w))

    found = [hashlib.sha256(np.asarray(a).tobytes()).hexdigest() for a in compute(x, w)]
    assert len(set(found)) == 5
    return found


@HERE
def test_which_kernels_run_is_said_and_can_be_chosen(cli, shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("doctor", "--json").json["kernels"] == native.kind()
    monkeypatch.setenv(native.CHOICE, "baseline")
    assert shell("doctor", "--json").json["kernels"] == "baseline"
    monkeypatch.setenv(native.CHOICE, "avx3")
    line = shell("doctor").refused(2)
    assert line.startswith("unknown POPULACE_KERNELS 'avx3'; did you mean")

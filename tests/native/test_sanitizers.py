"""The kernels without XLA: compiled without a warning, and run where each wrong access ends the program."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from populace.core import native

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "src" / "populace" / "native"
FLAGS = dict(re.findall(r"set\(flags_(\w+) (.*)\)", (HERE.parents[1] / "CMakeLists.txt").read_text()))
"""What the kernels of each kind are compiled with, beside what all are."""
STRICT = ("-std=gnu++17", "-Wall", "-Wextra", "-Werror", "-Wno-psabi")
ACCESSES = "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
FOREIGN, EMULATOR = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")


def cases() -> list[object]:
    """Return each compiler with each kind of kernels; one pair is quick enough for every run of the tests."""
    quick = ("g++", native.kind() or native.KINDS[0])
    pairs = [(compiler, kind) for compiler in ("g++", "clang++") for kind in native.KINDS]
    return [pytest.param(*pair, marks=[] if pair == quick else pytest.mark.slow) for pair in pairs]


def sound(program: Path, *command: object, before: tuple[str, ...] = ()) -> None:
    """Compile a program and run it, both without a word of complaint."""
    built = subprocess.run(
        [*command, f"-I{SOURCES}", "-pthread", "-o", program],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    if "cannot find" in built.stderr and "san" in built.stderr:
        pytest.skip("this compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([*before, program], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout + done.stderr == "sound\n"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("compiler", "kind"), cases())
def test_no_access_beside_an_array_and_nothing_undefined(compiler: str, kind: str, tmp_path: Path) -> None:
    """Addresses and undefined behaviour; vectors are read from anywhere, which is defined for their types."""
    if native.kind() not in native.KINDS or native.KINDS.index(kind) > native.KINDS.index(native.kind()):
        pytest.skip(f"this processor has no {kind}")
    if not (found := shutil.which(compiler)):
        pytest.skip(f"no {compiler}")
    sound(
        tmp_path / "driver", found, "-O0", *STRICT, *FLAGS.get(kind, "").split(), *ACCESSES,
        f"-DPOPULACE_KERNELS=kernels_{kind}", HERE / "driver.cc", SOURCES / "kernels.cc",
    )  # fmt: skip


@pytest.mark.parametrize("compiler", ["g++", pytest.param("clang++", marks=pytest.mark.slow)])
def test_no_two_threads_at_the_same_place(compiler: str, tmp_path: Path) -> None:
    if not (found := shutil.which(compiler)):
        pytest.skip(f"no {compiler}")
    sound(tmp_path / "threads", found, "-O1", *STRICT, "-fsanitize=thread", HERE / "threads.cc")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_baseline_computes_on_arm(tmp_path: Path) -> None:
    """Built for 64-bit ARM, whose vectors (NEON) the compiler uses by itself, and emulated."""
    if not FOREIGN or not EMULATOR:
        pytest.skip("no cross compiler for ARM (g++-aarch64-linux-gnu), or no emulator of it (qemu-user)")
    sound(
        tmp_path / "driver", FOREIGN, "-O2", "-static", *STRICT, "-DPOPULACE_KERNELS=kernels_baseline",
        HERE / "driver.cc", SOURCES / "kernels.cc", before=(EMULATOR,),
    )  # fmt: skip

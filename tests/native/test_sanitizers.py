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
COMPILER = shutil.which("g++") or shutil.which("clang++")

pytestmark = pytest.mark.skipif(
    not COMPILER or native.kind() not in native.KINDS,
    reason="no C++ compiler, or no kernels for this processor",
)


@pytest.mark.slow  # compiling it takes 20 s a kind
@pytest.mark.parametrize("kind", native.KINDS)
def test_no_access_beside_an_array_and_nothing_undefined(kind: str, tmp_path: Path) -> None:
    """Addresses and undefined behaviour; vectors are read from anywhere, which is defined for their types."""
    if native.KINDS.index(kind) > native.KINDS.index(native.kind()):
        pytest.skip(f"this processor has no {kind}")
    command = [
        COMPILER, "-std=gnu++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-psabi",
        *FLAGS.get(kind, "").split(), "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
        "-DPOPULACE_X86", f"-DPOPULACE_KERNELS=kernels_{kind}", f"-I{SOURCES}", HERE / "driver.cc",
        SOURCES / "kernels.cc", "-o", tmp_path / "driver",
    ]  # fmt: skip
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if "cannot find" in built.stderr and "san" in built.stderr:
        pytest.skip("this compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([tmp_path / "driver"], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout + done.stderr == "sound\n"

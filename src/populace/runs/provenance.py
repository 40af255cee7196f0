"""What a run ran on: versions, machine, devices, commit."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax

from populace.engine.placement import cores

PACKAGES = (
    "jax", "jaxlib", "equinox", "optax", "orbax-checkpoint", "gymnax", "gymnasium", "numpy",
    "scipy", "pyarrow", "plotly",
)  # fmt: skip


def describe() -> dict[str, Any]:
    """Return what `environment.json` holds, as docs/run-folder.md describes."""
    return {
        "populace": version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": cores(),
        "backend": jax.default_backend(),
        "devices": [f"{d.platform}:{d.id} {d.device_kind}" for d in jax.local_devices()],
        "packages": {name: package_version(name) for name in PACKAGES},
        "commit": _commit(),
        "command": command(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def version() -> str:
    """Return the version of populace."""
    return package_version("populace")


def package_version(name: str) -> str:
    """Return the installed version of a package, or `absent`."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def command() -> str:
    """Return what was typed, with the path of the program itself cut to its name."""
    if not sys.argv or not sys.argv[0]:
        return "python"
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux: the platform module knows a little
        return platform.processor()
    return platform.processor() or "unknown"


def _commit() -> str | None:
    """Return the commit of the folder populace was started in, where that is a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True, text=True, timeout=5, cwd=os.getcwd(), check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None

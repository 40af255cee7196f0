"""What is timed runs in a process of its own, so that nobody finds caches, threads or memory of another."""

import json
import os
import platform
import subprocess
import sys
import time
from typing import Any


def child(*words: str) -> Any:
    """Run a command and return the JSON of the last line it prints; leave with its errors where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def in_turns(runs: dict[str, list[str]], repeats: int) -> dict[str, list[dict[str, Any]]]:
    """Run every command once per round, so that a slow minute of the machine falls on everybody.

    Args:
        runs: the command behind each name; its last line holds `frames_per_second`.
        repeats: the number of rounds.

    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, words in runs.items():
            found[name].append(child(*words))
            rate = found[name][-1]["frames_per_second"]
            print(f"{name}: {rate:,.0f} frames/s", file=sys.stderr, flush=True)
    return found


def rates(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[float]]:
    """Return the frames per second of every round, by name."""
    return {name: [each["frames_per_second"] for each in many] for name, many in found.items()}


def loop_seconds(group_state: Any, before: int, steps: int) -> float:
    """Time the bare compiled loop of a group: `steps` of every member, after `before` untimed ones."""
    import jax

    carry, _ = group_state.program.advance(group_state.carry, before)
    jax.block_until_ready(carry.step)
    start = time.perf_counter()
    carry, _ = group_state.program.advance(carry, before + steps)
    jax.block_until_ready(carry.step)
    return time.perf_counter() - start


def machine() -> str:
    """Return the line that says where figures come from."""
    return f"Machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}."

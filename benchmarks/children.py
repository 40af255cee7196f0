"""What is timed runs in a process of its own, so that nobody finds caches, threads or memory of another."""

import json
import subprocess
from typing import Any


def child(*words: str) -> Any:
    """Run a command and return the JSON of the last line it prints; leave with its errors where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])

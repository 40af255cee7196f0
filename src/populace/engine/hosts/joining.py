"""Joining: processes that were started together meet, and make sure that they are alike."""

import atexit
import os
import platform
import re
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from populace.core.errors import RunError, UsageError
from populace.core.files import sha256
from populace.engine.hosts import launcher, together, watchdog
from populace.engine.hosts.joined import LIMIT, Agent, Joined, limit

_MEETING = 300.0  # seconds within which all must have started
_CLOCKS = 30.0  # seconds; a lock that another machine left is judged by its age
_PACKAGES = ("populace", "jax", "jaxlib", "equinox", "optax", "orbax-checkpoint", "numpy", "gymnax")
_SHOWN = 3


def join(words: Sequence[str] = ()) -> bool:
    """Meet the other processes, if the launcher of this one started several; return whether it did.

    Args:
        words: what all were asked to do.

    Raises:
        UsageError: the processes differ in versions, in what they were asked to do, or in their clocks.
        RunError: not all came.

    """
    launch = launcher.found()
    if launch is None or together.joined() is not None:
        return launch is not None
    seconds = limit()
    patience = max(1, int(min(seconds, _MEETING)))
    agent = Agent(launch, patience)
    try:
        found = agent.joined()
    except RunError as error:
        raise RunError(_why(launch, str(error), patience)) from None
    here = f"process {found['index']} on {socket.gethostname()}"
    joined = Joined(agent, found["index"], [f"process {i}" for i in range(found["count"])], seconds)
    if found["count"] == 1:
        agent.leave()
        return False
    together.become(joined)
    if found["visible"] not in (None, "all"):
        import jax

        jax.config.update("jax_cuda_visible_devices", found["visible"])
    joined.names = together.gathered(here, "the start")
    watchdog.watch(joined)
    atexit.register(watchdog.leave, joined)
    together.barrier("the start")  # so that all read their clocks now
    said = together.gathered(_about(words), "the start")
    if joined.index == 0 and (other := _difference(said, joined.names)):
        raise UsageError(other)
    together.barrier("the comparison of versions")
    return True


def _about(words: Sequence[str]) -> dict[str, Any]:
    """Return what must be the same everywhere, and the time."""
    from importlib import metadata

    versions = {"Python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "none"
    files = {word: sha256(Path(word)) for word in words if word.endswith(".toml") and os.path.isfile(word)}
    return {"versions": versions, "words": list(words), "files": files, "time": time.time()}


def _difference(said: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return in what processes differ, as one line; empty where they do not."""
    first = said[0]
    for name, one in zip(names, said):
        for package, version in first["versions"].items():
            if one["versions"].get(package) != version:
                return (
                    f"{name} has {package} {one['versions'].get(package)}, {names[0]} has {version}; "
                    "install the same versions on all machines"
                )
        if one["words"] != first["words"]:
            return (
                f"{name} was asked for '{' '.join(one['words'])}', {names[0]} for "
                f"'{' '.join(first['words'])}'; start the same command on all machines"
            )
        for file, digest in first["files"].items():
            if one["files"].get(file) != digest:
                return f"{name} has another '{file}' than {names[0]}; give all machines the same recipe"
        if (apart := abs(one["time"] - first["time"])) > _CLOCKS:
            return (
                f"the clock of {name} is {apart:,.0f} seconds from that of {names[0]}; set both by the same "
                f"time server, at most {_CLOCKS:.0f} seconds apart"
            )
    return ""


def _why(launch: launcher.Launch, text: str, seconds: float) -> str:
    """Return why processes did not meet, from what the agent said at its end."""
    address = os.environ.get("JAX_COORDINATOR_ADDRESS", "")
    where = f" at {address}" if address else ""
    missing = sorted({int(x) for x in re.findall(r"task:(\d+)", text.partition("timed out task")[2])})
    if missing:
        who = ", ".join(f"process {i}" for i in missing[:_SHOWN])
        who += " and more" if len(missing) > _SHOWN else ""
        return f"{who} did not start within {seconds:g} seconds; {LIMIT} sets how long the others wait"
    if "address already in use" in text.lower():
        return f"the port of the first process{where} is in use; set JAX_COORDINATOR_PORT to a free one"
    lines = [one.strip() for one in text.splitlines() if one.strip() and not one.startswith(("***", "    @"))]
    return (
        f"the processes that {launch.name} started did not meet{where}: "
        f"{lines[0][:200] if lines else 'the first one did not answer'}"
    )

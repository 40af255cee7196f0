"""Watchdog: notices a process that died or stands still, says which, and ends this one.

Every process leaves a sign of life each second or so. The first one looks at all, the others at the first.
Who notices something first leaves the reason where all look, and says it; the others end without a word.
"""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import NoReturn

from populace.core.untrusted.shown import line
from populace.engine.hosts import together
from populace.engine.hosts.agent import GONE
from populace.engine.hosts.joined import LOST, Joined, LostError

_NEWS, _END, _BEATS = "news/", "news/end", "beats/"
_FIRST = "news/beat"
_LEFT = "left"
_APART = 1.5  # seconds between signs of life
SILENT = 12.0
"""Seconds without a sign of life after which a process is taken for lost."""
_ENDING = 60.0  # seconds that a thread waits for another that ends the process


def watch(joined: Joined) -> None:
    """Leave signs of life, and look for those of the others, from now on."""
    threading.Thread(target=_watch, args=(joined,), daemon=True, name="populace-watchdog").start()


def end(message: str, code: int) -> tuple[bool, int]:
    """Let all processes end; return whether this one is to say why, and the exit code of all."""
    joined = together.joined()
    if joined is None:
        return True, code
    if not joined.ending.acquire(blocking=False):  # the watchdog was first, and ends this process
        time.sleep(_ENDING)
        return False, code
    return _end(joined, message, code)


def _end(joined: Joined, message: str, code: int) -> tuple[bool, int]:
    note = json.dumps({"by": joined.index, "code": code, "message": message})
    try:
        first, _ = joined.call("key_value_set", _END, note)
        if first == "done":
            return True, code
        how, known = joined.call("key_value_try_get", _END)
        return False, json.loads(known)["code"] if how == "done" else code
    except LostError:
        return joined.index == 1, code  # the service is gone, and one of the others says so
    finally:
        joined.agent.leave()
        together.become(None)


def leave(joined: Joined) -> None:
    """Go without a word to the others, who miss this process no more."""
    with joined.beating:
        if together.joined() is not joined:
            return
        together.become(None)
        with contextlib.suppress(LostError):
            joined.call("key_value_set", _beat_of(joined), _LEFT, True)
    joined.agent.leave()


def _beat_of(joined: Joined) -> str:
    return _FIRST if joined.index == 0 else f"{_BEATS}{joined.index}"


def _watch(joined: Joined) -> None:
    seen: dict[int, tuple[str, float]] = {}
    others = range(1, len(joined.names)) if joined.index == 0 else [0]
    number, began = 0, time.monotonic()
    while together.joined() is joined:
        number += 1
        try:
            with joined.beating:
                if together.joined() is not joined:
                    return
                joined.call("key_value_set", _beat_of(joined), str(number), True)
            news = dict(_entries(joined, _NEWS))
            beats = (
                dict(_entries(joined, _BEATS)) if joined.index == 0 else {f"{_BEATS}0": news.get(_FIRST, "")}
            )
        except LostError:
            if together.joined() is joined:
                _lost(joined, [0])
            return
        if _END in news:
            _leave(joined, int(json.loads(news[_END])["code"]))
        if gone := sorted(int(key.removeprefix(GONE)) for key in news if key.startswith(GONE)):
            _lost(joined, gone)
        now, silent = time.monotonic(), []
        for other in others:
            beat = beats.get(f"{_BEATS}{other}", "")
            before, since = seen.get(other, ("", began))
            if beat != before:
                since = now
            seen[other] = beat, since
            if now - since > SILENT and beat != _LEFT:
                silent.append(other)
        if silent:
            _lost(joined, silent)
        time.sleep(_APART)


def _entries(joined: Joined, place: str) -> Sequence[tuple[str, str]]:
    code, found = joined.call("key_value_dir_get", place)
    return found if code == "done" else []


def _lost(joined: Joined, who: Sequence[int]) -> NoReturn:
    """Say which processes were lost, if nobody else has, and end this one."""
    message = joined.lost(who)
    _let_others_end(joined)
    together.before_ending()
    says, code = _end(joined, message, LOST)
    if says:
        print(f"populace: {line(message)}", file=sys.stderr, flush=True)
    _exit(code)


def _leave(joined: Joined, code: int) -> NoReturn:
    _let_others_end(joined)
    together.before_ending()
    joined.agent.leave()
    _exit(code)


def _let_others_end(joined: Joined) -> None:
    """End only this thread if the main thread is about to end the process, and says why."""
    if not joined.ending.acquire(blocking=False):
        sys.exit()


def _exit(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)

"""Agent: the process beside a training one that talks with JAX's coordination service.

JAX's client ends its whole process, by a signal and a page of addresses, as soon as the process with the
service is gone. That happens to this one; the training process sees it end, and says what became of whom.
For the same reason the service is here: it outlives a training process that was killed, and says so.

Run by `python -m populace.engine.hosts.agent FD COUNT INDEX SECONDS`.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

GONE = "news/gone/"
"""Below it: the processes that ended without a word."""
_LINGERS = 6.0  # seconds in which the others read that the process with the service has ended
_FOREVER = 10**6  # seconds; the beats of the training processes say who lives


def main() -> None:
    """Serve the requests of the training process until it ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a scheduler sends them to all processes of a job
        signal.signal(number, signal.SIG_IGN)
    descriptor, count, index, seconds = sys.argv[1:]
    pipe, met = Connection(int(descriptor)), threading.Event()
    threading.Thread(target=_end_if_alone, args=(pipe, met), daemon=True).start()
    try:
        client, joined = _join(count, index, int(seconds))
    except Exception as error:
        with contextlib.suppress(OSError):
            pipe.send((None, "failed", f"{type(error).__name__}: {error}"))
        os._exit(1)
    met.set()
    pipe.send((None, "joined", joined))
    left = _serve(pipe, client)
    if not left:
        try:
            client.key_value_set(f"{GONE}{joined['index']}", "")
        except Exception:
            os._exit(1)
    if joined["index"] == 0:
        time.sleep(_LINGERS)
    os._exit(0)


def _end_if_alone(pipe: Connection, met: threading.Event) -> None:
    """End if the training process does so before all have met: until then it asks for nothing."""
    pipe.poll(None)
    if not met.is_set():
        os._exit(1)


def _join(count: str, index: str, seconds: int) -> tuple[Any, dict[str, Any]]:
    """Meet the other agents; return the client, and who this one is among them."""
    import jax
    from jax._src import distributed  # where everybody finds the client, Orbax for one

    jax.config.update("jax_enable_preemption_service", False)  # signals are the training process's affair
    jax.distributed.initialize(
        num_processes=int(count) if count else None,
        process_id=int(index) if index else None,
        initialization_timeout=seconds,
        heartbeat_timeout_seconds=_FOREVER,
        shutdown_timeout_seconds=1,
    )
    state = distributed.global_state
    return state.client, {
        "index": state.process_id,
        "count": state.num_processes,
        "visible": jax.config.read("jax_cuda_visible_devices"),
    }


def _serve(pipe: Connection, client: Any) -> bool:
    """Answer requests, each in a thread; return whether the training process said that it leaves."""
    lock = threading.Lock()

    def answer(number: int, what: str, args: tuple[Any, ...]) -> None:
        try:
            found = "done", getattr(client, what)(*args)
        except Exception as error:
            text = str(error)
            found = text.partition(":")[0], text  # a code such as NOT_FOUND, and what it says
        with lock:
            pipe.send((number, *found))

    pool = ThreadPoolExecutor(8)  # nobody waits for its threads: the service may never answer
    while True:
        try:
            request = pipe.recv()
        except (EOFError, OSError):
            return False
        if request is None:
            return True
        pool.submit(answer, *request)


if __name__ == "__main__":
    main()

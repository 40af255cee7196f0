"""What was compiled: how often each program, how long that took, and what came from the cache."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_SHOWN = 12
_TRACE = "/jax/core/compile/jaxpr_trace_duration"
_LOWER = "/jax/core/compile/jaxpr_to_mlir_module_duration"
_COMPILE = "/jax/core/compile/backend_compile_duration"
_HIT = "/jax/compilation_cache/cache_hits"


@dataclass
class Program:
    """One name of a program; several programs may have it, of different shapes.

    Attributes:
        times: how often it was compiled, or read from the cache.
        cached: how often it was read from the cache.
        prepared: seconds of tracing and lowering.
        compiled: seconds of compiling, or of reading.

    """

    times: int = 0
    cached: int = 0
    prepared: float = 0.0
    compiled: float = 0.0


@dataclass
class CompilationLog:
    """Listens to JAX from its making on; `text` says what came of it."""

    programs: dict[str, Program] = field(default_factory=dict)
    _hit: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        import jax

        jax.monitoring.register_event_listener(self._event)
        jax.monitoring.register_event_duration_secs_listener(self._duration)

    def _event(self, event: str, **facts: object) -> None:
        del facts
        if event == _HIT:  # that of the program which this thread is about to have
            self._hit.now = True

    def _duration(self, event: str, duration_secs: float, **facts: object) -> None:
        if event not in (_TRACE, _LOWER, _COMPILE):
            return
        name = str(facts.get("fun_name", "?")).removeprefix("jit(").removesuffix(")")
        program = self.programs.setdefault(name, Program())
        if event == _COMPILE:
            program.times += 1
            program.cached += getattr(self._hit, "now", False)
            program.compiled += duration_secs
            self._hit.now = False
        else:
            program.prepared += duration_secs

    def text(self) -> str:
        """Return a table of the programs that took longest, and the sums over all."""
        rows = [(n, p) for n, p in self.programs.items() if p.times]
        rows.sort(key=lambda row: -row[1].prepared - row[1].compiled)
        lines = [f"{'compiled':<32}{'times':>7}{'cached':>8}{'trace, lower s':>16}{'compile s':>11}"]
        rest = [p for _, p in rows[_SHOWN:]]
        shown = rows[:_SHOWN] + ([(f"{len(rest)} others", _sum(rest))] if rest else [])
        for name, p in [*shown, ("all", _sum([p for _, p in rows]))]:
            lines.append(f"{name[:31]:<32}{p.times:>7}{p.cached:>8}{p.prepared:>16.2f}{p.compiled:>11.2f}")
        return "\n".join(lines)


@contextmanager
def compilation_shown(asked: bool) -> Iterator[None]:
    """Print what was compiled inside, if asked, to standard error, which leaves `--json` as it is."""
    log = CompilationLog() if asked else None
    try:
        yield
    finally:
        if log is not None:
            print(log.text(), file=sys.stderr, flush=True)


def _sum(programs: list[Program]) -> Program:
    columns = zip(*((p.times, p.cached, p.prepared, p.compiled) for p in programs))
    return Program(*(sum(column) for column in columns)) if programs else Program()

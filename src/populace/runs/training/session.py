"""Session: one sitting of training a run, from its start or from a checkpoint to its end."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from populace.core.errors import PopulaceError, RunError
from populace.core.files import sweep
from populace.core.population import Population
from populace.core.system import memory
from populace.engine import host_errors, hosts
from populace.engine.callbacks import Callback, Evaluation, Window
from populace.engine.training_loop import Engine
from populace.runs.checkpoints import Checkpoints
from populace.runs.folder import resuming
from populace.runs.integrity import continuity, failures, learner_files, lock, sittings
from populace.runs.metric_tables import Recorder, read
from populace.runs.outcome.scores import measured
from populace.runs.recipe.recipe import Recipe
from populace.runs.tensorboard.board import TensorBoard
from populace.runs.training import reopening
from populace.runs.training.conclusion import conclude
from populace.runs.training.head import write_head
from populace.runs.training.untrained import Log, engine_of
from populace.runs.weights import start

# Checkpoints wait until the last one is this many times its own cost ago, whatever was asked: on a
# slow disk they would otherwise eat the run.
_SPARING = 40
_NAMED = 10
"""Members that are named when they diverge in the same window; the others are counted."""


class Stopped(RunError):  # noqa: N818  it is no error, the run did as it was told
    """The run ended before its last step because it was asked to; nothing is lost."""


class Session(Callback):
    """Trains one run folder; writes everything in it but the report and the media.

    Args:
        folder: of the run.
        recipe: what is trained, and how.
        population: who is trained.
        log: told in words what happens.
        owner: folder that a person resumes and whose lock is held, if it is another one.
        externally: whether the best setting is measured outside the program too.

    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        population: Population,
        log: Log,
        *,
        owner: Path | None = None,
        externally: bool = True,
    ) -> None:
        self.folder, self.recipe, self.population, self.log = folder, recipe, population, log
        self._owner, self._externally = owner or folder, externally
        self._began = time.perf_counter()
        self._known: set[int] = set()

    def go(
        self,
        callbacks: Sequence[Callback] = (),
        stop: Callable[[], bool] | None = None,
        *,
        resume: bool = False,
    ) -> None:
        """Train to the end, measure the outcome, and write it down.

        Raises:
            Stopped: `stop` said so; a checkpoint was made. A callback that ends the run raises nothing.
            RunError: the disk, the memory or the learner failed; the last good checkpoint is intact.

        """
        stop = stop or (lambda: False)
        options = self.recipe.options
        self.checkpoints = Checkpoints(self.folder / "checkpoints", options.checkpoints_kept)
        with self._told(), contextlib.ExitStack() as closing, host_errors.reraised():
            closing.push(self._close)
            done, stopping = self._train(callbacks, stop, resume)
        if not done and not stopping:
            self.log(f"a callback stopped the run at step {self.engine.step} of {options.steps}")
        elif stopping:
            raise Stopped(
                f"stopped at step {self.engine.step} of {options.steps}",
                resuming(self._owner, "go on with "),
            )

    def _train(
        self, callbacks: Sequence[Callback], stop: Callable[[], bool], resume: bool
    ) -> tuple[bool, bool]:
        """Return whether training got to its end, and whether it was asked to stop, in any process."""
        options, writes = self.recipe.options, hosts.is_writer()

        def phase(name: str) -> None:
            for callback in callbacks:
                callback.on_phase(name)

        self.engine = engine = engine_of(self.recipe, self.population, self.log, phase, divided=True)
        info = (self.checkpoints.restore(engine, self.log) if resume else None) or {}
        if info and writes:
            continuity.check(self.folder, info)
            learner_files.check(self.folder, engine.learners)
        self._wall, self._resumed = info.get("wall_s", 0.0), info.get("resumed", -1) + 1
        if resume and info:
            self.log(f"resuming at step {engine.step} of {options.steps}")
        elif resume:
            self.log("no checkpoint yet: starting from the beginning")
        phase("compiling")
        if options.start_from and not info:
            tensors = start.read(self.folder)
            for group_state in engine.group_states:
                group_state.start_from(tensors)
        self._clear_after(engine.step)
        if not info:
            write_head(self.folder, self.recipe, engine)
        if writes:
            self._open()
            self._sit_down()
            engine.callbacks = [self, self.board, *callbacks]
        self._known = {int(i) for i in np.flatnonzero(engine.diverged_at() >= 0)}
        self._saved_at, self._saving = time.perf_counter(), 0.0
        done = engine.train(
            options.steps,
            window=options.window(len(self.population)),
            evaluate_every=options.evaluation_window,
            wants_pause=lambda: stop() or self._due(),
            pause=lambda: self._pause(stop()),
        )
        if engine.control.stop:
            self.log(f"stopped early, at step {engine.step} of {options.steps}: {engine.control.stop}")
        self._save()
        self.checkpoints.wait()
        memory.give_back()
        phase("measuring")
        stopping = hosts.any_of(stop(), "the end of training")
        self._conclude(done and not stopping)
        return done, stopping

    def _conclude(self, done: bool) -> None:
        """Measure the outcome and write it down, in one process; the others wait for it."""
        fresh = measured.measured_by_all(self.engine, self.recipe.options) if done else None
        if hosts.is_writer():
            engine = self.engine
            if hosts.count() > 1:  # what came out is of all members, and they lie in the checkpoint
                engine = reopening.engine_of(self.folder, self.recipe, self.population)
                engine.training_seconds = self.engine.training_seconds
            conclude(
                self.folder,
                self.recipe,
                engine,
                self.log,
                done=done,
                externally=self._externally,
                wall=self._wall_seconds,
                resumed=self._resumed,
                fresh=fresh,
            )
            self.board.close()
            sittings.end(self.folder, self.engine.step)
        hosts.barrier("measuring", endless=True)

    def _close(self, *failed: Any) -> None:
        """Close what is open; after a failure, that closing fails for the same reason would hide it."""
        hidden = (Exception,) if failed[0] else ()
        for part in ("board", "checkpoints"):
            with contextlib.suppress(*hidden):
                if part in vars(self):
                    vars(self)[part].close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the machine or the learner does to the run into one line that says what is safe."""
        try:
            yield
        except PopulaceError:
            raise
        except Exception as error:
            engine: Engine | None = vars(self).get("engine")
            line = failures.reason(error, self.folder)
            if not line:
                if engine is not None and error is engine.callback_error:
                    raise  # of whoever called: theirs to know
                name, at = type(self.recipe.learner).__name__, 0 if engine is None else engine.step
                line = f"{name} failed after step {at:,}: {failures.raised(error)}"
            lock.check(self._owner)
            good = max(self.checkpoints.settled(), default=None)
            have = (
                "there is no checkpoint yet" if good is None else f"the checkpoint of step {good} is intact"
            )
            raise RunError(f"{line}; {have}", resuming(self._owner, "mend it, then ")) from error

    def _open(self) -> None:
        members = self.population.members
        self.recorder = Recorder(self.folder / "metrics", members, self.population.units_per_step)
        self.recorder.drop_after(self.engine.step)
        engine, score = self.engine, self.population.learner.score
        before = read(self.folder / "metrics", "evaluation") if engine.step else None
        earlier = before[score].to_numpy() if before and score in before.column_names else ()
        self.board = TensorBoard(self.folder / "tensorboard", engine, engine.step, self.log, earlier)

    def _clear_after(self, step: int) -> None:
        """Remove what a kill left half-written, and checkpoints that are damaged."""
        if hosts.is_writer():
            sweep(self.folder)
        self.checkpoints.drop_after(step)

    def _sit_down(self) -> None:
        """Note what the training depends on, and record by what it is trained from here on."""
        self._depends_on = continuity.note(self.folder)
        if other := sittings.begin(self.folder, self.engine):
            self.log(f"the run goes on under other conditions, and may end in other numbers: {other}")

    def on_window(self, window: Window) -> None:
        """Record a window, and name members that diverged in it."""
        self.recorder.add("train", window.step, window.metrics)
        new = [i for i in np.flatnonzero(window.diverged_at >= 0).tolist() if i not in self._known]
        self._known.update(new)
        for index in new[:_NAMED]:
            member = self.population.members[index]
            values = self.population.settings[member.setting]
            which = ", ".join(f"{k} {v}" for k, v in values.items())
            self.log(
                f"member {index} (seed {member.seed}{', ' if which else ''}{which}) is not finite "
                f"since step {window.diverged_at[index]}: frozen, the others go on"
            )
        if more := new[_NAMED:]:
            self.log(f"{len(more):,} more members are not finite since step {window.step} or before: frozen")

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Record an evaluation."""
        self.recorder.add("evaluation", evaluation.step, evaluation.metrics)

    def _due(self) -> bool:
        wait = max(self.recipe.options.checkpoint_every, _SPARING * self._saving)
        return time.perf_counter() - self._saved_at > wait

    def _pause(self, stopping: bool) -> bool:
        if hosts.any_of(stopping or self._due()):
            self._save()
            memory.give_back()
        return not stopping

    def _save(self) -> None:
        """Write metrics, then the checkpoint: what a checkpoint knows of is on disk before it."""
        start = time.perf_counter()
        lock.check(self._owner)
        there = hosts.from_writer(self.checkpoints.has(self.engine.step), "a checkpoint")
        info: dict[str, Any] = {}
        if hosts.is_writer():
            self.recorder.flush()
            if not there:
                self.board.histograms()
                self.board.log_artifacts()
                self.board.flush()
            info = {
                "training_seconds": self.engine.training_seconds,
                "wall_s": self._wall_seconds(),
                "resumed": self._resumed,
                "metrics": self.recorder.digest,
                **self._depends_on,
            }
        if not there:
            self.checkpoints.save(self.engine, info)
        self._saved_at = time.perf_counter()
        self._saving = self._saved_at - start

    def _wall_seconds(self) -> float:
        """Return the seconds that the run has taken so far, all sittings together."""
        return self._wall + time.perf_counter() - self._began

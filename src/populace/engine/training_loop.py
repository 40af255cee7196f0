"""Engine: the host loop that feeds compiled windows of steps to the devices.

It dispatches the next window before it looks at the last one's metrics, so the devices never wait
for the host. Between windows it evaluates, keeps the best models, and sets diverged members aside.
"""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.mean import Mean
from populace.core.population import Population
from populace.engine import gathering, hosts, intervention, windows
from populace.engine.callbacks import Callback, Columns, Evaluation, Window
from populace.engine.controller import Control, Controller, training_members
from populace.engine.group_programs import choices
from populace.engine.group_state import GroupState
from populace.engine.hosts import any_of
from populace.engine.hosts.division import Share
from populace.engine.programs.carry import Best
from populace.engine.programs.compiled import EVALUATION
from populace.engine.windows import Pending


class Engine:
    """Trains a population from where it stands; knows nothing of files.

    Args:
        population: who trains.
        strategy: `auto`, `vmap`, `map`, or a number of members at a time; or one for each group.
        devices: use at most so many devices; 0 means all.
        log: is told what a person may want to know, a line each.
        checkpoint_selection: which model of each member is kept: `best`, by its evaluations, or `last`.
        controller: decides after each evaluation how the population goes on.
        phase: is told what is being done before training, where that takes long.
        divided: train only this process's share of the members, where several were started together.

    """

    def __init__(
        self,
        population: Population,
        strategy: str | Sequence[str] = "auto",
        devices: int = 0,
        log: Callable[[str], None] = lambda line: None,
        checkpoint_selection: Literal["best", "last"] = "best",
        controller: Controller | None = None,
        phase: Callable[[str], None] = lambda name: None,
        divided: bool = False,
    ) -> None:
        self._keep_last = checkpoint_selection == "last"
        self.population, self.step, self.training_seconds = population, 0, 0.0
        self._since = time.perf_counter()
        self.callbacks: list[Callback] = []
        self.callback_error: Exception | None = None
        self.controller = controller
        self.control = Control(controller.init(population) if controller else None)
        count = len(population.groups)
        names = [strategy] * count if isinstance(strategy, str) else list(strategy)
        if len(names) != count:
            raise UsageError(f"strategy must be one, or one for each of {count} groups, got {names}")
        if devices > (here := len(jax.local_devices())):
            log(f"{devices} devices were asked for and {here} are here: numbers may differ in rounding")
        self.divided = divided and hosts.count() > 1
        chosen = choices(population, names, devices, phase, divided=self.divided)
        self.shares: list[Share] = chosen.shares
        """Which members of which groups `group_states` are of."""
        self.strategies = chosen.strategies
        """What was chosen for each group of the population."""
        self.group_states = [GroupState(program, choice) for choice, program in chosen.programs]

    def train(
        self,
        steps: int,
        *,
        window: int,
        evaluate_every: int,
        evaluate_last: bool = True,
        wants_pause: Callable[[], bool] = lambda: False,
        pause: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Train until `steps` are completed or the controller ends the run; return whether it got there.

        Args:
            steps: iterations in all, those already completed included.
            window: iterations between looks at the metrics.
            evaluate_every: iterations between evaluations, 0 for none.
            evaluate_last: evaluate after the last step as well, whatever its number.
            wants_pause: asked after each window; yes settles the devices and calls `pause`.
            pause: called when no window is under way and states and step agree, after every
                evaluation too; returns whether to go on.

        """
        for callback in self.callbacks:
            callback.steps = steps
        self._tell("on_start", self.population, self.step)
        done = self._train(steps, window, evaluate_every, evaluate_last, wants_pause, pause)
        for group_state in self._running:
            group_state.program.release()
        self._tell("on_end", self.step)
        return done

    def _tell(self, what: str, *news: Any) -> None:
        """Tell every callback; what one raises is known to be none of the learner's."""
        for callback in self.callbacks:
            try:
                getattr(callback, what)(*news)
            except Exception as error:
                self.callback_error = error
                raise

    def _train(
        self,
        steps: int,
        window: int,
        evaluate_every: int,
        evaluate_last: bool,
        wants_pause: Callable[[], bool],
        pause: Callable[[], bool],
    ) -> bool:
        if self.control.stop:
            return True
        for group_state in self.group_states:
            _ = group_state.best  # that of a member which diverges before any evaluation is its start
        self._compact()
        pending: Pending | None = None
        self._since = time.perf_counter()
        for end in windows.ends(self.step, steps, window, evaluate_every):
            following = windows.dispatch(self._running, end)
            if pending is not None and self._finish(pending):
                windows.catch_up(self._running, following)  # it was dispatched to batches that had halted
            pending = following
            last, due = end == steps, evaluate_every > 0 and end % evaluate_every == 0
            if last or due or any_of(wants_pause() or self.stop_training):
                self._finish(pending)
                pending = None
                if due or (last and evaluate_last):
                    evaluation = self.evaluate()
                    if due:
                        self._decide(evaluation)
                stopping = any_of(not pause() or self.stop_training)
                if self.control.stop:
                    return True
                if stopping and end < steps:
                    return False
                self._since = time.perf_counter()
        return True

    @property
    def learners(self) -> list[tuple[int, Learner]]:
        """The learners that this process trains members of, each behind the number of its group."""
        return [(share.group, g.program.learner) for share, g in zip(self.shares, self.group_states)]

    @property
    def stop_training(self) -> bool:
        """Whether a callback wants the run to stop."""
        return any(callback.stop_training for callback in self.callbacks)

    def evaluate(self) -> Evaluation:
        """Evaluate all members, keep the best models (or the last), and tell the callbacks."""
        collected = []
        for group_state in self._running:
            program = group_state.program
            model = program.models(group_state.state())
            metrics = program.evaluate(model, EVALUATION, self.step)
            value = metrics[program.learner.score].value
            sign = 1.0 if program.learner.mode == "max" else -1.0
            score = jnp.where(jnp.isfinite(value), sign * value, -jnp.inf)
            new = Best(model, score, jnp.full(score.shape, self.step, jnp.int32))
            trains = group_state.carry.diverged_at < 0
            group_state.best = program.keep(group_state.best, new, trains, self._keep_last)
            collected.append(metrics)
        running = self._running
        ended_at = self.gather([c.carry.diverged_at for c in running], running)  # diverged, or stopped
        columns = {
            name: np.where(ended_at < 0, values, np.nan)
            for name, values in self.columns(collected, running).items()
        }
        evaluation = Evaluation(self.step, columns, self._but_stopped(ended_at))
        self._tell("on_evaluation", evaluation)
        return evaluation

    def diverged_at(self) -> np.ndarray:
        """Return per member the step after which it was not finite any more, or -1."""
        return self._but_stopped(self.gather([c.carry.diverged_at for c in self.group_states]))

    def restore_control(self, control: Control) -> None:
        """Take over what a controller decided before, with the settings that it changed."""
        self.control = control
        intervention.change_settings(control.settings(), self)

    def _decide(self, evaluation: Evaluation) -> None:
        """Ask the controller, and do what it says."""
        if self.controller is None or self.control.stop:
            return
        state, decision = self.controller.decide(self.control.state, evaluation, self.population)
        if decision is not None:
            decision.check(len(self.population))
            decision = decision.but_diverged(evaluation.diverged_at)
            for group_state in self.group_states:
                group_state.expand()
            intervention.apply(decision, self, self.step, evaluation.diverged_at)
        self.control = self.control.after(state, decision and decision.to_dict(self.step))
        if decision is not None:
            self._compact()

    @property
    def _running(self) -> list[GroupState]:
        """The groups as they train: without members that were stopped, where that makes them much smaller."""
        return [group_state.running for group_state in self.group_states]

    def _compact(self) -> None:
        """Leave members that were stopped out of what is trained, as the decisions so far say."""
        if any("stop_members" in entry for entry in self.control.decisions):
            for group_state in self.group_states:
                group_state.hold(training_members(self.control.decisions, group_state.group.indices.tolist()))

    def _but_stopped(self, diverged_at: np.ndarray) -> np.ndarray:
        """Leave members out that did not diverge, but were stopped by the controller."""
        found = diverged_at.copy()
        found[list(self.control.stopped_at())] = -1
        return found

    def gather(
        self,
        per_group: list[Any],
        states: Sequence[GroupState] | None = None,
        missing: float = 0,
        *,
        everywhere: bool = True,
    ) -> np.ndarray:
        """Put per-slot arrays of the groups together in the order of the population's members.

        Args:
            per_group: an array for each group, slots in front.
            states: the groups, where they are not all members: as they train.
            missing: what members have that are in none of them.
            everywhere: whether, of several processes, all get all; else the first one alone does.

        """
        states = self.group_states if states is None else states
        where = {"divided": self.divided, "everywhere": everywhere}
        return gathering.gather(len(self.population), per_group, states, missing, **where)

    def find(self, member: int) -> tuple[GroupState, int]:
        """Return the group and slot of a member that this process trains."""
        if not self.is_here(member):
            raise IndexError(f"no member {member} among {len(self.population)}, or another process trains it")
        group, slot = self._places[member]
        return self.group_states[group], int(slot)

    def is_here(self, member: int) -> bool:
        """Return whether this process trains a member; alone, it trains all."""
        return 0 <= member < len(self.population) and self._places[member, 0] >= 0

    @cached_property
    def _places(self) -> np.ndarray:
        """Group and slot of each member, (members, 2); -1 for those of other processes."""
        found = np.full((len(self.population), 2), -1)
        for number, group_state in enumerate(self.group_states):
            indices = group_state.group.indices
            found[indices, 0], found[indices, 1] = number, np.arange(len(indices))
        return found

    # -- windows -----------------------------------------------------------------------------------

    def _finish(self, pending: Pending) -> bool:
        """Wait for a window, tell the callbacks, and return whether a batch had halted in it."""
        running, marks = self._running, pending.marks()
        if halted := min(int(m[:, 0].min()) for m in marks) < pending.end:
            windows.catch_up(running, pending)
            marks = pending.marks()
        # Callbacks are told where files are written; the other processes go on.
        columns = self.columns([p.sums for p in pending.progress], running, everywhere=False)
        diverged_at = self.gather([m[:, 1] for m in marks], running, everywhere=False)
        diverged_at = self._but_stopped(np.where(diverged_at > pending.end, -1, diverged_at))
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        self.step, self.training_seconds = pending.end, self.training_seconds + seconds
        self._tell("on_window", Window(pending.end, columns, diverged_at, seconds))
        return halted

    def columns(
        self,
        per_group: list[dict[str, Mean]],
        states: Sequence[GroupState] | None = None,
        *,
        everywhere: bool = True,
    ) -> Columns:
        """Put the groups' metrics together: one value per member; NaN where nothing was measured."""
        states = self.group_states if states is None else states
        where = {"divided": self.divided, "everywhere": everywhere}
        return gathering.columns(len(self.population), per_group, states, **where)

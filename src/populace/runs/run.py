"""Run: a folder that says everything, and what can be asked of it.

run = populace.train(populace.sweep(DQN(env="CartPole-v1"), {...}, seeds=8), steps=10_000)
run.results()["best"], run.best().policy(observation), Run.load(path).resume()
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from populace.core.errors import RunError, UsageError
from populace.core.learner import Learner
from populace.core.population import Population
from populace.core.untrusted.shown import shown
from populace.engine import host_errors, hosts
from populace.engine.callbacks import Callback
from populace.engine.training_loop import Engine
from populace.runs import fingerprint
from populace.runs.folder import check_format
from populace.runs.integrity import lock
from populace.runs.integrity.status import status
from populace.runs.outcome import confirmation
from populace.runs.outcome.facts import facts as facts_of
from populace.runs.outcome.measured_again import measured_again
from populace.runs.outcome.member_predictions import MemberPredictions, member_predictions
from populace.runs.outcome.scores import measured
from populace.runs.recipe import kept
from populace.runs.recipe.recipe import Recipe
from populace.runs.records import Records
from populace.runs.trained_member import Trained
from populace.runs.training import extension, reopening
from populace.runs.training.session import Session
from populace.runs.training.untrained import Log, quiet


class Run(Records):
    """A run folder; [`load`][populace.runs.run.Run.load] opens one, `train` makes one."""

    def __init__(self, path: Path, learner: Learner | None = None, *, trust: bool = False) -> None:
        super().__init__(path)
        self._learner, self._trust = learner, trust
        self._checked = False

    @classmethod
    def load(cls, path: str | Path, learner: Learner | None = None, *, trust: bool = False) -> "Run":
        """Open a run folder.

        Args:
            path: the folder.
            learner: the learner of the run; required if it holds in-memory data or functions of your own.
            trust: whether modules outside populace that its recipe names may be imported, which runs them;
                runs that were trained here, as they are, are trusted.

        Raises:
            UsageError: it is not a run folder, another version of populace wrote it, or the learner is not
                the one it was trained by.

        """
        folder = Path(path)
        if not folder.exists():
            raise UsageError(f"no run at '{folder}': there is no such folder")
        if not (folder / "recipe.toml").is_file():
            raise UsageError(f"'{folder}' is not a run folder: it has no recipe.toml")
        check_format(folder)
        run = cls(folder, learner, trust=trust)
        if learner is not None:
            given = run.recipe.learner  # a recipe that cannot be read is told first
            fingerprint.check_settings(folder, run.recipe_text(), given)
            run._check_data()
        return run

    def _overview(self) -> tuple[str, dict[str, object]]:
        now = status(self.path)
        facts: dict[str, object] = {"status": f"{now.state}, {now.step:,} of {now.steps:,} steps"}
        try:
            facts |= facts_of(self.results())
        except (RunError, LookupError, TypeError, ValueError):
            there = (self.path / "results.json").exists()
            facts["results"] = "damaged: `populace verify` says more" if there else "none yet"
        if self._learner is None and fingerprint.noted(self.path):
            call = f"Run.load({str(self.path)!r}, learner)"
            facts["data"] = f"of your own, which are not in the folder: {call} opens its members"
        return f"Run '{self.path}'", facts

    @cached_property
    def recipe(self) -> Recipe:
        """The complete recipe."""
        return kept.recipe_of(self.path, self._learner, trust=self._trust)

    @property
    def finished(self) -> bool:
        """Whether training got to its last step, was evaluated, and confirmed if the recipe asks for it."""
        return self._trained and (not self.recipe.options.confirm or "confirmation" in self.results())

    @property
    def _trained(self) -> bool:
        if not (self.path / "results.json").is_file():
            return False
        results = self.results()
        # A kill may have come between a recipe that asks for more steps and the removal of the old results.
        return results["status"] == "finished" and results["steps_total"] == self.recipe.options.steps

    def resume(
        self,
        steps: int | None = None,
        *,
        callbacks: Sequence[Callback] = (),
        log: Log = quiet,
        stop: Callable[[], bool] | None = None,
    ) -> "Run":
        """Go on from the newest sound checkpoint; a finished run is left as it is, unless it gets more steps.

        A finished run whose newest checkpoint is damaged is trained again from the one before.

        More steps end in the same bits as a run that was asked for them at first: nothing that is learned
        depends on how many there are. `log_every` and `evaluate_every` stay as they were, also where the
        recipe had left them to follow from the steps. Where the old number is no multiple of
        `evaluate_every`, there was one evaluation more, at the old end, and the best model may be of it.

        Args:
            steps: iterations of each member in all, at least as many as the run was asked for.
            callbacks: told of every window and evaluation.
            log: told in words what happens.
            stop: asked between windows; yes ends the run with a checkpoint.

        Raises:
            UsageError: fewer steps than the run was asked for, or a run that its controller has ended.
            RunError: another process trains it.

        """
        sound = self.sound
        if self.finished and steps in (None, self.recipe.options.steps) and sound:
            return self
        with lock.held(self.path):
            if steps is not None:
                self._extend(steps)
            if not (self.finished and sound):
                self._check_data()
                if not (self._trained and sound):
                    Session(self.path, self.recipe, self.population, log).go(callbacks, stop, resume=True)
                    self.__dict__.pop("engine", None)
                confirmation.as_asked(self.path, self.recipe, log, callbacks, stop)
        return self

    @host_errors.reraised()
    def confirm(
        self,
        seeds: int = 16,
        *,
        callbacks: Sequence[Callback] = (),
        log: Log = quiet,
        stop: Callable[[], bool] | None = None,
    ) -> "Run":
        """Train the winning setting and its nearest rival again, on seeds that the run did not use.

        What comes out is in `results()["confirmation"]`. Nothing was chosen by it, so the luck that made the
        winner the best of the settings is not in it. A confirmation that was interrupted goes on.

        Callbacks with `follows_confirmation` are told; `log` and `stop` are as in `resume`.

        Raises:
            UsageError: fewer than one seed, or a run that cannot be confirmed: one that has not ended, or has
                one setting, or whose members a controller changed.
            RunError: another process trains it.

        """
        if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
            raise UsageError(f"seeds must be a whole number of at least 1, got {shown(seeds)}")
        self.results()
        self._check_data()
        with lock.held(self.path):
            confirmation.confirm(self.path, self.recipe, seeds, log, callbacks, stop)
        return self

    @cached_property
    def population(self) -> Population:
        """Who was trained."""
        self._check_data()
        return self.recipe.population()

    def member(self, index: int) -> Trained:
        """Return one member with its best model, from the newest checkpoint."""
        engine = self.engine
        group_state, slot = engine.find(index)
        member = self.population.members[index]
        values = self.population.settings[member.setting]
        return Trained(member, values, group_state.program.learner_of(slot), group_state.best_model(slot))

    def best(self) -> Trained:
        """Return the best member of the best setting, both chosen on training-time evaluations.

        Raises:
            RunError: all members diverged, so that none is the best.

        """
        return self.member(self._selected()["member"])

    def predictions(
        self, x: Any = None, *, setting: int | None = None, confidence: float = 0.95
    ) -> MemberPredictions:
        """Return what all members of a setting predict, with the mean and its interval over members.

        Args:
            x: inputs as [`Trained.predict`][populace.runs.trained_member.Trained.predict] takes them.
            setting: index of the setting; by default the best.
            confidence: of the intervals; of fewer than 5 members there is only a range.

        Raises:
            RunError: no setting is given and all members diverged, so that none is the best.
            UsageError: no such setting, or what `member_predictions` refuses.

        """
        chosen = self._selected()["setting"] if setting is None else setting
        if not 0 <= chosen < (count := len(self.population.settings)):
            raise UsageError(f"there is no setting {chosen}; settings are numbered 0 to {count - 1}")
        members = [self.member(index) for index in self.population.members_of(chosen)]
        return member_predictions(members, x, confidence=confidence)

    @host_errors.reraised()
    def evaluate(self, size: int = 200, backend: str = "native", seed: int = 1) -> dict[str, Any]:
        """Measure the kept models again, on fresh data or episodes.

        Args:
            size: of the evaluation, per member, in the learner's `evaluation_unit`.
            backend: `native` measures every member inside the program; another, such as
                `gymnasium`, the members of the best setting outside it.
            seed: of the evaluation; the run itself used 0.

        Returns:
            `backend`, `size`, `unit`, `mode`, `seed`, and `settings`: for each one measured its `setting`,
            `values`, `members` and `summary` (as in `results.json`).

        Raises:
            UsageError: the learner knows no such backend, or its score is of the training itself.

        """
        engine = self.engine
        if engine.group_states[0].program.learner.independent_test is None:
            raise UsageError(
                f"the score of '{self.path}' is of the training itself and cannot be measured again; "
                "train more seeds, or confirm the winner on new ones"
            )
        scores = measured.collect(engine, self.metrics("evaluation"))
        measured.complete(scores, engine, self.path, self.recipe.options)
        return measured_again(engine, scores, self.member, size, backend, seed)

    @cached_property
    def engine(self) -> Engine:
        """The engine as the newest checkpoint left it.

        Raises:
            RunError: there is no checkpoint, or the newest is damaged.
            UsageError: the learner is not the one that the run was trained by, or its recipe was changed.

        """
        self._check_data()
        return reopening.engine_of(self.path, self.recipe, self.population)

    def _selected(self) -> dict[str, Any]:
        """Return the best setting and its best member, as the results have them."""
        results = self.results()
        if results["best"] is None:
            count, first = len(results["members"]), min(m["diverged_at"] for m in results["members"])
            raise RunError(
                f"'{self.path}' has no best member: all {count:,} diverged, the first at step {first:,}; "
                "lower the learning rate, or look at one with run.member(0)"
            )
        return results["best"]

    def _extend(self, steps: int) -> None:
        """Let the recipe ask for more steps; what was read of the old one is read again."""
        if extension.check(self.path, self.recipe, self.population, steps):
            self._check_data()
            hosts.barrier("the check of more steps")
            if hosts.is_writer():
                extension.extend(self.path, self.recipe, len(self.population), steps)
            hosts.barrier("more steps")
            for name in ("recipe", "population", "engine"):
                self.__dict__.pop(name, None)

    def _check_data(self) -> None:
        """Raise a `UsageError` if the learner's data are not the run's; once, for they may be many."""
        if not self._checked:
            fingerprint.check_data(self.path, self.recipe.learner)
            self._checked = True

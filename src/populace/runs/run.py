"""Run: a folder that says everything, and what can be asked of it.

run = populace.train(populace.sweep(DQN(env="CartPole-v1"), {...}, seeds=8), steps=10_000)
run.results()["best"], run.best().policy(observation), Run.load(path).resume()
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from populace.core import files
from populace.core.errors import RunError, UnknownKindError, UsageError
from populace.core.formatting import Overview
from populace.core.learner import Learner
from populace.core.population import Population
from populace.core.untrusted.shown import shown
from populace.engine import host_errors
from populace.engine.callbacks import Callback
from populace.engine.training_loop import Engine
from populace.runs import fingerprint, metric_tables
from populace.runs.folder import check_format, read_json, resuming, without_end
from populace.runs.integrity import checkpoint_files, continuity, learner_files, lock, record, sittings
from populace.runs.integrity.status import status
from populace.runs.outcome import confirmation, measured
from populace.runs.outcome.facts import facts as facts_of
from populace.runs.outcome.measured_again import measured_again
from populace.runs.outcome.member_predictions import MemberPredictions, member_predictions
from populace.runs.recipe.options import options
from populace.runs.recipe.parsing import foreign_modules, parse
from populace.runs.recipe.recipe import Recipe
from populace.runs.trained_member import Trained
from populace.runs.training import Log, Session, engine_of, quiet
from populace.runs.weights import start


class Run(Overview):
    """A run folder; [`load`][populace.runs.run.Run.load] opens one, `train` makes one."""

    def __init__(self, path: Path, learner: Learner | None = None, *, trust: bool = False) -> None:
        self.path = path
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
        text = self.recipe_text()
        try:
            found = parse(text, str(self.path / "recipe.toml"), self._learner, trust=self._trust)
        except UnknownKindError as error:
            if fingerprint.noted(self.path):
                raise fingerprint.without_data(self.path) from None
            advice = "if it is of your own, import its module first, or give Run.load the learner of the run"
            raise UsageError(f"cannot make the learner of '{self.path}': {error}; {advice}") from None
        if self._trust:
            with contextlib.suppress(OSError):  # a folder that is only read: it is asked about again
                record.keep(self.path, text, foreign_modules(text))
        return found

    def recipe_text(self) -> str:
        """Return `recipe.toml` as it is.

        Raises:
            RunError: it cannot be read, or is not text.

        """
        file = self.path / "recipe.toml"
        try:
            return files.read(file)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise RunError(f"cannot read '{file}': {reason}") from None

    def metrics(self, kind: str = "train") -> pa.Table:
        """Return a metric table, `train` or `evaluation`: one row per member and window."""
        if kind not in metric_tables.KINDS:
            raise UsageError(f"metrics are train or evaluation, got '{kind}'")
        return metric_tables.read(self.path / "metrics", kind)

    def results(self) -> dict[str, Any]:
        """Return `results.json`.

        Raises:
            RunError: the run has none yet, or it is damaged.

        """
        return read_json(self.path, "results.json", "the run has not ended", resuming(self.path))

    def environment(self) -> dict[str, Any]:
        """Return `environment.json`: versions, machine and devices.

        Raises:
            RunError: it is missing or damaged.

        """
        return read_json(self.path, "environment.json", "the folder is incomplete")

    @property
    def finished(self) -> bool:
        """Whether training got to its last step, was evaluated, and confirmed if the recipe asks for it."""
        return self._trained and (not self.recipe.options.confirm or "confirmation" in self.results())

    @property
    def sound(self) -> bool:
        """Whether the newest checkpoint is what was written; of a finished run, resuming makes it again."""
        folder = self.path / "checkpoints"
        try:
            for newest in checkpoint_files.steps(folder)[-1:]:
                checkpoint_files.check(folder / str(newest))
        except ValueError:
            return False
        return True

    @property
    def sittings(self) -> list[dict[str, Any]]:
        """Where, by which versions and from which step to which the run was trained, oldest first."""
        return sittings.read(self.path)

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
        from populace.runs.checkpoints import Checkpoints

        self._check_data()
        engine = engine_of(self.recipe, self.population, quiet)
        store = Checkpoints(self.path / "checkpoints", self.recipe.options.checkpoints_kept)
        try:
            info = store.restore(engine, quiet, newest=True)
            if info is None:
                raise RunError(f"'{self.path}' has no checkpoint yet", resuming(self.path))
            continuity.check(self.path, info)
            learner_files.check(self.path, [g.program.learner for g in engine.group_states])
        finally:
            store.close()
        return engine

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
        """Let the recipe ask for more steps, and remove what described the old end."""
        old = self.recipe.options
        changed = options(old.model_dump() | {"steps": steps})
        if steps < old.steps:
            raise UsageError(
                f"'{self.path}' was asked for {old.steps:,} steps, and only more can be added; got {steps:,}"
            )
        if steps == old.steps:
            return
        self.population.check_steps(steps)
        early = self.results().get("stopped_early") if (self.path / "results.json").is_file() else None
        if early:
            raise UsageError(
                f"'{self.path}' was ended by its controller at step {early['step']:,} ({early['reason']}); "
                "more steps would train nothing"
            )
        self._check_data()
        update: dict[str, Any] = {
            "log_every": old.window(len(self.population)),
            "evaluate_every": old.evaluation_window,
        }
        if old.start_from:
            update["start_from"] = start.FILE  # as it is called there, beside the recipe
        text = replace(self.recipe, options=changed.model_copy(update=update)).text()
        without_end(self.path, text, foreign_modules(text))
        for name in ("recipe", "population", "engine"):
            self.__dict__.pop(name, None)

    def _check_data(self) -> None:
        """Raise a `UsageError` if the learner's data are not the run's; once, for they may be many."""
        if not self._checked:
            fingerprint.check_data(self.path, self.recipe.learner)
            self._checked = True

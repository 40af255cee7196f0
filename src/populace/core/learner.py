"""Learner: one way to train one network or agent, as four pure functions.

Whoever writes a learner writes it for one member. That a hundred of them train at once, resume
exactly, and are frozen when they diverge, is the engine's business.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import jax
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Metrics
from populace.core.media import Image, Visualization
from populace.core.predictor import Predictor

ExternalEvaluator = Callable[[Any, int, int], np.ndarray]


@dataclass(frozen=True)
class _Place:
    """Stands for one leaf of a state."""

    index: int


class Learner(Predictor):
    """What trains: an immutable module of settings, and pure functions of a state and a key.

    `float` fields are hyperparameters: traced, and free to differ between members of one program.
    `int`, `str` and `bool` fields are structure. Arrays are data, shared by all members.
    The state is any pytree; what is not an array in it must not change from step to step.
    """

    unit: ClassVar[str] = "steps"
    """What work is counted in, in the plural: `steps`, `frames`, `samples`."""
    score: ClassVar[str] = "score"
    """Name of the evaluation metric that ranks members."""
    mode: ClassVar[Literal["max", "min"]] = "max"
    """Which end of the score is the good one."""

    together: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Training metrics that the report draws on one axis, such as the losses of two that train against each
    other."""

    evaluation_unit: ClassVar[str] = ""
    """Unit of the size of the final evaluation, in the plural; empty where the data decide its size."""

    @property
    def units_per_step(self) -> int:
        """How many units one step works through."""
        return 1

    @property
    def epoch_steps(self) -> int:
        """Steps per epoch: how many lie between two calls of `on_epoch_start`; 0 for no calls."""
        return 0

    @property
    def x64(self) -> bool:
        """Whether it computes in float64; the engine enables that for its programs alone.

        Metrics are float32 all the same, and so are settings. `init`, `step` and `evaluate` are traced with
        it; what runs on the host (`visualize`, `predict`) enters `core.numerics.precision` itself.
        """
        return False

    @property
    def max_steps(self) -> int:
        """The largest number of iterations that keys and counters of 32 bits hold."""
        return 2**31 - 1

    @property
    def score_threshold(self) -> float | None:
        """The score that counts as solved in the field, if there is one."""
        return None

    @property
    def task_name(self) -> str:
        """Name of what scores are measured on, the same for all learners whose scores can be compared.

        An environment, a data set with its test part. By default empty: then the data decide, by a digest.
        """
        return ""

    def floors(self) -> Mapping[str, float]:
        """Return what a diverged member counts as, by metric of `evaluate`; the score must be among them.

        A number that depends on nothing else in the run: the lowest return, or the accuracy of guessing. By
        default there is none, and a diverged member counts as its setting's untrained models do on average.
        """
        return {}

    @property
    def floor_description(self) -> str:
        """Return in words what `floors` says."""
        return "a stated floor" if self.floors() else "the untrained model"

    @abstractmethod
    def init(self, key: jax.Array) -> Any:
        """Return the state before the first step."""

    @abstractmethod
    def step(self, state: Any, key: jax.Array) -> tuple[Any, Metrics]:
        """Return the state after one iteration, and its metrics.

        The step draws its own batch, or acts in its own environments; `key` is fresh every time.
        """

    def on_epoch_start(self, state: Any, key: jax.Array) -> Any:
        """Return the state after what is due before steps 0, `epoch_steps`, 2 `epoch_steps`, and so on.

        What is dear and seldom belongs here (a fresh order of the samples, a look at the validation
        set): `step` would compute it in every iteration, since all members go through both branches
        of a condition on their own state.
        """
        del key
        return state

    def evaluation_cost(self, metrics: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return how many units an evaluation took that gave these metrics, an entry per member.

        Training does not count what choosing a model took; for agents it may be more. None where the unit is
        none of evaluations.
        """
        del metrics
        return None

    @abstractmethod
    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return metrics on held-out data, or of greedy episodes; must read only the snapshot."""

    def model(self, state: Any) -> Any:
        """Return the part of the state that is the model, with everything else left out (None).

        It is what the best evaluation keeps, what must stay finite, and all that `evaluate` and
        `visualize` read. By default the whole state.
        """
        return state

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return pictures and films of one trained member, made on the host. By default none."""
        del state, key
        return {}

    def for_test(self, size: int) -> Self:
        """Return the learner whose `evaluate` measures the final score.

        Args:
            size: how much to measure on, in `evaluation_unit`; ignored where the data decide it.

        """
        del size
        return self

    def test_description(self, size: int) -> str:
        """Return in words what `for_test(size)` measures on."""
        unit = self.evaluation_unit.removesuffix("s") if size == 1 else self.evaluation_unit
        return f"{size:,} fresh {unit}" if unit else "the test data"

    def caveats(self, metrics: Mapping[str, np.ndarray]) -> list[str]:
        """Return what the report warns of, a sentence each, after the final evaluation.

        Args:
            metrics: what it measured, an entry for each member of the selected setting; NaN for those that
                diverged.

        """
        del metrics
        return []

    @property
    def independent_test(self) -> bool | None:
        """Whether `for_test` measures on something else than what members were selected by.

        None if the score is a number of the training itself, such as its regret: measured again it would be
        the same, so there is no final evaluation, and no test score.
        """
        return True

    @property
    def test_to_train(self) -> float:
        """Test examples over training examples where seeds take turns at folds, which share training data.

        The mean of such scores varies more than that of independent ones (`statistics.mean_interval`).
        By default 0: seeds are independent.
        """
        return 0.0

    def for_training_part(self) -> Self | None:
        """Return the learner whose `evaluate` measures the score on examples that were trained on.

        The difference to the score on held-out ones is over-fitting. None, the default, where the score is of
        no examples.
        """
        return None

    def example_scores(self, model: Any) -> np.ndarray | None:
        """Return the score of each test example, (N,), on the host; the final score is their mean.

        From them follows what the score owes to which examples are in the test part. None, the default, where
        the score is no mean over examples that all members are judged by.
        """
        del model
        return None

    def log_artifacts(self, state: Any, key: jax.Array) -> dict[str, "Image | np.ndarray"]:
        """Return what TensorBoard shows of one member at checkpoints: pictures, and arrays as histograms.

        `state` is a snapshot. Weights are shown without being asked for.
        """
        del state, key
        return {}

    def external_evaluators(self) -> dict[str, ExternalEvaluator]:
        """Return evaluators that run on the host, outside the compiled program, by name.

        Each takes (model, size, seed) and returns `size` scores.
        """
        return {}

    def load_data(self) -> Self:
        """Return the learner with what it learns from in place; by default as it is.

        A learner that is made from settings alone (the name of a data set) loads here, and not when
        it is made: whoever only reads a recipe need not have its data. Every call must return the same
        arrays, which members then share.
        """
        return self

    def for_seed(self, seed: int) -> Self:
        """Return the learner as it is for the members of a seed; by default as it is.

        What a seed decides besides randomness, such as the fold of a cross-validation, is a `float` field
        that is no setting: members then differ in it, and still share one program.
        """
        del seed
        return self

    def with_model(self, state: Any, model: Any) -> Any:
        """Return a fresh state that begins with another model, in training from given weights.

        By default the parts of the state that `model` returns are replaced. A learner whose `model` computes
        something, or that keeps a second copy of it (a target network), says here how a state is begun.

        Raises:
            UsageError: `model` does more than to leave things out.

        """
        leaves, tree = jax.tree.flatten(state)
        places = jax.tree.leaves(self.model(tree.unflatten([_Place(i) for i in range(len(leaves))])))
        values = jax.tree.leaves(model)
        if len(places) != len(values) or not all(isinstance(place, _Place) for place in places):
            name = type(self).__name__
            raise UsageError(f"{name}.model computes a model; its with_model must say how to begin with one")
        for place, value in zip(places, values):
            leaves[place.index] = value
        return tree.unflatten(leaves)

    def run_files(self) -> Mapping[str, str]:
        """Return texts that a run folder keeps beside its recipe, by file name, such as a tokenizer.

        They follow from the loaded data. A run that is opened again compares them, and refuses other data.
        """
        return {}

    @property
    def feed(self) -> Any:
        """Files that the host reads batches from, where they do not fit on the devices; by default none.

        A learner that has some also has the functions of [`FedLearner`][populace.data.feed.FedLearner].
        """
        return None

    def check(self) -> None:
        """Raise a `UsageError` for settings that are sound each but not together.

        Called when a population is made, and again once its data are loaded.
        """

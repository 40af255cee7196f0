"""What a trained learner does for those who use its model: predictions, and what they need to be kept."""

from collections.abc import Mapping
from typing import Any, Self

from populace.core.errors import UsageError
from populace.core.settings import Settings


class Predictor(Settings):
    """The part of a [`Learner`][populace.core.learner.Learner] that is used after training.

    By default there are no predictions; a learner defines those that its model makes.
    """

    def predict(self, model: Any, x: Any = None, /) -> Any:
        """Return classes, numbers or actions for raw inputs, on the host.

        [`Trained.predict`][populace.runs.trained_member.Trained.predict] calls it.

        Raises:
            UsageError: the learner makes no predictions.

        """
        del x
        raise UsageError(f"{type(self).__name__} makes no predictions; its trained model is `.model`")

    def single_input(self) -> Any:
        """Return an input of `predict_single`, such as zeros; None where there are no single inputs."""
        return None

    def predict_single(self, model: Any, x: Any) -> Any:
        """Return what a model says of one input, a pure function whose time and memory are measured."""
        raise NotImplementedError

    def predict_proba(self, model: Any, x: Any = None, /) -> Any:
        """Return the probability of each class, (N, K), for raw inputs.

        Raises:
            UsageError: the learner predicts no classes.

        """
        raise UsageError(f"{type(self).__name__} predicts no classes, so there are no probabilities")

    @property
    def has_probabilities(self) -> bool:
        """Whether `predict_proba` returns any; by default where a learner defines it."""
        return type(self).predict_proba is not Predictor.predict_proba

    def inference_data(self, model: Any) -> dict[str, Any]:
        """Return what predictions need besides settings and weights, by name: arrays, numbers, words, lists.

        That is what a saved member keeps of the training data, such as the mean that inputs are centered by.
        """
        del model
        return {}

    def with_inference_data(self, kept: Mapping[str, Any]) -> Self:
        """Return the learner, made from settings alone, ready to predict; it needs no training data.

        `init` must then give a model of the shapes that were trained; it is traced and never run.

        Raises:
            UsageError: what was kept does not fit the learner.

        """
        del kept
        return self

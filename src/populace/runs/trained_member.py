"""Trained: one member of a run, to predict or act, to be evaluated, looked at and saved."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.media import Visualization
from populace.core.model import weights
from populace.core.random import root_key
from populace.engine.programs.compiled import EXHIBIT
from populace.runs.weights.saved_member import SavedMember, read_member, write_member


@dataclass(frozen=True, repr=False)
class Trained(SavedMember):
    """One trained member: its best model, and the learner it was trained by."""

    @property
    def policy(self) -> Callable[[Any], np.ndarray]:
        """The greedy policy: one observation, or a batch of them, to actions.

        Raises:
            UsageError: the learner does not act.

        """
        make = getattr(self.learner, "policy", None)
        if make is None:
            raise UsageError(f"{type(self.learner).__name__} does not act, it has no policy")
        return make(self.model)

    def predict(self, x: Any = None) -> np.ndarray:
        """Return what the member says of inputs as they come, prepared as in training.

        | trained by | x | returned |
        | --- | --- | --- |
        | classifiers | examples (N, ...) | the likeliest class of each, (N,), number or text as labels are |
        | regressors | examples (N, ...) | numbers in the units of y, (N, K) |
        | agents | one observation, or a batch | the greedy action of each, as `policy` gives it |
        | learners of nodes | a `Graph`; none: its own | class (N,) or numbers (N, K) of each node |
        | learners of graphs | a `GraphSet`; none: its own | class (G,) or numbers (G, K) of each graph |

        Where there are several binary labels, (N, K) of 0 and 1.

        Raises:
            UsageError: inputs that do not fit, or a learner that makes no predictions.

        """
        return np.asarray(self.learner.predict(self.model, x))

    def predict_proba(self, x: Any = None) -> np.ndarray:
        """Return the probability of each class, (N, K), for inputs as `predict` takes them.

        Raises:
            UsageError: inputs that do not fit, or a learner that predicts no classes.

        """
        return np.asarray(self.learner.predict_proba(self.model, x))

    def encode(self, x: Any, **how: Any) -> np.ndarray:
        """Return the latent of each image; see `LatentModel.encode` for the arguments.

        Raises:
            UsageError: inputs that do not fit, or a learner that encodes nothing.

        """
        return self._made("encode", "encodes nothing", x, **how)

    def decode(self, z: Any, **how: Any) -> np.ndarray:
        """Return the image of each latent; see `LatentModel.decode`.

        Raises:
            UsageError: inputs that do not fit, or a learner that decodes nothing.

        """
        return self._made("decode", "decodes nothing", z, **how)

    def sample(self, n: int = 64, **how: Any) -> np.ndarray:
        """Return new examples; `label`, `temperature` and `seed` are those of the learner's `sample`.

        Raises:
            UsageError: a value outside its range, or a learner that draws no samples.

        """
        return self._made("sample", "draws no samples", n, **how)

    def interpolate(self, first: Any, last: Any, **how: Any) -> np.ndarray:
        """Return examples between two; see `LatentModel.interpolate`.

        Raises:
            UsageError: inputs that do not fit, or a learner that has no latent.

        """
        return self._made("interpolate", "has no latent", first, last, **how)

    def log_prob(self, x: Any, **how: Any) -> np.ndarray:
        """Return the log-likelihood of each example, or a bound of it, in nats; see `VAE.log_prob`.

        Raises:
            UsageError: inputs that do not fit, or a learner whose model is no distribution.

        """
        return self._made("log_prob", "has no likelihood", x, **how)

    def _made(self, name: str, without: str, *given: Any, **how: Any) -> np.ndarray:
        make = getattr(self.learner, name, None)
        if make is None:
            raise UsageError(f"{type(self.learner).__name__} {without}; generative models do")
        return np.asarray(make(self.model, *given, **how))

    def weights(self) -> dict[str, np.ndarray]:
        """Return all arrays of the model by their place in it, such as `layers.1.weight`.

        As in PyTorch's `state_dict`, arrays that are no weights are among them: running means, dropout rates.
        """
        return weights.named(self.model)

    def with_weights(self, tensors: Mapping[str, Any]) -> Self:
        """Return the member with other weights: arrays of the names and shapes of `weights()`.

        Raises:
            UsageError: a tensor that is missing, unknown, or of another shape or kind; the line names it.

        """
        return replace(self, model=weights.filled(self.model, tensors))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the member into a folder of its own, for `populace.load_trained`; return the folder.

        `weights.safetensors` holds the weights, and what predictions need of the training data (such as the
        mean that inputs are centered by); `member.json` holds the settings. Neither holds code or data.

        Args:
            folder: is made; it must be new or empty.
            overwrite: replace a saved member that is there.

        Raises:
            UsageError: the folder contains something else, or a member that would be replaced.
            RunError: it cannot be written.

        """
        write_member(Path(folder), self, overwrite=overwrite)
        return Path(folder)

    def evaluate(self, backend: str, size: int, seed: int = 0) -> np.ndarray:
        """Return the score of each of `size` evaluations, such as episodes, made outside the program.

        Raises:
            UsageError: the learner knows no such backend.

        """
        ways = self.learner.external_evaluators()
        if backend not in ways:
            known = ", ".join(["native", *ways])
            raise UsageError(f"backend must be one of {known}, got '{backend}'")
        return ways[backend](self.model, size, seed)

    def visualize(self) -> dict[str, Visualization]:
        """Return figures and videos of this member by name; see `Learner.visualize`."""
        key = jax.random.fold_in(root_key(self.member.seed), EXHIBIT)
        return self.learner.visualize(self.model, key)


def load_trained(path: str | Path, learner: Learner | None = None) -> Trained:
    """Return a member that [`Trained.save`][populace.runs.trained_member.Trained.save] wrote.

    It predicts and acts bit for bit as it did, without the data it was trained on. Reading runs no code that
    the files name: an environment or a learner of your own must be given.

    Args:
        path: the folder.
        learner: what files cannot hold: a learner of your own class, or one with a network or an environment
            of your own. Its settings must be the saved ones; it needs no data.

    Raises:
        UsageError: no saved member, one of another format, files that were changed or damaged, another
            learner than the one that was saved, or code of your own that was not given.

    """
    saved = read_member(Path(path), learner)
    return Trained(saved.member, saved.setting, saved.learner, saved.model)

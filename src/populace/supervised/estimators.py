"""Populations as scikit-learn estimators: `fit`, `predict`, `predict_proba`, `score`.

An estimator trains a population of networks that differ by seed and predicts by their mean, a deep
ensemble (Lakshminarayanan et al. 2017, "Simple and Scalable Predictive Uncertainty Estimation using
Deep Ensembles"). `spread` gives what the members disagree by.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y, validate_data

from populace.core.errors import UsageError, unknown
from populace.core.population import sweep
from populace.core.values import plain
from populace.data import given
from populace.data.arrays import check_features, kept
from populace.engine.strategy import check as check_strategy
from populace.engine.training_loop import Engine
from populace.nn.modules import sequential
from populace.optim.early_stopping import EarlyStopping, Never, Patience
from populace.supervised.classifier import Classifier
from populace.supervised.data import Data
from populace.supervised.learner import Supervised
from populace.supervised.networks import MLP, Network
from populace.supervised.regressor import Regressor
from populace.supervised.weights import sample_weights

_PRECISE: Any = (np.float64, np.float32)  # data is made float32 once it is centered


class _Classifier(Classifier):
    """A classifier whose best model is the one that early stopping goes by: of the lowest validation loss."""

    score: ClassVar[str] = "loss"
    mode: ClassVar[Any] = "min"


class _Regressor(Regressor):
    """A regressor whose best model is the one that early stopping goes by."""

    score: ClassVar[str] = "loss"
    mode: ClassVar[Any] = "min"


class _Estimator(BaseEstimator):
    """What the classifier and the regressor share; parameters are documented there."""

    def __init__(
        self,
        members: int = 4,
        epochs: int = 100,
        network: Network | None = None,
        learning_rate: float = 1e-2,
        batch_size: int = 32,
        weight_decay: float = 0.0,
        validation: float = 0.0,
        patience: int = 0,
        strategy: str = "vmap",
        random_state: Any = 0,
    ) -> None:
        self.members = members
        self.epochs = epochs
        self.network = network
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.validation = validation
        self.patience = patience
        self.strategy = strategy
        self.random_state = random_state

    def _train(self, learner: type[Supervised], data: Data, **settings: Any) -> None:
        """Train the population and keep its weights as plain arrays, members in front."""
        members, epochs, batch = (self._whole(name) for name in ("members", "epochs", "batch_size"))
        one = learner(
            data, network=self.network or MLP(), batch_size=min(batch, len(data.train)),
            learning_rate=self.learning_rate, weight_decay=self.weight_decay,
            early_stopping=self._early_stopping(), **settings,
        )  # fmt: skip
        strategy = check_strategy(plain(self.strategy))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        population = sweep(one, seeds=members, seed=seed)
        engine = Engine(population, strategy)
        steps = one.epochs(epochs)
        every = one.epoch_steps if self.patience else 0
        engine.train(steps, window=steps, evaluate_every=every, evaluate_last=bool(self.patience))
        (group_state,) = engine.group_states
        # A member that stopped early stands `patience` epochs past its best.
        model = group_state.best.model if self.patience else group_state.program.models(group_state.state())
        self.weights_ = [np.asarray(leaf)[:members] for leaf in jax.tree.leaves(model)]
        self.origin_, self.mean_, self.deviation_ = data.origin, data.mean, data.deviation
        self.outputs_, self.n_iter_ = data.outputs, steps

    def _early_stopping(self) -> EarlyStopping:
        """Return the rule that `patience` asks for; scikit-learn has parameters checked by `fit`."""
        patience = plain(self.patience)
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 0:
            raise UsageError(f"patience must be a whole number of at least 0, got {patience!r}")
        return Patience(epochs=patience) if patience else Never()

    def _whole(self, name: str) -> int:
        """Return a parameter that counts something; scikit-learn has them checked by `fit`."""
        value = plain(getattr(self, name))
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{name} must be a whole number, got {value!r}")
        if value < 1:
            raise UsageError(f"{name} must be at least 1, got {value}")
        return value

    def _outputs(self, X: Any) -> np.ndarray:
        """Return every member's outputs, (members, N, outputs)."""
        check_is_fitted(self)
        X, frame = _table(X), X
        validate_data(self, frame if given.columns(frame) else X, skip_check_array=True, reset=False)
        X = kept(check_array(X, dtype=_PRECISE), self.origin_)
        plan: Network = self.network or MLP()
        shape = (X.shape[1],)
        model = eqx.filter_eval_shape(lambda: plan.build(shape, self.outputs_, key=jax.random.key(0)))
        arrays, rest = eqx.partition(model, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
        # In float64: a prediction must not depend on which others it is asked for with, as float32's
        # rounding would have it, batch by batch.
        with jax.enable_x64(True):
            weights = [jnp.asarray(w, jnp.float64) for w in self.weights_]
            stacked = jax.tree.unflatten(jax.tree.structure(arrays), weights)
            inputs = (jnp.asarray(X, jnp.float64) - self.mean_) / self.deviation_
            return np.asarray(_every(stacked, rest, inputs))


@eqx.filter_jit
def _every(stacked: Any, rest: Any, inputs: jax.Array) -> jax.Array:
    """Return the outputs of every member, whose arrays are stacked, for the same inputs."""
    return jax.vmap(lambda arrays: sequential.use(eqx.combine(arrays, rest), inputs))(stacked)


def _checked(estimator: Any, X: Any, y: Any, read: Any, **how: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return examples and answers, read as populace reads them, then checked as scikit-learn does."""
    if y is None:
        raise UsageError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    X, frame = _table(X), X
    X, y = check_X_y(X, read("y", y), dtype=_PRECISE, **how)
    validate_data(estimator, frame if given.columns(frame) else X, skip_check_array=True)
    return np.asarray(X), np.asarray(y)


def _table(X: Any) -> np.ndarray:
    """Return examples as a table of numbers, (N, F)."""
    found = check_features("X", X, least=0)
    if found.ndim != 2:
        raise UsageError(
            f"X has shape {found.shape}; expected (examples, features). Reshape your data: X.reshape(-1, 1) "
            "if it has one feature, X.reshape(1, -1) if it is one example"
        )
    return found


def _weights(X: Any, weight: Any) -> np.ndarray | None:
    return None if weight is None else sample_weights("sample_weight", weight, len(_table(X)))


class PopulationClassifier(ClassifierMixin, _Estimator):
    """A population of networks that classifies by the mean of its members' probabilities.

    Args:
        members: networks, trained side by side from different seeds.
        epochs: passes over the training examples.
        network: plan of the networks; by default an MLP with two hidden layers of 64.
        learning_rate: step size of Adam.
        batch_size: examples per step.
        weight_decay: decoupled decay of weights.
        validation: share of the examples held out for early stopping.
        patience: epochs without a better validation loss before a member stops; 0 for never. With early
            stopping a member predicts with the weights of its lowest validation loss, else with its last.
        strategy: how members are trained at once; see `populace.Run`.
        random_state: seed of everything.
        class_weight: weight of each class in the loss, `{class: weight}`, where one not named weighs 1; or
            `balanced`, the inverse of its share of the training examples.

    Attributes:
        classes_: the classes, sorted.
        n_features_in_: columns of X.
        weights_: weights of all members.

    """

    def __init__(
        self,
        members: int = 4,
        epochs: int = 100,
        network: Network | None = None,
        learning_rate: float = 1e-2,
        batch_size: int = 32,
        weight_decay: float = 0.0,
        validation: float = 0.0,
        patience: int = 0,
        strategy: str = "vmap",
        random_state: Any = 0,
        class_weight: Any = None,
    ) -> None:
        super().__init__(
            members, epochs, network, learning_rate, batch_size, weight_decay, validation, patience, strategy,
            random_state,
        )  # fmt: skip
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on examples (N, F), their classes (N,), and what each counts for, (N,), if that differs."""
        X, y = _checked(self, X, y, given.labels)
        check_classification_targets(y)
        encoder = LabelEncoder()
        labels = np.asarray(encoder.fit_transform(y))
        self.classes_ = np.asarray(encoder.classes_)
        if len(self.classes_) < 2:
            raise ValueError("PopulationClassifier needs at least two classes; the data has one class")
        data = Data.from_classes(
            X, labels, validation=self.validation, classes=len(self.classes_), sample_weight=sample_weight
        )
        self._train(_Classifier, data, class_weight=self._class_weight())
        return self

    def _class_weight(self) -> Any:
        """Return the weights of classes as the learner, which has numbers for classes, is given them."""
        if not isinstance(self.class_weight, Mapping):
            return self.class_weight
        numbers = {label: number for number, label in enumerate(self.classes_.tolist())}
        for label in self.class_weight:
            if plain(label) not in numbers:
                raise unknown("class", str(label), map(str, numbers), where=" in class_weight")
        return {numbers[plain(label)]: weight for label, weight in self.class_weight.items()}

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on examples and their classes, each counted as its weight says."""
        return float(super().score(X, given.labels("y", y), _weights(X, sample_weight)))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the mean over members of the probability of each class, (N, classes)."""
        return softmax(self._outputs(X), axis=-1).mean(0)

    def spread(self, X: Any) -> np.ndarray:
        """Return the standard deviation over members of those probabilities, (N, classes)."""
        return softmax(self._outputs(X), axis=-1).std(0)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of each example, (N,)."""
        likeliest = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_)[likeliest]


class PopulationRegressor(RegressorMixin, _Estimator):
    """A population of networks that predicts by the mean of its members; arguments as of the classifier."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on examples (N, F), their targets, (N,) or (N, K), and what each counts for, (N,)."""
        X, y = _checked(self, X, y, given.numbers, multi_output=True, y_numeric=True)
        self.flat_ = np.ndim(y) == 1
        data = Data.from_targets(X, y, validation=self.validation, sample_weight=sample_weight)
        self.y_mean_ = data.y_mean.astype(np.float64) + data.y_origin
        self.y_deviation_ = data.y_deviation
        self._train(_Regressor, data)
        return self

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that y may have several columns."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2 on examples and their targets, each counted as its weight says."""
        return float(super().score(X, given.numbers("y", y), _weights(X, sample_weight)))

    def predict(self, X: Any) -> np.ndarray:
        """Return the mean prediction over members, shaped as y was."""
        return self._every(X).mean(0)

    def spread(self, X: Any) -> np.ndarray:
        """Return the standard deviation over members, shaped as y was."""
        return self._every(X).std(0)

    def _every(self, X: Any) -> np.ndarray:
        outputs = self._outputs(X) * self.y_deviation_ + self.y_mean_
        return outputs[..., 0] if self.flat_ else outputs

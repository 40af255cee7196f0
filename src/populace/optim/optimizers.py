"""Optimizers as settings: every number in them may differ between members.

The update rules are Optax's; `docs/optimizers.md` says which is which, and how to add one.
"""

from abc import abstractmethod
from typing import ClassVar

import jax
import optax

from populace.core.errors import UsageError
from populace.core.settings import Settings, setting


class Optimizer(Settings):
    """An optimizer of Optax's whose numbers are settings.

    One of your own is a subclass with a `kind`, the name that `recipe.toml` writes down, and `float` fields
    for what is to be swept:

        class Lion(Optimizer):
            kind: ClassVar[str] = "lion"
            b1: float = setting(0.9, low=0, high=1, help="decay of the momentum in the update")

            def transformation(self, learning_rate):
                return optax.lion(learning_rate, b1=self.b1, weight_decay=0.0)

    Raises:
        UsageError: a class without a `kind`.

    """

    def __check_init__(self) -> None:
        """Refuse a class that a recipe could not name."""
        named(self, "optimizer")

    @abstractmethod
    def transformation(self, learning_rate: jax.Array | float) -> optax.GradientTransformation:
        """Return the optimizer with the learning rate of this step, which the schedule has scaled already."""


def named(module: Settings, setting: str) -> None:
    """Raise a `UsageError` unless the class has a `kind` of its own to be told from its siblings by."""
    cls = type(module)
    if not cls.kind:
        raise UsageError(
            f"{cls.__name__} has no name for recipe.toml; give the class one, such as "
            f'`kind = "{cls.__name__.lower()}"`, which setting {setting} is then written down by'
        )


class SGD(Optimizer):
    """Gradient descent: `w <- w - learning_rate g`."""

    kind: ClassVar[str] = "sgd"

    def transformation(self, learning_rate: jax.Array | float) -> optax.GradientTransformation:
        """Return `optax.sgd`."""
        return optax.sgd(learning_rate)


class Momentum(Optimizer):
    """`v <- decay v + g; w <- w - learning_rate v`, or with Nesterov's `w - learning_rate (decay v + g)`."""

    kind: ClassVar[str] = "momentum"
    decay: float = setting(0.9, low=0, high=1, help="momentum coefficient")
    nesterov: bool = setting(False, help="use Nesterov momentum")

    def transformation(self, learning_rate: jax.Array | float) -> optax.GradientTransformation:
        """Return `optax.sgd` with momentum."""
        return optax.sgd(learning_rate, self.decay, self.nesterov)


class AdaGrad(Optimizer):
    """`s <- s + g^2; w <- w - learning_rate g / sqrt(s + eps)` (Duchi et al. 2011)."""

    kind: ClassVar[str] = "adagrad"
    start: float = setting(0.1, low=0, help="initial value of the sum of squares")
    eps: float = setting(1e-7, above=0, help="added under the root")

    def transformation(self, learning_rate: jax.Array | float) -> optax.GradientTransformation:
        """Return `optax.adagrad`."""
        return optax.adagrad(learning_rate, self.start, self.eps)


class RMSProp(Optimizer):
    """`s <- decay s + (1 - decay) g^2; w <- w - learning_rate g / sqrt(s + eps)`.

    Source: Tieleman and Hinton 2012.
    """

    kind: ClassVar[str] = "rmsprop"
    decay: float = setting(0.9, low=0, high=1, help="decay rate of the mean square")
    eps: float = setting(1e-8, above=0, help="added under the root")

    def transformation(self, learning_rate: jax.Array | float) -> optax.GradientTransformation:
        """Return `optax.rmsprop`."""
        return optax.rmsprop(learning_rate, self.decay, self.eps)


class Adam(Optimizer):
    """Moving averages of g and g^2, both corrected for their start at zero (Kingma and Ba 2015).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
    w <- w - learning_rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    """

    kind: ClassVar[str] = "adam"
    b1: float = setting(0.9, low=0, high=1, help="decay rate of the mean of gradients")
    b2: float = setting(0.999, low=0, high=1, help="decay rate of the mean of squared gradients")
    eps: float = setting(1e-8, above=0, help="added to the root")

    def transformation(self, learning_rate: jax.Array | float) -> optax.GradientTransformation:
        """Return `optax.adam`."""
        return optax.adam(learning_rate, self.b1, self.b2, self.eps)

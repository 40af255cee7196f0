"""GenerativeModel: a model of images that is trained by a loss of each, as a classifier is."""

import equinox as eqx

from populace.core.errors import UsageError
from populace.core.random import root_key
from populace.images.generative.image_model import ImageModel
from populace.supervised.learner import Supervised


class GenerativeModel(ImageModel, Supervised):
    """Learns to make images by gradient descent on a loss of each real one; see `Supervised`."""

    def check(self) -> None:
        """Raise a `UsageError` where images or labels are not what the model takes, once they are loaded."""
        for name in ("network_fn", "loss_fn"):
            if getattr(self, name) is not None:
                raise UsageError(f"{type(self).__name__} takes no {name}; choose its network by settings")
        if self.data is not None:
            super().check()

    def single_input(self) -> None:
        """Return nothing: what is made of images depends on the model."""

    def _check_network(self) -> None:
        eqx.filter_eval_shape(self.build, root_key(0))

"""Image data sets by name, as learners take them: with a validation part split off the training images."""

from functools import lru_cache

from populace.images.datasets.cifar import cifar
from populace.images.datasets.registry import digits, has_mnist, mnist
from populace.supervised.data import Data

DATASETS = {"digits": digits, "mnist": mnist, "cifar": cifar}
MNIST_OR_DIGITS = "mnist-or-digits"
"""MNIST where its files are at hand, the digits of scikit-learn where they are not; nothing is downloaded."""


def resolved(dataset: str) -> str:
    """Return the name of the data set that is meant here."""
    if dataset != MNIST_OR_DIGITS:
        return dataset
    return "mnist" if has_mnist() else "digits"


@lru_cache(maxsize=8)
def load(dataset: str, validation: float, seed: int, standardize: str) -> Data:
    """Return a data set; `validation` is the share of the training images, drawn class by class by `seed`."""
    images = DATASETS[dataset]()
    return Data.from_classes(
        images.train_images,
        images.train_labels,
        test=(images.test_images, images.test_labels),
        validation=validation,
        standardize=standardize,
        names=images.classes,
        seed=seed,
    )

"""Supervised learning: a classifier and a regressor over any network and any arrays."""

from populace.optim.optimisers import (
    SGD,
    AdaGrad,
    Adam,
    Constant,
    Cosine,
    Exponential,
    Momentum,
    Optimiser,
    RMSProp,
    Schedule,
    Staircase,
)
from populace.supervised.classifier import Classifier
from populace.supervised.data import Data
from populace.supervised.networks import MLP, Network
from populace.supervised.regressor import Regressor

__all__ = [
    "MLP", "SGD", "AdaGrad", "Adam", "Classifier", "Constant", "Cosine", "Data", "Exponential",
    "Momentum", "Network", "Optimiser", "RMSProp", "Regressor", "Schedule", "Staircase",
]  # fmt: skip

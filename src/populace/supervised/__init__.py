"""Supervised learning: a classifier and a regressor over any network and any arrays."""

from populace.optim.early_stopping import EarlyStopping, Never, Patience, Window
from populace.optim.optimizers import SGD, AdaGrad, Adam, Momentum, Optimizer, RMSProp
from populace.optim.schedules import Constant, Cosine, Exponential, Linear, Schedule, Staircase
from populace.supervised.classifier import Classifier
from populace.supervised.data import Data
from populace.supervised.networks import MLP, Network
from populace.supervised.regressor import Regressor

__all__ = [
    "MLP", "SGD", "AdaGrad", "Adam", "Classifier", "Constant", "Cosine", "Data", "EarlyStopping",
    "Exponential", "Linear", "Momentum", "Network", "Never", "Optimizer", "Patience", "RMSProp",
    "Regressor", "Schedule", "Staircase", "Window",
]  # fmt: skip

"""One gradient step for every learner: optimizers, schedules and early stopping as settings."""

from populace.optim.early_stopping import EarlyStopping, Never, Patience, Window
from populace.optim.optimizers import SGD, AdaGrad, Adam, Momentum, Optimizer, RMSProp
from populace.optim.schedules import Constant, Cosine, Exponential, Linear, Schedule, Staircase

__all__ = [
    "SGD", "AdaGrad", "Adam", "Constant", "Cosine", "EarlyStopping", "Exponential", "Linear", "Momentum",
    "Never", "Optimizer", "Patience", "RMSProp", "Schedule", "Staircase", "Window",
]  # fmt: skip

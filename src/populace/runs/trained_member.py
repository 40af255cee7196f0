"""Trained: one member of a run, to act, to be evaluated and to be looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.media import Exhibit
from populace.core.population import Member
from populace.core.random import root_key
from populace.engine.compiled import EXHIBIT


@dataclass(frozen=True)
class Trained:
    """One trained member: its best model, and the learner it was trained by."""

    member: Member
    setting: dict[str, Any]
    learner: Learner
    model: Any

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

    def exhibits(self) -> dict[str, Exhibit]:
        """Return pictures and films of this member."""
        key = jax.random.fold_in(root_key(self.member.seed), EXHIBIT)
        return self.learner.visualize(self.model, key)

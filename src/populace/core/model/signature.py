"""Signature: structure and shapes of a learner's state, model and metrics, by abstract evaluation."""

import math
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError, first_line
from populace.core.learner import Learner
from populace.core.mean import Mean
from populace.core.random import root_key


class Signature:
    """Shapes of a learner's state, and the non-array parts of its state and model.

    Compiled programs carry arrays only; `whole_state` and `whole_model` restore the other parts.

    Args:
        learner: any member of a group; all have the same signature.

    Raises:
        UsageError: `step` changes the structure, a shape or a dtype of the state, or returns a metric that is
            not a `Mean`.

    """

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        like = root_key(0)
        try:
            self._state = eqx.filter_eval_shape(lambda k: learner.init(k), like)
        except (OverflowError, MemoryError) as error:
            name = type(learner).__name__
            raise UsageError(f"{name}: a setting is too large for a program ({first_line(error)})") from None
        if learner.epoch_steps:
            self._check_state(
                "on_epoch_start",
                eqx.filter_eval_shape(lambda s, k: learner.on_epoch_start(s, k), self._state, like),
            )
        after, metrics = eqx.filter_eval_shape(lambda s, k: learner.step(s, k), self._state, like)
        self._check_state("step", after)
        self._check_metrics(metrics)
        self.metrics = sorted(metrics)

    @property
    def state_bytes(self) -> int:
        """Bytes of one member's state, keys left out."""
        leaves = (leaf for leaf in jax.tree.leaves(self._state) if _is_shape(leaf))
        plain = (leaf for leaf in leaves if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))
        return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in plain)

    def whole_state(self, arrays: Any) -> Any:
        """Return a state with its non-array parts restored."""
        return eqx.combine(arrays, self._state_rest)

    def whole_model(self, arrays: Any) -> Any:
        """Return a model with its non-array parts restored."""
        return eqx.combine(arrays, self._model_rest)

    @cached_property
    def _state_rest(self) -> Any:
        return eqx.filter(self._state, _is_shape, inverse=True)

    @cached_property
    def _model_rest(self) -> Any:
        model = eqx.filter_eval_shape(lambda s: self.learner.model(s), self._state)
        return eqx.filter(model, _is_shape, inverse=True)

    def _check_metrics(self, metrics: Any) -> None:
        for metric, value in metrics.items():
            if not isinstance(value, Mean):
                name = type(self.learner).__name__
                raise UsageError(f"{name}.step: metric '{metric}' must be a Mean(total, weight)")

    def _check_state(self, function: str, after: Any) -> None:
        name = type(self.learner).__name__
        old, new = (jax.tree_util.tree_flatten_with_path(tree) for tree in (self._state, after))
        if old[1] != new[1]:
            raise UsageError(f"{name}.{function} returns a state of another structure than {name}.init")
        for (path, a), (_, b) in zip(old[0], new[0]):
            if _is_shape(a) and (a.shape, a.dtype) != (b.shape, b.dtype):
                raise UsageError(
                    f"{name}.{function}: state{jax.tree_util.keystr(path)} must stay "
                    f"{a.dtype}{list(a.shape)}, became {b.dtype}{list(b.shape)}"
                )


def _is_shape(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)

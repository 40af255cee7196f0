"""Recurrent layers of linear, Elman, LSTM and GRU cells: stacked, bidirectional, with variable lengths."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from populace.core.errors import UsageError
from populace.core.model.outline import Step, chained
from populace.nn.recurrent.cells import Cell, ElmanCell, GRUCell, LinearCell, LSTMCell, State
from populace.nn.recurrent.fused import recur


class Recurrent(eqx.Module):
    """A stack of recurrent layers of one kind of cell, in one or both directions of time.

    Each direction of each layer has its own cell. The outputs of a layer, (T, O) forward and (T, O) backward
    concatenated, are the inputs of the next. Time is O(T (F + H) G H) per layer and direction for G gates, of
    which only O(T H G H) is sequential; a gradient takes about twice as long and stores O(T G H) numbers.

    Attributes:
        cells: one per layer and direction.
        inputs: number of input features F.
        hidden: size of the hidden state H.
        bidirectional: whether to process each sequence backward as well.
        last: whether to return only the last output.

    """

    cells: tuple[tuple[Any, ...], ...]
    inputs: int = eqx.field(static=True)
    hidden: int = eqx.field(static=True)
    bidirectional: bool = eqx.field(static=True)
    last: bool = eqx.field(static=True)

    cell: ClassVar[type[Cell]]

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        last: bool = False,
        key: jax.Array,
        **options: int,
    ) -> None:
        """Initialize the cells.

        Args:
            inputs: number of input features F.
            hidden: size of the hidden state H.
            layers: number of stacked layers.
            bidirectional: whether to process each sequence backward as well; doubles the output features.
            last: whether to return only the last output, (O,) instead of (T, O).
            key: PRNG key for the initial weights.
            **options: further sizes of the cell.

        Raises:
            UsageError: a size that is not a positive integer.

        """
        for what, size in {"inputs": inputs, "hidden": hidden, "layers": layers, **options}.items():
            if not isinstance(size, int | np.integer) or size < 1:
                raise UsageError(f"{self._name}: {what} must be a whole number of at least 1, got {size!r}")
        self.inputs, self.hidden, self.bidirectional, self.last = inputs, hidden, bidirectional, last
        directions = 2 if bidirectional else 1
        between = options.get("outputs", hidden) * directions
        keys = jax.random.split(key, (layers, directions))
        self.cells = tuple(
            tuple(self.cell(between if layer else inputs, hidden, key=k, **options) for k in row)
            for layer, row in enumerate(keys)
        )

    def wiring(self) -> list[Step]:
        """Return the cells: layers in sequence, the directions of a layer in parallel."""
        names = ("forward", "backward")
        return chained((str(i), dict(zip(names, row))) for i, row in enumerate(self.cells))

    def __call__(
        self,
        x: jax.Array,
        length: Any = None,
        *,
        mask: jax.Array | None = None,
        initial: State | None = None,
    ) -> jax.Array:
        """Return the outputs of all steps, or only the last one with `last`.

        Args:
            x: (T, F).
            length: number of steps before the padding at the end; may be traced.
            mask: (T,) bool, false at padding, which may be anywhere; an alternative to `length`.
            initial: initial state, in the form of `initial_state`; by default zeros.

        Returns:
            (T, D O) for D directions, zero at padding; or (D O,): the forward output at the last step that is
            not padding, and the backward output at the first. Padding leaves the state unchanged, so the
            outputs are those of the sequence without padding, in both directions.

        Raises:
            UsageError: a mismatched shape, or a length out of range.

        """
        outputs, state = self.scan(x, length, mask=mask, initial=initial)
        if not self.last:
            return outputs
        return jnp.concatenate([cell.output(h) for cell, h in zip(self.cells[-1], state[0][-1])])

    def scan(
        self,
        x: jax.Array,
        length: Any = None,
        *,
        mask: jax.Array | None = None,
        initial: State | None = None,
    ) -> tuple[jax.Array, State]:
        """Return the outputs of all steps, (T, D O), and the final state.

        Pass that state as `initial` to continue the sequence. Arguments and errors are those of calling the
        layer.
        """
        x = jnp.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.inputs or not x.shape[0]:
            raise UsageError(f"{self._name}: input has shape {x.shape}, expected (time, {self.inputs})")
        keep = self._mask(x.shape[0], length, mask)
        before = self.initial_state() if initial is None else self._check(initial)
        if keep is not None:  # NaN in the padding would reach the gradient as 0 * NaN
            x = jnp.where(keep[:, None], x, 0)
        after = []
        for layer, row in enumerate(self.cells):
            ends, outputs = [], []
            for direction, cell in enumerate(row):
                state = tuple(s[layer, direction] for s in before)
                h, end = recur(cell, x, state, keep, reverse=direction == 1)
                outputs.append(cell.output(h))
                ends.append(end)
            x = jnp.concatenate(outputs, axis=-1)
            if keep is not None:
                x = jnp.where(keep[:, None], x, 0)
            after.append(ends)
        stack = lambda i: jnp.stack([jnp.stack([end[i] for end in ends]) for ends in after])  # noqa: E731
        return x, tuple(stack(i) for i in range(self.cell.arrays))

    def initial_state(self) -> State:
        """Return a state of zeros: one array (layers, directions, H), or two (h, c) for an LSTM."""
        dtype = self.cells[0][0].W_h.dtype
        return tuple(jnp.zeros(self._state_shape, dtype) for _ in range(self.cell.arrays))

    @property
    def _name(self) -> str:
        return type(self).__name__

    @property
    def _state_shape(self) -> tuple[int, int, int]:
        return len(self.cells), len(self.cells[0]), self.hidden

    def _check(self, state: State) -> State:
        shapes = tuple(jnp.shape(s) for s in state)
        expected = (self._state_shape,) * self.cell.arrays
        if shapes != expected:
            raise UsageError(f"{self._name}: initial state has shapes {shapes}, expected {expected}")
        return tuple(jnp.asarray(s) for s in state)

    def _mask(self, steps: int, length: Any, mask: jax.Array | None) -> jax.Array | None:
        """Return a mask that is false at padding, or None without padding."""
        if length is not None and mask is not None:
            raise UsageError(f"{self._name}: give length or mask, not both")
        if mask is not None:
            mask = jnp.asarray(mask)
            if mask.shape != (steps,) or mask.dtype != bool:
                raise UsageError(
                    f"{self._name}: mask is {mask.dtype} of shape {mask.shape}, expected bool of ({steps},)"
                )
            return mask
        if length is None:
            return None
        if jnp.shape(length) != () or not jnp.issubdtype(jnp.result_type(length), jnp.integer):
            raise UsageError(
                f"{self._name}: length must be one whole number, got {jnp.result_type(length)} "
                f"of shape {jnp.shape(length)}"
            )
        if not isinstance(length, Tracer) and not 0 <= int(length) <= steps:
            raise UsageError(f"{self._name}: length must be in [0, {steps}], got {int(length)}")
        return jnp.arange(steps) < length


class LinearRecurrence(Recurrent):
    """Linear recurrence: `u = x W_u + b_h; h' = h W_h + u; y = h' W_o^T + b_o`.

    Takes the arguments of [`Recurrent`][populace.nn.Recurrent], and `outputs`: the number of output features
    O, by default H.
    """

    cell = LinearCell

    def __init__(self, inputs: int, hidden: int, outputs: int | None = None, **options: Any) -> None:
        super().__init__(inputs, hidden, outputs=hidden if outputs is None else outputs, **options)


class Elman(Recurrent):
    """Simple recurrent network (Elman 1990): `h' = tanh(x W_u + b_h + h W_h)`; the output is h'."""

    cell = ElmanCell


class LSTM(Recurrent):
    """Long short-term memory; for the formulas see [`LSTMCell`][populace.nn.recurrent.cells.LSTMCell]."""

    cell = LSTMCell


class GRU(Recurrent):
    """Gated recurrent unit; for the formulas see [`GRUCell`][populace.nn.recurrent.cells.GRUCell]."""

    cell = GRUCell

"""Gradient flow: how gradients grow or shrink through many layers or many time steps.

A gradient backpropagated through n links is multiplied by the transpose of the Jacobian `J_n = dx_n/dx_0`.
The largest singular value of J_n is the most it can grow by; if that value decays exponentially with n, early
links cannot learn from late errors.

Sources: Bengio, Simard and Frasconi 1994, "Learning Long-Term Dependencies with Gradient Descent is
Difficult"; Pascanu, Mikolov and Bengio 2013, "On the Difficulty of Training Recurrent Neural Networks"
(https://arxiv.org/abs/1211.5063).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from numpy.typing import ArrayLike

from populace.analysis import spectrum
from populace.analysis.chain import Chain, Depth, Time
from populace.analysis.fit import slope
from populace.core.errors import UsageError, unknown
from populace.statistics import Interval

Method = Literal["auto", "exact", "iterative"]
Verdict = Literal["vanishing", "stable", "exploding"]

LIPSCHITZ = {"identity": 1.0, "relu": 1.0, "tanh": 1.0, "elu": 1.0, "softplus": 1.0, "sigmoid": 0.25}
"""Lipschitz constant (largest slope) of each activation function."""

WIDEST_EXACT = 128
"""Largest state size for which `method="auto"` uses dense Jacobians."""

TENFOLD = 1.0
"""Powers of ten by which a gradient may change along the whole chain and still count as stable."""


@dataclass(frozen=True)
class Flow:
    """Singular values of `J_1 ... J_n`, as base-10 logarithms because floats would under- or overflow."""

    through: Literal["depth", "time"]
    method: Literal["exact", "iterative"]
    log_values: tuple[np.ndarray, ...]
    """One array per link, in descending order: all values if exact, the largest if iterative."""
    log_bound: np.ndarray | None = None
    """Analytic upper bound on the largest value, one per link, if given."""
    converged: bool = True
    """False if an iterative value may be underestimated."""

    @property
    def links(self) -> int:
        """Number of layers or time steps."""
        return len(self.log_values)

    @property
    def log_largest(self) -> np.ndarray:
        """Logarithm of the largest singular value after each link."""
        return np.asarray([values[0] for values in self.log_values])

    @property
    def rate(self) -> Interval:
        """Factor by which the largest singular value changes per link, with its 95 % interval.

        `10^slope` of the least-squares line through the logarithms over the link number; 0 if a gradient
        vanishes entirely.
        """
        if not np.isfinite(self.log_largest).all():
            return Interval(0.0, 0.0, 0.0)
        line = slope(np.arange(1, self.links + 1), self.log_largest)
        return Interval(10.0**line.value, 10.0**line.low, 10.0**line.high)

    @property
    def verdict(self) -> Verdict:
        """Whether gradients vanish, explode, or are stable over the length of the chain.

        With the rate r and n links: `vanishing` if `r^n < 1/10` at the upper end of the interval of r,
        `exploding` if `r^n > 10` at its lower end, otherwise `stable`.
        """
        rate = self.rate
        if rate.high <= 0 or self.links * math.log10(rate.high) < -TENFOLD:
            return "vanishing"
        if rate.low > 0 and self.links * math.log10(rate.low) > TENFOLD:
            return "exploding"
        return "stable"

    def __str__(self) -> str:
        unit = "layer" if self.through == "depth" else "step"
        text = (
            f"{self.verdict}: x {self.rate.value:.3g} per {unit} ({self.rate.low:.3g} to "
            f"{self.rate.high:.3g}), {scientific(self.log_largest[-1])} over {self.links} {unit}s"
        )
        return text if self.log_bound is None else f"{text} (bound {scientific(self.log_bound[-1])})"


def through_depth(
    layers: Sequence[Callable[[Any], Any]],
    x: Any,
    *,
    bound: ArrayLike | None = None,
    method: Method = "auto",
) -> Flow:
    """Analyze gradient flow through layers: singular values of `dx_l/dx_0`, with `x_l = layer_l(x_(l-1))`.

    Cost: `exact` O(n w^3) for n layers of width w, `iterative` O(n^2) layer evaluations, forward and
        backward.

    Args:
        layers: Equinox modules or functions, each of which maps one activation to the next. The rate is per
            element of this list, so combine a layer with its activation function.
        x: the input, a float array or a pytree of float arrays.
        bound: logarithm of an upper bound after each layer, from `analytic_bound`.
        method: `exact` (dense Jacobians, all values), `iterative` (matrix-vector products, the largest
            value), or `auto`: exact if no activation has more than 128 values.

    Raises:
        UsageError: fewer than 3 layers, arrays that are not floats, NaN or infinity, a bound of another
            length, or method `iterative` with a layer that supports only reverse-mode differentiation.

    """
    if len(layers) < 3:
        raise UsageError(f"gradient flow needs at least 3 layers for a rate, got {len(layers)}")
    return _flow("depth", Depth(layers, x), bound, method)


def through_time(
    step: Callable[..., Any],
    state: Any,
    inputs: Any = None,
    *,
    steps: int | None = None,
    bound: ArrayLike | None = None,
    method: Method = "auto",
) -> Flow:
    """Analyze gradient flow through time: singular values of `ds_t/ds_0`, with `s_t = step(s_(t-1), x_t)`.

    Cost: `exact` O(n w^3) for n steps of a state of size w, `iterative` O(n^2) steps in one program.

    Args:
        step: returns the next state, given the state and, with inputs, the input.
        state: the initial state, a float array or a pytree of float arrays, such as the `(h, c)` of an LSTM.
        inputs: arrays with a leading time axis; without them, `step(state)` is called `steps` times.
        steps: number of steps if there are no inputs.
        bound: as in `through_depth`.
        method: as in `through_depth`.

    Raises:
        UsageError: fewer than 3 steps, neither or both of inputs and steps, a step that changes the shape of
            the state, arrays that are not floats, NaN or infinity, a bound of another length, or method
            `iterative` with a step that supports only reverse-mode differentiation.

    """
    if (inputs is None) == (steps is None):
        raise UsageError("gradient flow through time needs either inputs or steps, but not both")
    if inputs is not None:
        lengths = {np.shape(a)[0] if np.ndim(a) else 0 for a in jax.tree.leaves(inputs)}
        if len(lengths) != 1:
            raise UsageError(f"gradient flow: the inputs have {sorted(lengths)} steps, expected one length")
        (steps,) = lengths
    if steps is None or steps < 3:
        raise UsageError(f"gradient flow needs at least 3 steps for a rate, got {steps}")
    return _flow("time", Time(step, state, inputs, steps), bound, method)


def analytic_bound(weights: Sequence[ArrayLike], activation: str = "relu") -> np.ndarray:
    """Return the logarithm of an upper bound on the largest singular value after each link.

        sigma_max(J_l) <= prod over i <= l of L sigma_max(W_i)

    with L the Lipschitz constant of the activation function. Two textbook cases: the scalar ReLU chain
    `x_l = relu(w_l x_(l-1))`, for which `0 <= |dx_n/dx_0| <= prod |w_i|`, and the recurrence
    `x_(t+1) = sigmoid(W x_t)`, for which `sigma_max(dx_n/dx_1) <= (sigma_max(W) / 4)^(n-1)`: pass
    `[W] * (n - 1)`.

    Args:
        weights: one matrix (or number) per link.
        activation: identity, relu, tanh, elu, softplus or sigmoid.

    Raises:
        UsageError: an unknown activation, or weights that are not matrices.

    """
    if activation not in LIPSCHITZ:
        raise unknown("activation", activation, LIPSCHITZ)
    logs: dict[int, float] = {}
    weights = list(weights)
    for i, w in enumerate(weights):
        if id(w) in logs:  # a recurrence repeats the same matrix
            continue
        matrix = np.atleast_2d(np.asarray(w, np.float64))
        if matrix.ndim != 2:
            raise UsageError(f"analytic bound: weight {i} has shape {np.shape(w)}, expected a matrix")
        with np.errstate(divide="ignore"):
            logs[id(w)] = float(np.log10(LIPSCHITZ[activation] * np.linalg.norm(matrix, 2)))
    return np.cumsum([logs[id(w)] for w in weights])


def scientific(log10: float) -> str:
    """Format 10^log10 as `1.2e-345`, also beyond the range of floats."""
    if not math.isfinite(log10):
        return "0" if log10 < 0 else "inf"
    if -3 <= log10 < 4:
        return f"{10.0**log10:.3g}"
    whole = math.floor(log10 + 0.0022)  # 9.95 and above rounds to 1.0 of the next power
    return f"{10.0 ** (log10 - whole):.1f}e{whole:+d}"


def _flow(through: Literal["depth", "time"], chain: Chain, bound: ArrayLike | None, method: Method) -> Flow:
    if method not in ("auto", "exact", "iterative"):
        raise unknown("method", method, ("auto", "exact", "iterative"))
    links = len(chain.sizes) - 1
    log_bound = None if bound is None else np.asarray(bound, np.float64)
    if log_bound is not None and log_bound.shape != (links,):
        raise UsageError(f"gradient flow: the bound has shape {log_bound.shape}, expected ({links},)")
    if method == "exact" or (method == "auto" and max(chain.sizes) <= WIDEST_EXACT):
        return Flow(through, "exact", spectrum.exact(chain), log_bound)
    values, converged = spectrum.leading(chain)
    return Flow(through, "iterative", values, log_bound, converged)

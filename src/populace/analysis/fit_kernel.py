"""Fitting a kernel: gradient descent recovers the kernel of a convolution from one input and its output."""

from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.settings import setting
from populace.nn.conv.convolution import convolve
from populace.nn.parallel.decomposed import gradient_decomposed
from populace.runs.figures import figure, to_image

_TRUE, _FOUND, _PATH = "#94a3b8", "#0f766e", "#ea580c"


class State(eqx.Module):
    """Current kernel, initial kernel and number of steps, from which the whole descent can be recomputed."""

    kernel: jax.Array
    start: jax.Array
    steps: jax.Array


class FitKernel(Learner):
    r"""Gradient descent on the mean squared error of a convolution.

    Given a signal x of n values and its convolution y* = x * w* with a known kernel w* of K weights, which
    has m = n - K + 1 values:

        L(w) = 1/m sum_j (sum_k x[j + k] w[k] - y*[j])^2
        w <- w - learning_rate dL/dw

    With the m windows of the signal as rows of a matrix X, the gradient is `2/m X^T X (w - w*)`. Descent
    therefore converges for learning rates below 2 over the largest eigenvalue of `2/m X^T X`, and the
    component of the error along each eigenvector shrinks by the factor `1 - learning_rate * eigenvalue` per
    step. One step is O(m K), or O(m K / P) per part on P parts.
    """

    score: ClassVar[str] = "error"
    mode: ClassVar[Literal["max", "min"]] = "min"

    learning_rate: float = setting(5e-3, above=0, help="step size of gradient descent")
    spread: float = setting(1.0, above=0, help="standard deviation of the initial weights")
    parts: int = setting(1, low=1, help="parts that the convolution is divided into; 1 for an undivided one")
    kernel: tuple[float, ...] = setting((-1.0, 0.0, 1.0), help="true kernel, to be recovered")
    signal: tuple[float, ...] = setting((2.0, 2.1, 2.2, 2.3, 7.6, 7.5, 7.4, 7.3), help="input signal")

    @property
    def task_name(self) -> str:
        """The kernel that is to be recovered."""
        return f"kernel {list(self.kernel)} of {len(self.signal)} values"

    def check(self) -> None:
        """Raise a `UsageError` if the signal does not determine the kernel, or parts exceed outputs."""
        super().check()
        weights = len(self.kernel)
        if weights < 2:
            raise UsageError(f"kernel must have at least 2 weights, got {weights}")
        rank = np.linalg.matrix_rank(self._windows) if len(self.signal) >= weights else 0
        if rank < weights:
            raise UsageError(
                f"signal of {len(self.signal)} values determines only {rank} of the {weights} weights of the "
                "kernel; give it more, or more varied, values"
            )
        if self.parts > len(self._windows):
            raise UsageError(
                f"parts must be at most {len(self._windows)}, the number of outputs, got {self.parts}"
            )

    def init(self, key: jax.Array) -> State:
        """Return a kernel sampled from a normal distribution."""
        start = self.spread * jax.random.normal(key, (len(self.kernel),))
        return State(start, start, jnp.int32(0))

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take one step of full-batch gradient descent; nothing is random."""
        del key
        x, target, weight = self._input, self._target, state.kernel.reshape(-1, 1, 1)
        if self.parts == 1:
            loss, gradient = jax.value_and_grad(lambda w: _squared_error(convolve(x, w), target))(weight)
        else:
            loss, (gradient, _) = gradient_decomposed(
                optax.squared_error, x, target, weight, parts=self.parts
            )
        kernel = state.kernel - self.learning_rate * gradient.reshape(-1)
        return State(kernel, state.start, state.steps + 1), {"loss": Mean(loss)}

    def evaluate(self, state: State, key: jax.Array) -> Metrics:
        """Return the distance of the kernel from the true one, and the loss."""
        del key
        loss = _squared_error(convolve(self._input, state.kernel.reshape(-1, 1, 1)), self._target)
        away = state.kernel - jnp.asarray(self.kernel)
        return {"error": Mean(jnp.linalg.norm(away)), "loss": Mean(loss)}

    @property
    def independent_test(self) -> None:
        """None: the distance from the true kernel is the same whenever it is measured."""
        return None

    def test_description(self, size: int) -> str:
        """Return a description of what the final evaluation compares with."""
        del size
        return "the true kernel"

    def visualize(self, state: State, key: jax.Array) -> dict[str, Visualization]:
        """Return a figure of the descent and of the kernel it found."""

        def advance(state: State, _: Any) -> tuple[State, Any]:
            state, metrics = self.step(state, key)
            return state, (state.kernel, metrics["loss"].value)

        begin = State(state.start, state.start, jnp.int32(0))
        _, (kernels, losses) = jax.lax.scan(advance, begin, length=int(state.steps))
        path = np.concatenate([np.asarray(state.start)[None], np.asarray(kernels)])
        drawn = _draw(path, np.asarray(losses), np.asarray(self.kernel), self._windows)
        caption = (
            f"{int(state.steps)} steps of gradient descent from a random start; kernel found: "
            f"{', '.join(f'{w:z.4f}' for w in path[-1])}"
        )
        return {"descent": to_image(drawn, caption)}

    @property
    def _input(self) -> jax.Array:
        return jnp.asarray(self.signal)[:, None]

    @property
    def _target(self) -> jax.Array:
        return convolve(self._input, jnp.asarray(self.kernel).reshape(-1, 1, 1))

    @property
    def _windows(self) -> np.ndarray:
        """The matrix X whose product with the kernel is the output."""
        return np.lib.stride_tricks.sliding_window_view(np.asarray(self.signal), len(self.kernel))


def _squared_error(outputs: jax.Array, target: jax.Array) -> jax.Array:
    return jnp.mean(optax.squared_error(outputs, target))


def _draw(path: np.ndarray, losses: np.ndarray, true: np.ndarray, windows: np.ndarray) -> Any:
    """Return a figure of the loss surface with the path on it, the loss by step, and the kernels."""
    drawn, (surface, curve, bars) = figure(11, 3.8, ncols=3, width_ratios=(5, 3, 3))
    _draw_surface(surface, path, true, windows)

    curve.plot(np.arange(len(losses)), losses, color=_FOUND)
    curve.set(yscale="log", xlabel="step", ylabel="mean squared error", title="Loss")

    places = np.arange(len(true))
    bars.bar(places - 0.2, true, 0.38, label="true", color=_TRUE)
    found = bars.bar(places + 0.2, path[-1], 0.38, label="found", color=_FOUND)
    bars.bar_label(found, [f"{w:z.3f}" for w in path[-1]], fontsize="small", padding=2)
    bars.axhline(0, color="black", linewidth=0.8)
    bars.set(xticks=places, xticklabels=[f"w{i}" for i in places], ylabel="weight", title="Kernel")
    bars.legend(frameon=False)
    bars.margins(y=0.12)
    return drawn


def _draw_surface(axes: Any, path: np.ndarray, true: np.ndarray, windows: np.ndarray) -> None:
    """Plot the loss over the first and the last weight, and the path of the descent."""
    shown = [0, path.shape[1] - 1]
    rest = [i for i in range(path.shape[1]) if i not in shown]
    # The loss is a quadratic form of the error. The weights that are not shown take their best values given
    # those two (the Schur complement); after its first steps the descent is close to them.
    form = windows.T @ windows / len(windows)
    inside = form[np.ix_(shown, shown)]
    if rest:
        mixed = form[np.ix_(shown, rest)]
        inside = inside - mixed @ np.linalg.solve(form[np.ix_(rest, rest)], mixed.T)
    way = path[:, shown]
    around = np.concatenate([way, true[None, shown]])
    low, high = around.min(0), around.max(0)
    margin = 0.15 * (high - low).max() + 0.1
    x, y = (np.linspace(a - margin, b + margin, 120) for a, b in zip(low, high))
    error = np.stack(np.meshgrid(x, y), -1) - true[shown]
    loss = np.einsum("...i,ij,...j", error, inside, error)
    levels = np.geomspace(max(loss.max() * 1e-4, 1e-12), loss.max(), 13)
    from matplotlib.colors import LogNorm

    filled = axes.contourf(x, y, np.maximum(loss, levels[0]), levels, norm=LogNorm(), cmap="YlGnBu_r")
    others = f", best {', '.join(f'w{i}' for i in rest)}" if 0 < len(rest) < 4 else ""
    axes.figure.colorbar(filled, ax=axes, label=f"mean squared error{others}", format="%.0e")
    axes.plot(*way.T, ".-", color=_PATH, linewidth=1.2, markersize=4, label="descent, a dot per step")
    axes.plot(*way[0], "o", color="white", markeredgecolor=_PATH, label="start")
    axes.plot(*true[shown], "*", color="white", markeredgecolor="black", markersize=13, label="true kernel")
    axes.set(xlabel=f"w{shown[0]}", ylabel=f"w{shown[1]}", title="Loss surface and descent")
    axes.legend(loc="best", fontsize="small")

"""A table and a plot of gradient estimators: exact moments and samples."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from populace.rl.gradient_estimators.estimators import BernoulliLogistic, Comparison, variance_interval
from populace.runs.figures import figure
from populace.statistics import Interval

_CLOSED, _SAMPLED, _OTHER = "#0072b2", "#d55e00", "#009e73"


def table(rows: Sequence[Comparison]) -> str:
    """Return comparisons as a Markdown table; sampled values with their 95 % intervals."""
    lines = [
        "| estimator | mean | sampled mean | bias | variance | sampled variance |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            row.estimator,
            _number(row.mean),
            _words(row.sampled_mean),
            _number(row.bias),
            _number(row.variance),
            _words(row.sampled_variance),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(policy: BernoulliLogistic, key: jax.Array, samples: int = 20_000, weight: int = 0) -> Any:
    """Plot variance over the baseline, and variance and squared bias over the temperature.

    Lines are exact (numerical integration for the relaxed action), points are samples with 95 % intervals.

    Returns:
        a Matplotlib figure, for `populace.runs.figures.to_image`.

    """
    drawn, (left, right) = figure(11, 4.4, ncols=2)
    _over_baseline(left, policy, key, samples, weight)
    _over_temperature(right, policy, jax.random.fold_in(key, 1), samples, weight)
    for axes in (left, right):
        axes.grid(color="#e3e6e8", lw=0.8)
        axes.legend(frameon=False, fontsize=9)
    return drawn


def _over_baseline(axes: Any, policy: BernoulliLogistic, key: jax.Array, samples: int, weight: int) -> None:
    marked = [0.0, policy.mean_baseline, policy.optimal_baseline]
    margin = 0.5 * (max(marked) - min(marked)) or 1.0
    baselines = np.linspace(min(marked) - margin, max(marked) + margin, 101)
    closed = [policy.reinforce_moments(b).variance[weight] for b in baselines]
    axes.plot(baselines, closed, color=_CLOSED, label="closed form")
    at = baselines[::10]
    drawn = [policy.reinforce(jax.random.fold_in(key, i), samples, b)[:, weight] for i, b in enumerate(at)]
    _points(axes, at, [variance_interval(x) for x in drawn], _SAMPLED, f"{samples:,} samples")
    names = ("none", "mean reward", "optimal")
    for name, b, height in zip(names, marked, (0.97, 0.90, 0.83)):
        axes.axvline(b, color="#5b646c", lw=0.8, ls=":")
        place = ("data", "axes fraction")
        axes.annotate(
            name, (b, height), xycoords=place, xytext=(3, 0), textcoords="offset points", fontsize=9
        )
    axes.set(xlabel="baseline b", ylabel="variance of one sample", title="REINFORCE")


def _over_temperature(
    axes: Any, policy: BernoulliLogistic, key: jax.Array, samples: int, weight: int
) -> None:
    temperatures = np.geomspace(0.05, 4, 41)
    moments = [policy.relaxed_moments(t) for t in temperatures]
    variance = [m.variance[weight] for m in moments]
    bias = [(m.mean[weight] - policy.gradient[weight]) ** 2 for m in moments]
    axes.plot(temperatures, variance, color=_CLOSED, label="variance, by quadrature")
    axes.plot(temperatures, bias, color=_OTHER, label="squared bias")
    at = temperatures[::8]
    drawn = [policy.relaxed(jax.random.fold_in(key, i), samples, float(t)) for i, t in enumerate(at)]
    _points(axes, at, [variance_interval(x[:, weight]) for x in drawn], _SAMPLED, f"{samples:,} samples")
    axes.axhline(
        policy.reinforce_moments().variance[weight],
        color="#5b646c",
        lw=1,
        ls="--",
        label="REINFORCE, variance",
    )
    axes.set(xscale="log", yscale="log", xlabel="temperature", title="Relaxed action")


def _points(axes: Any, at: np.ndarray, found: list[Interval], color: str, label: str) -> None:
    value = np.array([x.value for x in found])
    reach = np.array([[x.value - x.low for x in found], [x.high - x.value for x in found]])
    axes.errorbar(at, value, yerr=reach, fmt="o", ms=4, capsize=3, color=color, label=label)


def _words(interval: Interval) -> str:
    return f"{_number(interval.value)} ({_number(interval.low)} to {_number(interval.high)})"


def _number(x: float) -> str:
    """Format with four digits; rounding errors of a zero count as zero."""
    return "0" if abs(x) < 1e-12 else f"{x:.4g}"

"""Plots of regret with intervals, and with the lower bound."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.core.formatting import format_value
from populace.runs.figures import figure, to_image
from populace.statistics import mean_interval, with_worst

__all__ = ["curves", "regret", "to_image"]

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b78103", "#4a4f55", "#3a9bd1")
_POINTS = 60

Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


def regret(found: Curves, constant: float | None = None, *, title: str = "") -> Any:
    """Plot mean regret over pulls on a logarithmic axis, each curve with its 95 % interval.

    Args:
        found: number of pulls (T,) and the regret after them (members, T), by name.
        constant: factor C of the lower bound `C log t`, a dashed line; None for no bound.
        title: title of the plot.

    Returns:
        a Matplotlib figure, for `to_image`.

    Raises:
        UsageError: a curve that all of its members have no regret for.

    """
    drawn, axes = figure(8, 4.8)
    last = max(pulls[-1] for pulls, _ in found.values())
    for i, (name, (pulls, regrets)) in enumerate(found.items()):
        kept = _spread(len(pulls))
        at = pulls[kept]
        if np.isnan(regrets[:, kept]).all(axis=0).any():
            raise UsageError(f"every bandit of '{name}' diverged: there is no regret to plot")
        # One that diverged has the largest regret of the others.
        columns = [with_worst(regrets[:, k], "min") for k in kept]
        intervals = [mean_interval(column) for column in columns]
        color = _COLORS[i % len(_COLORS)]
        axes.plot(at, [x.value for x in intervals], color=color, lw=1.8, label=name)
        axes.fill_between(
            at, [x.low for x in intervals], [x.high for x in intervals], color=color, alpha=0.2, lw=0
        )
    if constant is not None:
        at = np.geomspace(1, last, 200)
        label = f"asymptotic lower bound, {constant:.3g} log t"
        axes.plot(at, constant * np.log(at), color="black", lw=1.4, ls="--", label=label)
    first = min(last / 10, *(pulls[0] for pulls, _ in found.values()))
    axes.set(
        xscale="log", xlim=(first, last), xlabel="pulls", ylabel="regret, mean over members", title=title
    )
    axes.set_ylim(bottom=0)
    axes.grid(color="#e3e6e8", lw=0.8)
    axes.legend(frameon=False, fontsize=9)
    return drawn


def curves(run: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the regret curves of each setting of a bandit run, as input of `regret`.

    Raises:
        UsageError: the run has no evaluations of bandits.

    """
    table = run.metrics("evaluation")
    if not table.num_rows or "regret_so_far" not in table.column_names:
        raise UsageError(
            f"'{run.path}' has no regret curves; only evaluations of the learner 'bandit' have them"
        )
    column = {n: table[n].to_numpy() for n in ("units", "member", "setting", "regret_so_far")}
    found = {}
    for index, values in enumerate(run.population.settings):
        mine = column["setting"] == index
        order = np.lexsort((column["units"][mine], column["member"][mine]))
        pulls, count = np.unique(column["units"][mine], return_counts=True)
        regrets = column["regret_so_far"][mine][order].reshape(count[0], len(pulls))
        name = ", ".join(map(format_value, values.values())) or f"setting {index}"
        found[name] = (pulls, regrets.astype(np.float64))
    return found


def _spread(count: int) -> np.ndarray:
    """Return at most 60 indices below `count`, evenly spaced on a logarithmic axis."""
    return np.unique(np.geomspace(1, count, min(count, _POINTS)).round().astype(int)) - 1

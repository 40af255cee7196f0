"""The learning curve of a finished run as a picture, as the pages of the documentation show it.

    python benchmarks/curves.py RUN PICTURE [--line VALUE WORDS] [--metric NAME] [--members]

The interquartile mean over the members of each setting, with its 95 % bootstrap interval as a band, over what
one member has taken in. `--line` draws a level to compare with; `--members` one thin line per member too.
"""

import argparse
from pathlib import Path

import numpy as np

from populace.report.charts.curves import grid, score_grid, setting_curve
from populace.report.number_format import setting
from populace.report.runs import Reading
from populace.runs.figures import figure
from populace.runs.run import Run

COLORS = ("#0b6e75", "#b4521e", "#5a4fa0", "#3f7d2f", "#a3285e", "#7a6a12", "#2b5fa8", "#7d3c3c", "#444444")


def main() -> None:
    """Draw the curve that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--line", nargs=2, action="append", default=[], metavar=("VALUE", "WORDS"))
    parser.add_argument("--metric", help="one of the evaluation's; without it, the score")
    parser.add_argument("--members", action="store_true", help="one thin line per member")
    args = parser.parse_args()

    reading = Reading.of(Run(args.run))
    found = grid(reading.evaluation, args.metric) if args.metric else score_grid(reading)
    if found is None:
        parser.error(f"{args.run} has no evaluations of {args.metric or 'its score'}")
    drawn, axes = figure(7.2, 3.6)
    for entry, color in zip(reading.results["settings"], [*COLORS] * 99):
        name = ", ".join(f"{path} {setting(value)}" for path, value in entry["values"].items())
        curve = setting_curve(found, entry)
        if args.members:
            axes.plot(found.units, found.rows(entry["members"]).T, color=color, linewidth=0.5, alpha=0.35)
        axes.plot(curve.units, curve.value, color=color, linewidth=1.8, label=name or None)
        axes.fill_between(curve.units, curve.low, curve.high, color=color, alpha=0.18, linewidth=0)
    for value, words in args.line:
        axes.axhline(float(value), color="#555555", linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            words, (1, float(value)), xycoords=("axes fraction", "data"), xytext=(-4, 3),
            textcoords="offset points", ha="right", va="bottom", fontsize=8, color="#555555",
        )  # fmt: skip
    unit = reading.results.get("unit") or "steps"
    axes.set_xlabel(f"{unit} taken by one member")
    axes.set_ylabel((args.metric or reading.results["score"]["name"]).replace("_", " "))
    axes.set_xlim(0, np.max(found.units))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.grid(color="#e3e3e3", linewidth=0.6)
    axes.set_axisbelow(True)
    if any(entry["values"] for entry in reading.results["settings"]):
        axes.legend(frameon=False, fontsize=8)
    drawn.savefig(args.picture)


if __name__ == "__main__":
    main()

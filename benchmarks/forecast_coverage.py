"""M4 hourly by the closed form, and how much of ETTh1 conformal intervals cover.

    POPULACE_DATA=DATA python benchmarks/forecast_coverage.py [m4] [etth1]

`m4`: the 414 hourly series, 48 hours ahead, beside the season repeated; the window is the one of least MASE
on the 48 hours before the test part. `etth1`: a ridge regression fitted to the 16 months before the test
part, whose conformal intervals learn daily from what came since; forecasts begin every 24 hours of the
4 months, in units of the training part.
"""

import argparse
import time

import numpy as np

from populace import forecasting
from populace.forecasting.datasets import dataset
from populace.forecasting.forecaster import scales, standardized

WHOLE, TEST = 14_400, 2_880
HORIZON, DAY = 96, 24
LEVELS = (0.05, 0.5, 0.95)


def m4(horizon: int = 48) -> None:
    """Print scores on the test part, and what the window was chosen by."""
    began = time.perf_counter()
    panel = dataset("m4-hourly")
    before = panel.until(-horizon)

    def scores(model: forecasting.Linear | forecasting.SeasonalNaive, data: forecasting.Panel) -> str:
        found = forecasting.backtest(model, data, horizon, season=24).summary()
        names = ("MASE", "WQL", "coverage of 90 %")
        return ", ".join(f"{name} {found[name]:.4f}" for name in names if name in found)

    def linear(window: int) -> forecasting.Linear:
        return forecasting.Linear(window=window, horizon=horizon, penalty=0.001, scale="difference")

    for window in (168, 336, 504):
        print(f"window {window}, on the 48 hours before the test part: {scores(linear(window), before)}")
    print(f"window 504, on the test part: {scores(linear(504), panel)}")
    print(f"season repeated: {scores(forecasting.SeasonalNaive(), panel)}")
    print(f"{time.perf_counter() - began:.0f} s, {time.process_time():.0f} s of the processor\n", flush=True)


def etth1() -> None:
    """Print each channel's coverage and the mean pinball loss."""
    panel = dataset("etth1").until(WHOLE)
    panel = standardized(panel, scales(panel, 2 * TEST))
    model = forecasting.Linear(window=336, horizon=HORIZON, penalty=0.01)
    for adaptive in (0.0, 0.001):
        by = forecasting.Conformal(model, windows=720, horizon=HORIZON, adaptive=adaptive, tracked=LEVELS)
        count = (TEST - HORIZON) // DAY + 1
        found = forecasting.backtest(
            by, panel, HORIZON, windows=count, step=DAY, refit="update", quantiles=LEVELS
        )
        inside = (found.actual >= found.values[..., 0]) & (found.actual <= found.values[..., -1])
        shares = " ".join(f"{share:.3f}" for share in inside.mean((0, 2)))
        loss = found.summary()["pinball"]
        print(f"adaptive {adaptive:g}, {count} cutoffs: {shares}; pinball {loss:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["m4", "etth1"])
    args = parser.parse_args()
    if "m4" in args.parts:
        m4()
    if "etth1" in args.parts:
        etth1()


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()

"""The page of a forecast: fans, the backtest with its intervals, calibration, errors."""

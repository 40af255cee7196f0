"""The learner of recipes: it forecasts a data set by name, and is scored on a test part."""

import dataclasses
from typing import Self

import numpy as np

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.forecasting.data.panel import Panel
from populace.forecasting.datasets import DATASETS, dataset
from populace.forecasting.forecaster import scales, standardized
from populace.forecasting.learner import SeriesForecaster
from populace.forecasting.nhits import NHiTS  # noqa: F401  (a recipe may name it: kinds are those imported)


class DatasetForecaster(SeriesForecaster):
    """Forecasts the series of a data set; the last steps of each are the test part, those before validation.

    Series are standardized by the mean and deviation of their training part, so that errors have the unit in
    which papers report them. Test windows begin at every step, and their histories reach back into the
    validation part.
    """

    dataset: str = setting("air-passengers", choices=DATASETS, help="data set")
    validation: int = setting(12, low=1, help="steps of each series that training is chosen by")
    test: int = setting(12, low=1, help="last steps of each series, for the score alone")
    length: int = setting(0, low=0, help="first steps of each series that are used; 0: all")

    @property
    def independent_test(self) -> bool:
        """Yes: nothing is chosen on the test part."""
        return True

    def load_data(self) -> Self:
        """Return the learner with the training and validation windows."""
        if self.data is not None:
            return self
        return self.with_panel(self._panel().until(-self.test), validation=self.validation)

    def for_test(self, size: int) -> Self:
        """Return the learner whose evaluation is of the test windows."""
        del size
        return dataclasses.replace(self, data=None).with_panel(self._panel(), validation=self.test)

    def test_description(self, size: int) -> str:
        """Return in words what is scored."""
        del size
        return f"windows whose targets lie in the last {self.test:,} steps of each series of {self.dataset}"

    def check(self) -> None:
        """Raise a `UsageError` where the parts leave nothing to learn from, once the data is loaded."""
        if self.data is not None:
            super().check()

    def _panel(self) -> Panel:
        """Return the series, standardized by their training part."""
        panel = dataset(self.dataset)
        if self.length:
            panel = panel.until(self.length)
        kept = panel.lengths - self.validation - self.test
        if kept.min() < self.window + self.horizon:
            worst = int(np.argmin(kept))
            raise UsageError(
                f"series {panel.ids[worst]!r} of {self.dataset} has {panel.lengths[worst]:,} steps; a "
                f"validation part of {self.validation} and a test part of {self.test} leave "
                f"{kept[worst]:,}, fewer than a window of {self.window} and a horizon of {self.horizon}"
            )
        return standardized(panel, scales(panel, self.validation + self.test))

"""Exhibits: pictures, and captions that name the part they were made of."""

import dataclasses

import jax
import numpy as np
import pytest

from populace.supervised import Data
from tests.supervised.problems import begun, blobs, classifier, line, regressor

# Thirty examples in the part that is drawn, whichever it is: programs of the same shapes.
PARTS = {
    "test": (60, {"test": 30, "validation": 0.5}),
    "validation": (150, {"validation": 0.2}),
    "training": (30, {"validation": 0.0}),
}


@pytest.mark.parametrize("part", PARTS)
def test_exhibits_are_pictures_of_the_part_that_stands_for_the_test_part(part):
    examples, how = PARTS[part]
    for learner, draw, data in (
        (classifier(), blobs, Data.from_classes),
        (regressor(), line, Data.from_targets),
    ):
        options = how | ({"test": draw(how["test"], seed=1)} if "test" in how else {})
        learner = dataclasses.replace(learner, data=data(*draw(examples), **options))
        network = begun(learner).network
        for picture in learner.visualize(network, jax.random.key(0)).values():
            assert picture.image.dtype == np.uint8
            assert picture.image.ndim == 3
            assert picture.image.std() > 5
            assert f"{part} part" in picture.caption
        said = learner.test_description(1)
        assert said == "the 30 test examples" if part == "test" else f"{part} examples again" in said

"""Exhibits: pictures, and captions that name the part they were made of."""

import dataclasses

import jax
import numpy as np

from populace.supervised import Data
from tests.supervised.problems import begun, blobs, classifier, line, regressor


def test_exhibits_are_pictures():
    for learner in (classifier(), regressor()):
        network = begun(learner).network
        for picture in learner.exhibit(network, jax.random.key(0)).values():
            assert picture.image.dtype == np.uint8
            assert picture.image.ndim == 3
            assert picture.image.std() > 5
            assert "test part" in picture.caption


def test_an_exhibit_names_the_part_that_stands_for_the_test_part():
    for share, part in ((0.2, "validation"), (0.0, "training")):
        classes = Data.of_classes(*blobs(30), validation=share)
        numbers = Data.of_numbers(*line(30), validation=share)
        for learner, data in ((classifier(), classes), (regressor(), numbers)):
            learner = dataclasses.replace(learner, data=data)
            network = begun(learner).network
            for picture in learner.exhibit(network, jax.random.key(0)).values():
                assert f"{part} part" in picture.caption
            assert f"{part} examples again" in learner.examined(1)

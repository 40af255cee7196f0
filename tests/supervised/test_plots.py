"""Exhibits: pictures, and captions that name the part they were made of."""

import dataclasses

import jax
import numpy as np
import pytest

from populace.runs.figures import to_image
from populace.supervised import Data, plots
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


def test_the_confusion_matrix_has_the_names_and_the_weights(monkeypatch):
    """Whatever a name is: a formula, several lines, or a long one."""
    drawn = []

    def kept(figure, caption):
        drawn.append((figure, caption))
        return to_image(figure, caption)

    monkeypatch.setattr(plots, "to_image", kept)
    logits, labels = np.eye(3)[[0, 1, 1, 2, 0]], np.array([0, 1, 2, 2, 1])
    names = ("$x_$", "two\nlines", "a" * 80)
    plots.confusion(logits, labels, names, "test", np.array([2.0, 1.0, 0.5, 3.0, 1.5]))
    figure, caption = drawn[0]
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == [r"\$x_\$", "two lines", "a" * 23 + "…"]
    assert sorted(text.get_text() for text in axes.texts) == ["0.5", "1", "1.5", "2", "3"]
    assert caption.endswith(f"accuracy {100 * 6 / 8:.2f} %")


def test_a_classifier_of_text_draws_its_names():
    x, y = blobs(60)
    names, weight = np.array(["ant", "bee", "cat"])[y], 1 + np.arange(60) % 2
    data = Data.from_classes(x, names, validation=0.5, sample_weight=weight)
    learner = dataclasses.replace(classifier(), data=data)
    for picture in learner.visualize(begun(learner).network, jax.random.key(0)).values():
        assert picture.image.std() > 5

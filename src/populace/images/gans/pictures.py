"""What a GAN makes, to look at: walks through its latent, and the judge's measures beside their floors."""

import warnings
from typing import Any

import equinox as eqx
import jax
import numpy as np

from populace.core.media import Image
from populace.images.generative.pictures import class_name, enlarged, tiled
from populace.images.judge.comparison import FLOORS
from populace.runs.figures import figure, label, to_image

_ROWS, _STEPS = 5, 10


def walks(learner: Any, model: Any) -> Image:
    """Draw images on the way between pairs of latents, a pair in each row."""
    told: list[Any] = [None] * _ROWS
    if learner.conditional:
        told = [row % learner.classes for row in range(_ROWS)]
    rows = [learner.interpolate(model, 2 * i, 2 * i + 1, _STEPS, told[i]) for i in range(_ROWS)]
    of = ""
    if learner.conditional:
        of = f", of class {', '.join(label(class_name(learner, one)) for one in told)}"
    caption = f"Between two latents, along the arc from the left to the right{of}"
    return Image(enlarged(tiled(np.concatenate(rows), _STEPS)), caption)


def judged(learner: Any, model: Any, key: jax.Array) -> Image:
    """Draw each measure relative to its floor, and warn of mode collapse."""
    against = learner.against
    measured = _evaluated(learner, model, key)
    found = {name: float(mean.value) for name, mean in measured.items()}
    floors = {name: float(against.floor[name]) for name in FLOORS}
    drawn, axes = figure(7.2, 2.6, ncols=len(FLOORS))
    for name, axis in zip(FLOORS, np.ravel(axes)):
        axis.bar([0, 1], [found[name], floors[name]], color=["#1f77b4", "#9aa4ad"])
        axis.set_xticks([0, 1], ["made", "real"], fontsize=8)
        axis.set_title(name.replace("_", "\n"), fontsize=8)
        axis.tick_params(axis="y", labelsize=7)
    classes = learner._data.outputs
    covered = round(found["class_coverage"] * classes)
    caption = (
        f"{against.samples:,} made images, and as many real training images, against the real "
        f"{learner._data.called('validation')} images: {covered} of {classes} classes are covered"
    )
    if "label_accuracy" in found:
        caption += f", {found['label_accuracy']:.1%} are read as the class that was asked for"
    if found["collapsed"]:
        collapse = f"mode collapse: {learner.reasons(found)}"
        warnings.warn(collapse, stacklevel=2)
        caption += f"; {collapse}"
    return to_image(drawn, caption)


@eqx.filter_jit
def _evaluated(learner: Any, model: Any, key: jax.Array) -> Any:
    return dict(learner.evaluate(model, key))

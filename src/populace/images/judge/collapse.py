"""Mode collapse: a generator that makes few classes, or few images of each, told from measures of its images.

A real subset of at least 100 images must hardly ever look collapsed (`tests/images/judge/test_collapse.py`
draws 1,000), and a generator of one image, of few classes, or of one image per class always.
"""

import jax
import jax.numpy as jnp

from populace.images.judge.distances import entropy
from populace.images.judge.reference import Reference

ENTROPY_LOST = 0.6931471805599453
"""Nats of class entropy below that of real images: half as many classes, all alike."""
DIVERSITY = 0.25
"""Mean squared distance within a class, relative to real images."""
FEWEST = 100
"""Images from which on collapse is told: of fewer, a class may be missing by chance."""


def collapse_of(found: dict[str, jax.Array], real: Reference) -> dict[str, jax.Array]:
    """Return `collapsed`, 1 or 0: classes are missing or very uneven, or the images of each alike."""
    missing = found["class_coverage"] < 1
    uneven = found["class_entropy"] < entropy(real.shares) - ENTROPY_LOST
    alike = ~(found["diversity"] >= DIVERSITY)
    return {"collapsed": jnp.asarray(missing | uneven | alike, jnp.float32)}


def reasons(class_coverage: float, class_entropy: float, diversity: float, classes: int) -> str:
    """Return in words what the measures of a collapsed generator say."""
    missing = round((1 - class_coverage) * classes)
    said = [f"{missing} of {classes} classes are missing"] if missing else []
    if diversity < DIVERSITY:
        said.append(f"images of a class are {diversity:.0%} as far apart as real ones")
    if not said:
        said.append(f"the class entropy is {class_entropy:.2f} nats")
    return " and ".join(said)

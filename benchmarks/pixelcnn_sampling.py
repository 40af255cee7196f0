"""Sampling of a PixelCNN by caches against a whole pass for every pixel: seconds, and the images compared.

    python benchmarks/pixelcnn_sampling.py

15 blocks of 16 channels, random weights, 28 x 28 pixels of 2 levels. Compile time apart; medians of several
runs for the caches, one run of the whole passes, and few images, because these take so long.
"""

import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.images.pixelcnn import sampling
from populace.images.pixelcnn.network import GatedPixelCNN

SHAPE, FEW, MANY = (28, 28, 1), 4, 100


def seconds(function, given, repeats: int) -> tuple[float, np.ndarray]:
    """Return the median time of a call, and what it returned."""
    jax.block_until_ready(function(*given))
    times, found = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        found = jax.block_until_ready(function(*given))
        times.append(time.perf_counter() - start)
    return statistics.median(times), np.asarray(found)


def main() -> None:
    """Measure and print."""
    network = GatedPixelCNN().build(SHAPE, 2, 0, key=jax.random.key(0))

    def given(n: int) -> tuple:
        keys = jax.random.split(jax.random.key(1), n)
        none = np.zeros((n, 0), np.float32), np.zeros((n, *SHAPE), np.int32)
        return network, none[0], keys, jnp.float32(1), jnp.int32(0), none[1]

    quick, images = seconds(sampling.drawn, given(FEW), 3)
    start = time.perf_counter()
    recomputed: Any = sampling.recomputed
    whole = recomputed.lower(*given(FEW)).compile()
    print(f"compiled in {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    expected = np.asarray(jax.block_until_ready(whole(*given(FEW))))
    slow = time.perf_counter() - start
    print(f"{FEW} images: caches {quick:.3f} s, whole passes {slow:.1f} s: {slow / quick:.0f} times")
    print("the same images:", np.array_equal(images, expected))
    print(f"{MANY} images by caches: {seconds(sampling.drawn, given(MANY), 3)[0]:.2f} s")


if __name__ == "__main__":
    main()

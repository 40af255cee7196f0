"""Kernels of the classic filters, as small arrays: edges, shift, blur, sharpen, swapped colors.

A kernel is not flipped (cross-correlation, as in every network): `y[i, j] = sum_kl x[i + k, j + l] w[k, l]`
around the center of the kernel.
"""

from collections.abc import Sequence

import numpy as np

from populace.core.errors import UsageError


def sobel(axis: int) -> np.ndarray:
    """Return the (3, 3) Sobel kernel: 8 times the slope along an axis (0: downward, 1: rightward)."""
    if axis not in (0, 1):
        raise UsageError(f"sobel: axis must be 0 (downward) or 1 (rightward), got {axis!r}")
    kernel = np.outer([-1.0, 0.0, 1.0], [1.0, 2.0, 1.0])
    return kernel if axis == 0 else kernel.T


def laplace() -> np.ndarray:
    """Return the (3, 3) Laplace kernel: the sum of the second differences along both axes."""
    return np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])


def shift(rows: int, columns: int) -> np.ndarray:
    """Return the kernel that shifts an image down by `rows` and right by `columns` pixels.

    It has shape (2 |rows| + 1, 2 |columns| + 1) and a single entry of 1.
    """
    kernel = np.zeros((2 * abs(rows) + 1, 2 * abs(columns) + 1))
    # Pixel i of the result comes from pixel i - rows.
    kernel[abs(rows) - rows, abs(columns) - columns] = 1.0
    return kernel


def box(size: int) -> np.ndarray:
    """Return the (size, size) box blur, which takes the mean."""
    return np.full((_size("box", size),) * 2, 1.0 / size**2)


def gaussian(sigma: float, size: int | None = None) -> np.ndarray:
    """Return the (size, size) Gaussian kernel `exp(-r^2 / (2 sigma^2))`, scaled to sum 1.

    Args:
        sigma: standard deviation in pixels, above 0.
        size: by default it reaches 3 sigma to every side.

    """
    if not (np.isfinite(sigma) and sigma > 0):
        raise UsageError(f"gaussian: sigma must be above 0, got {sigma!r}")
    size = 2 * int(np.ceil(3 * sigma)) + 1 if size is None else _size("gaussian", size)
    distance = np.arange(size) - (size - 1) / 2
    line = np.exp(-(distance**2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2


def sharpen(amount: float = 1.0) -> np.ndarray:
    """Return the (3, 3) kernel `identity - amount * laplace`, which sharpens edges and preserves the mean."""
    return np.pad([[1.0]], 1) - amount * laplace()


def swap_colors(order: Sequence[int] = (2, 1, 0), size: int = 1) -> np.ndarray:
    """Return the (size, size, 3, 3) kernel that permutes color channels: output i is input `order[i]`.

    Red, green and blue are 0, 1 and 2: the default swaps red and blue.
    """
    if sorted(order) != [0, 1, 2]:
        raise UsageError(f"swap_colors: order must contain 0, 1 and 2 once each, got {tuple(order)}")
    kernel = np.zeros((_size("swap_colors", size), size, 3, 3))
    kernel[(size - 1) // 2, (size - 1) // 2, list(order), [0, 1, 2]] = 1.0
    return kernel


def _size(name: str, size: int) -> int:
    if size < 1:
        raise UsageError(f"{name}: size must be at least 1, got {size}")
    return size

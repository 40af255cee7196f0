"""Filters: small kernels that a convolution slides over a picture, and the picture before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError, unknown
from populace.images.filters.kernels import box, gaussian, laplace, sharpen, shift, sobel, swap_colors
from populace.nn.conv.convolution import convolve
from populace.runs.figures import figure, to_image

Border = Literal["repeat", "zero"]


def apply(image: Any, kernel: Any, *, border: Border = "repeat") -> jax.Array:
    """Slide a kernel over a picture; the result has the picture's size.

    The tap of an even kernel that lies on the pixel itself is the one before the middle. Cost
    `O(height width kh kw)` per channel, times Cout for a kernel that mixes channels.

    Args:
        image: (height, width, channels) or (height, width); uint8 is taken as 0 to 1.
        kernel: (kh, kw), used on every channel alone, or (kh, kw, channels, Cout), which mixes them.
        border: what lies outside of the picture: its outermost pixels repeated, or zeros.

    Returns:
        (height, width, channels or Cout) float.

    Raises:
        UsageError: shapes that do not fit, or an unknown border.

    """
    x = _as_image(image)
    weight = jnp.asarray(kernel, x.dtype)
    if weight.ndim not in (2, 4) or 0 in weight.shape:
        raise UsageError(f"filter: kernel has shape {weight.shape}, expected (kh, kw) or (kh, kw, Cin, Cout)")
    if border not in ("repeat", "zero"):
        raise UsageError(f"filter: border must be 'repeat' or 'zero', got {border!r}")
    if weight.ndim == 4 and weight.shape[2] != x.shape[2]:
        raise UsageError(
            f"filter: picture has {x.shape[2]} channels, "
            f"the kernel of shape {weight.shape} takes {weight.shape[2]}"
        )
    return _slide(x, weight, border)


@partial(jax.jit, static_argnames="border")  # else every shift of the picture is a program of its own
def _slide(x: jax.Array, weight: jax.Array, border: Border) -> jax.Array:
    sides = [((k - 1) // 2, k // 2) for k in weight.shape[:2]]
    padded = jnp.pad(x, [*sides, (0, 0)], mode="edge" if border == "repeat" else "constant")
    if weight.ndim == 4:
        return convolve(padded, weight)
    return convolve(padded, jnp.repeat(weight[:, :, None, None], x.shape[2], axis=3), groups=x.shape[2])


def _as_image(image: Any) -> jax.Array:
    x = jnp.asarray(image)
    x = x[..., None] if x.ndim == 2 else x
    if x.ndim != 3 or 0 in x.shape:
        raise UsageError(
            f"filter: picture has shape {np.shape(image)}, "
            "expected (height, width, channels) or (height, width)"
        )
    if x.dtype == jnp.uint8:
        return x.astype(jnp.result_type(float)) / 255
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))


@dataclass(frozen=True)
class Filter:
    """One or more kernels; several give the length of their answers, `sqrt(sum_k y_k^2)`.

    Args:
        title: what a reader sees above the picture.
        kernels: as [`apply`][populace.images.apply] takes them.
        border: likewise.
        scaled: whether the answer is no picture but a strength, drawn as its size over the largest.

    """

    title: str
    kernels: tuple[np.ndarray, ...]
    border: Border = "repeat"
    scaled: bool = False

    def __call__(self, image: Any) -> jax.Array:
        """Return the filtered picture, (height, width, channels) float."""
        answers = [apply(image, kernel, border=self.border) for kernel in self.kernels]
        if len(answers) == 1:
            return answers[0]
        return jnp.sqrt(sum((answer**2 for answer in answers), start=jnp.zeros(())))

    def strength(self, image: Any) -> jax.Array:
        """Return the filtered picture as it is drawn, in 0 to 1 if the picture is."""
        answer = self(image)
        return jnp.abs(answer) / jnp.maximum(jnp.abs(answer).max(), 1e-6) if self.scaled else answer


FILTERS: dict[str, Filter] = {
    "sobel": Filter("edges (Sobel)", (sobel(0), sobel(1)), scaled=True),
    "laplace": Filter("edges (Laplace)", (laplace(),), scaled=True),
    "shift": Filter("shift (3 down, 5 right)", (shift(3, 5),), border="zero"),
    "box": Filter("blur (box)", (box(3),)),
    "gaussian": Filter("blur (Gaussian)", (gaussian(1.0),)),
    "sharpen": Filter("sharpen", (sharpen(),)),
    "swap": Filter("red and blue swapped", (swap_colors(),)),
}


def show(image: Any, names: Sequence[str]) -> np.ndarray:
    """Draw the picture before and after each filter, side by side, with the kernels between them.

    Args:
        image: as [`apply`][populace.images.apply] takes it, with 1 or 3 channels; floats from 0
            to 1, what is outside is cut off.
        names: which of `FILTERS`, in the order to draw them.

    Returns:
        the drawing, (height, width, 3) uint8.

    Raises:
        UsageError: no name or an unknown one, or a picture that cannot be drawn.

    """
    if unheard := [name for name in names if name not in FILTERS]:
        raise unknown("filter", unheard[0], FILTERS)
    if not names:
        raise UsageError(f"show: names no filter; known: {', '.join(FILTERS)}")
    before = np.asarray(_as_image(image))
    if before.shape[2] not in (1, 3) or not np.isfinite(before).all():
        raise UsageError(
            f"show: picture of shape {before.shape} must have 1 or 3 channels and finite values only"
        )
    abreast = min(len(names), _ABREAST)
    rows = -(-len(names) // abreast)
    drawn, axes = figure(
        4.8 * abreast, 2.15 * rows, nrows=rows, ncols=4 * abreast, squeeze=False,
        width_ratios=(1, 0.7, 1, 0.1) * abreast,  # the last of each four is a gap
    )  # fmt: skip
    for axis in axes.flat:
        axis.set_axis_off()
    for name, (left, middle, right, _) in zip(names, axes.reshape(-1, 4)):
        chosen = FILTERS[name]
        _draw_picture(left, "before", before)
        _draw_kernels(middle, chosen.kernels)
        _draw_picture(right, chosen.title, chosen.strength(before))
    return to_image(drawn, "").image


_ABREAST = 2  # filters in a row of the drawing
_LEGIBLE = 3  # the widest kernel whose numbers have room


def _draw_picture(axis: Any, title: str, pixels: Any) -> None:
    pixels = np.clip(np.asarray(pixels), 0, 1)
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    axis.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_title(title, fontsize=9)


def _draw_kernels(axis: Any, kernels: Sequence[np.ndarray]) -> None:
    """Draw kernels below each other, with their numbers where there is room."""
    flat = [kernel if kernel.ndim == 2 else _tiled(kernel) for kernel in kernels]
    gap = np.full((1, flat[0].shape[1]), np.nan)
    table = np.vstack([row for kernel in flat for row in (gap, kernel)][1:])
    largest = float(np.nanmax(np.abs(table))) or 1.0
    # Half of the scale's strength, so that black numbers can be read on every color.
    axis.imshow(table, cmap="RdBu", vmin=-2 * largest, vmax=2 * largest, interpolation="nearest")
    mixes = kernels[0].ndim == 4
    axis.set_title(
        "colors in \u2193 out \u2192" if mixes else f"kernel{'s' * (len(kernels) > 1)}", fontsize=9
    )
    if table.shape[1] <= _LEGIBLE:
        for (i, j), weight in np.ndenumerate(table):
            if np.isfinite(weight):
                axis.text(j, i, f"{weight:.2g}", ha="center", va="center", fontsize=7)


def _tiled(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel that mixes channels as one table: a block per tap, channels in down, out across."""
    kh, kw, channels, out = kernel.shape
    return kernel.transpose(0, 2, 1, 3).reshape(kh * channels, kw * out)

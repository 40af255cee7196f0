"""Image filters: convolution with small kernels, and figures of an image before and after."""

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
    """Cross-correlate an image with a kernel; the result has the size of the image.

        y[i, j] = sum_(a, b) k[a, b] x[i + a - (kh - 1) // 2, j + b - (kw - 1) // 2]

    An even kernel is therefore centered on the tap before its middle. Cost: `O(height width kh kw)` per
    channel, times Cout for a kernel that mixes channels.

    Args:
        image: (height, width, channels) or (height, width); uint8 values are scaled to 0 to 1.
        kernel: (kh, kw), applied to each channel separately, or (kh, kw, channels, Cout), which mixes
            channels.
        border: padding: `repeat` repeats the outermost pixels, `zero` pads with zeros.

    Returns:
        (height, width, channels or Cout) float.

    Raises:
        UsageError: shapes that do not match, or an unknown border.

    """
    x = _as_image(image)
    weight = jnp.asarray(kernel, x.dtype)
    if weight.ndim not in (2, 4) or 0 in weight.shape:
        raise UsageError(f"filter: kernel has shape {weight.shape}, expected (kh, kw) or (kh, kw, Cin, Cout)")
    if border not in ("repeat", "zero"):
        raise UsageError(f"filter: border must be 'repeat' or 'zero', got {border!r}")
    if weight.ndim == 4 and weight.shape[2] != x.shape[2]:
        raise UsageError(
            f"filter: image has {x.shape[2]} channels, "
            f"but the kernel of shape {weight.shape} takes {weight.shape[2]}"
        )
    return _slide(x, weight, border)


@partial(jax.jit, static_argnames="border")  # one program instead of one per operation
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
            f"filter: image has shape {np.shape(image)}, "
            "expected (height, width, channels) or (height, width)"
        )
    if x.dtype == jnp.uint8:
        return x.astype(jnp.result_type(float)) / 255
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))


@dataclass(frozen=True)
class Filter:
    """A filter of one or more kernels; the responses of several are combined as `sqrt(sum_k y_k^2)`.

    Args:
        title: title of the filtered image.
        kernels: kernels for [`apply`][populace.images.apply].
        border: padding for [`apply`][populace.images.apply].
        scaled: whether the response is a signed strength, to be shown as its magnitude over the largest.

    """

    title: str
    kernels: tuple[np.ndarray, ...]
    border: Border = "repeat"
    scaled: bool = False

    def __call__(self, image: Any) -> jax.Array:
        """Return the filtered image, (height, width, channels) float."""
        answers = [apply(image, kernel, border=self.border) for kernel in self.kernels]
        if len(answers) == 1:
            return answers[0]
        return jnp.sqrt(sum((answer**2 for answer in answers), start=jnp.zeros(())))

    def strength(self, image: Any) -> jax.Array:
        """Return the filtered image for display, between 0 and 1 if the image is."""
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
    """Return a figure of an image before and after each filter, with the kernels in between.

    Args:
        image: an image for [`apply`][populace.images.apply], with 1 or 3 channels; floats are clipped to 0 to
            1.
        names: keys of `FILTERS`, in the order to show them.

    Returns:
        The figure, (height, width, 3) uint8.

    Raises:
        UsageError: no name, an unknown name, or an image that cannot be shown.

    """
    if unheard := [name for name in names if name not in FILTERS]:
        raise unknown("filter", unheard[0], FILTERS)
    if not names:
        raise UsageError(f"show: names no filter; known: {', '.join(FILTERS)}")
    before = np.asarray(_as_image(image))
    if before.shape[2] not in (1, 3) or not np.isfinite(before).all():
        raise UsageError(f"show: image must have 1 or 3 channels and finite values, got shape {before.shape}")
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
        _draw_image(left, "before", before)
        _draw_kernels(middle, chosen.kernels)
        _draw_image(right, chosen.title, chosen.strength(before))
    return to_image(drawn, "").image


_ABREAST = 2  # filters per row of the figure
_LEGIBLE = 3  # largest kernel with room for its numbers


def _draw_image(axis: Any, title: str, pixels: Any) -> None:
    pixels = np.clip(np.asarray(pixels), 0, 1)
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    axis.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_title(title, fontsize=9)


def _draw_kernels(axis: Any, kernels: Sequence[np.ndarray]) -> None:
    """Draw kernels below each other, with their numbers if there is room."""
    flat = [kernel if kernel.ndim == 2 else _tiled(kernel) for kernel in kernels]
    gap = np.full((1, flat[0].shape[1]), np.nan)
    table = np.vstack([row for kernel in flat for row in (gap, kernel)][1:])
    largest = float(np.nanmax(np.abs(table))) or 1.0
    # Half the color scale, so that black numbers are legible on every color.
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
    """Return a channel-mixing kernel as one table: a block per tap, input channels down, outputs across."""
    kh, kw, channels, out = kernel.shape
    return kernel.transpose(0, 2, 1, 3).reshape(kh * channels, kw * out)

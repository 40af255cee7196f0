"""Filters against loops written from the formula, against what is known of them, and drawn."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.images.filters import kernels
from populace.images.filters.filter import FILTERS, apply, show

RNG = np.random.default_rng(0)
PICTURE = RNG.random((7, 9, 3), np.float32)


def reference(image: np.ndarray, kernel: np.ndarray, border: str) -> np.ndarray:
    """Slide a kernel over a picture, one product at a time, in float64."""
    height, width, channels = image.shape
    mixes = kernel.ndim == 4
    out = np.zeros((height, width, kernel.shape[3] if mixes else channels))
    for i, j, o in np.ndindex(out.shape):
        for k, m in np.ndindex(kernel.shape[:2]):
            row, column = i + k - (kernel.shape[0] - 1) // 2, j + m - (kernel.shape[1] - 1) // 2
            if border == "zero" and not (0 <= row < height and 0 <= column < width):
                continue
            pixel = image[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)].astype(float)
            out[i, j, o] += pixel @ kernel[k, m, :, o] if mixes else pixel[o] * kernel[k, m]
    return out


@pytest.mark.parametrize("border", ["repeat", "zero"])
@pytest.mark.parametrize(
    "kernel",
    [
        kernels.sobel(0), kernels.sobel(1), kernels.laplace(), kernels.shift(2, -1), kernels.box(2),
        kernels.box(4), kernels.gaussian(0.7), kernels.sharpen(0.5), kernels.swap_colors(),
        kernels.swap_colors((1, 2, 0), 3), RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2, 3, 4)),
        RNG.normal(size=(9, 11)),
    ],
    ids=lambda kernel: "x".join(map(str, kernel.shape)),
)  # fmt: skip
def test_a_filter_is_the_formula(kernel: np.ndarray, border: Any) -> None:
    found = apply(PICTURE, kernel, border=border)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, reference(PICTURE, kernel, border), atol=1e-5)


def test_in_double_precision_too() -> None:
    with jax.enable_x64(True):
        kernel = RNG.normal(size=(3, 3))
        found = apply(PICTURE.astype(np.float64), kernel)
        assert found.dtype == jnp.float64
        np.testing.assert_allclose(found, reference(PICTURE.astype(float), kernel, "repeat"), atol=1e-13)


def test_inside_a_program_and_over_a_batch() -> None:
    batch = RNG.random((4, 6, 6, 1), np.float32)
    together = np.asarray(jax.jit(jax.vmap(lambda image: apply(image, kernels.gaussian(1.0))))(batch))
    for found, image in zip(together, batch):
        np.testing.assert_allclose(found, apply(image, kernels.gaussian(1.0)), atol=1e-6)


def test_bytes_are_taken_as_0_to_1_and_gray_may_lack_its_channel() -> None:
    gray = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    found = np.asarray(apply(gray, kernels.box(1)))
    assert found.shape == (4, 6, 1)
    np.testing.assert_allclose(found[..., 0], gray / 255, atol=1e-7)


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (2, 1), (-1, 3), (0, -2)])
def test_shift_moves_down_and_right(rows: int, columns: int) -> None:
    padded = np.zeros((20, 20, 3), np.float32)
    padded[6:13, 6:15] = PICTURE
    moved = np.roll(padded, (rows, columns), axis=(0, 1))
    np.testing.assert_array_equal(apply(padded, kernels.shift(rows, columns), border="zero"), moved)


def test_edges_of_a_slope_and_of_a_bowl() -> None:
    i, j = np.mgrid[:6.0, :7.0]
    inside = (slice(1, -1), slice(1, -1), 0)
    slope = 2 * i - 3 * j
    np.testing.assert_allclose(apply(slope, kernels.sobel(0))[inside], 2 * 8, atol=1e-4)
    np.testing.assert_allclose(apply(slope, kernels.sobel(1))[inside], -3 * 8, atol=1e-4)
    np.testing.assert_allclose(apply(slope, kernels.laplace())[inside], 0, atol=1e-4)
    np.testing.assert_allclose(apply(i**2 + 3 * j**2, kernels.laplace())[inside], 2 + 6, atol=1e-4)
    np.testing.assert_allclose(FILTERS["sobel"](slope)[inside], 8 * np.hypot(2, 3), rtol=1e-5)


@pytest.mark.parametrize(
    "kernel", [kernels.box(3), kernels.box(4), kernels.gaussian(1.5), kernels.sharpen(2.0)]
)
def test_blur_and_sharpen_leave_an_even_picture_alone(kernel: np.ndarray) -> None:
    np.testing.assert_allclose(apply(np.full((5, 6, 3), 0.3), kernel), 0.3, atol=1e-6)


def test_sharpen_deepens_an_edge() -> None:
    kernel = kernels.sharpen(0.5)
    np.testing.assert_array_equal(kernel, [[0, -0.5, 0], [-0.5, 3, -0.5], [0, -0.5, 0]])
    edge = np.repeat([[0.2, 0.2, 0.8, 0.8]], 3, axis=0)
    np.testing.assert_allclose(apply(edge, kernel)[1, :, 0], [0.2, -0.1, 1.1, 0.8], atol=1e-6)


def test_gaussian_has_its_width() -> None:
    kernel = kernels.gaussian(2.0, size=25)
    distance = np.arange(25) - 12
    assert kernel.sum() == pytest.approx(1)
    assert (kernel.sum(0) * distance**2).sum() == pytest.approx(4.0, rel=1e-3)
    np.testing.assert_allclose(kernel, kernel.T)
    assert kernels.gaussian(2.0).shape == (13, 13)


def test_colors_are_swapped_and_swapped_back() -> None:
    once = apply(PICTURE, kernels.swap_colors())
    np.testing.assert_array_equal(once, PICTURE[..., ::-1])
    np.testing.assert_array_equal(apply(once, kernels.swap_colors(size=3)), PICTURE)
    np.testing.assert_array_equal(apply(PICTURE, kernels.swap_colors((1, 2, 0))), PICTURE[..., [1, 2, 0]])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: kernels.sobel(2), "sobel: axis must be 0 (downward) or 1 (rightward), got 2"),
        (lambda: kernels.box(0), "box: size must be at least 1, got 0"),
        (lambda: kernels.gaussian(0.0), "gaussian: sigma must be above 0, got 0.0"),
        (lambda: kernels.gaussian(float("nan")), "gaussian: sigma must be above 0, got nan"),
        (lambda: kernels.gaussian(1.0, 0), "gaussian: size must be at least 1, got 0"),
        (lambda: kernels.swap_colors((0, 1, 1)), "order must contain 0, 1 and 2 once each, got (0, 1, 1)"),
        (lambda: kernels.swap_colors(size=0), "swap_colors: size must be at least 1, got 0"),
        (
            lambda: apply(np.zeros(4), kernels.box(3)),
            "image has shape (4,), expected (height, width, ",
        ),
        (lambda: apply(np.zeros((0, 4, 1)), kernels.box(3)), "image has shape (0, 4, 1)"),
        (
            lambda: apply(PICTURE, np.ones(3)),
            "kernel has shape (3,), expected (kh, kw) or (kh, ",
        ),
        (lambda: apply(PICTURE, np.ones((0, 3))), "kernel has shape (0, 3)"),
        (
            lambda: apply(np.zeros((4, 4)), kernels.swap_colors()),
            "image has 1 channels, but the kernel of",
        ),
        (
            lambda: apply(PICTURE, kernels.box(3), border=cast(Any, "wrap")),
            "must be 'repeat' or 'zero', got 'wrap'",
        ),
        (lambda: show(PICTURE, ["sobl"]), "unknown filter 'sobl'; did you mean 'sobel'?"),
        (lambda: show(PICTURE, []), "show: names no filter; known: sobel, laplace"),
        (
            lambda: show(PICTURE[..., :2], ["box"]),
            "show: image must have 1 or 3 channels",
        ),
        (lambda: show(PICTURE * np.nan, ["box"]), "finite values, got shape (7, 9, 3)"),
    ],
)
def test_what_cannot_be_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        wrong()
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def drawn_pictures(drawing: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Return the columns of a drawing in which more than 20 pixels have a color."""
    return np.flatnonzero((drawing == color).all(axis=2).sum(axis=0) > 20)


def test_the_drawing_has_the_picture_before_on_the_left_and_after_on_the_right() -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    drawing = show(red, ["swap"])
    assert drawing.dtype == np.uint8
    assert drawing.ndim == 3
    assert drawing.shape[2] == 3
    before, after = drawn_pictures(drawing, (255, 0, 0)), drawn_pictures(drawing, (0, 0, 255))
    assert len(before) > 100
    assert abs(len(after) - len(before)) <= 2
    assert before.max() < drawing.shape[1] / 2 < after.min()


def test_every_filter_is_drawn_and_more_take_more_room() -> None:
    one, all_of_them = show(PICTURE, ["box"]), show(PICTURE, list(FILTERS))
    assert all_of_them.shape[0] > 2 * one.shape[0]
    assert all_of_them.shape[1] > 1.5 * one.shape[1]


def test_an_even_picture_has_no_edges_and_can_be_drawn() -> None:
    for gray in np.linspace(0, 1, 20):  # some leave a rounding error, which is no edge
        assert np.all(np.asarray(FILTERS["laplace"].strength(np.full((4, 4), gray))) < 0.2)
    show(np.full((4, 4), 0.5), ["laplace", "sobel"])

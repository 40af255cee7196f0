"""What an autoencoder makes, to look at: its latent space, reconstructions, decoded quantiles."""

import warnings
from typing import Any

import numpy as np

from populace.core.media import Image, Visualization
from populace.images.autoencoders.bounds import ACTIVE, gaussian_kl
from populace.images.generative.pictures import class_name, enlarged, tiled
from populace.runs.figures import figure, label, to_image

_SIDE = 15
_POINTS = 2_000
_PAIRS = 10
_ROWS = 3


def all_of(learner: Any, model: Any) -> dict[str, Visualization]:
    """Return every picture that needs the latent, by name."""
    codes, answers = _codes(learner, model)
    return {
        "latent": latent_space(learner, codes, answers),
        "reconstructions": pairs(learner, model),
        "grid": quantile_grid(learner, model, codes),
    }


def latent_space(learner: Any, codes: np.ndarray, answers: np.ndarray | None) -> Image:
    """Draw the latents of images, colored by their label; more than two by their principal components."""
    of, names = learner._data.called("test"), learner._data.names
    axes_names = [f"latent {i + 1}" for i in range(2)]
    points, how = codes, ""
    if codes.shape[1] > 2:
        centered = codes - codes.mean(0)
        _, sizes, directions = np.linalg.svd(centered, full_matrices=False)
        points = centered @ directions[:2].T
        share = np.sum(sizes[:2] ** 2) / max(np.sum(sizes**2), 1e-12)
        how = f", two principal components with {100 * share:.0f} % of the variance"
        axes_names = [f"principal component {i + 1}" for i in range(2)]
    elif codes.shape[1] == 1:
        height = np.zeros(len(codes)) if answers is None else answers + np.linspace(-0.3, 0.3, len(codes))
        points, axes_names = np.column_stack([codes[:, 0], height]), ["latent 1", "label"]
    drawn, axis = figure(6.2, 5.2)
    size = 9 if len(points) > 1_000 else 24
    if answers is None:
        axis.scatter(*points.T, s=size, alpha=0.6, color="#1f77b4", linewidths=0)
    else:
        from matplotlib import colormaps

        classes = int(learner._data.outputs)
        palette = colormaps["tab10" if classes <= 10 else "turbo"]
        for number in range(classes):
            at, name = points[answers == number], names[number] if names else number
            color = palette(number if classes <= 10 else number / max(classes - 1, 1))
            axis.scatter(*at.T, s=size, alpha=0.7, color=color, label=label(name), linewidths=0)
        if classes <= 20:
            axis.legend(title="label", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axis.set(xlabel=axes_names[0], ylabel=axes_names[1])
    return to_image(drawn, f"Latent space: {len(codes):,} {of} images, encoded{how}")


def pairs(learner: Any, model: Any) -> Image:
    """Draw images and, below each, what the decoder makes of its latent."""
    x, told = _images(learner, _PAIRS * _ROWS)
    again = learner.reconstruct(model, x, told)
    blocks = [
        b for i in range(0, len(x), _PAIRS) for b in (_filled(x[i:][:_PAIRS]), _filled(again[i:][:_PAIRS]))
    ]
    binary = " (what the encoder is given: black and white)" if learner.black_and_white else ""
    of = learner._data.called("test")
    caption = f"Reconstructions: above {of} images{binary}, below each its reconstruction"
    return Image(enlarged(tiled(np.concatenate(blocks), _PAIRS)), caption)


def quantile_grid(learner: Any, model: Any, codes: np.ndarray) -> Image:
    """Draw what is decoded at the quantiles of one or two numbers of the latent, 15 of each."""
    count = codes.shape[1]
    if count == 1:
        levels = (np.arange(_SIDE * _SIDE) + 0.5) / (_SIDE * _SIDE)
        z, which = learner.latent_quantiles(codes, levels), "225 quantiles of the latent, row by row"
    else:
        first, second = sorted(np.argsort(-codes.var(0), kind="stable")[:2])
        levels = (np.arange(_SIDE) + 0.5) / _SIDE
        quantiles = learner.latent_quantiles(codes, levels)
        z = np.repeat(learner.latent_quantiles(codes, np.array([0.5])), _SIDE * _SIDE, 0)
        z[:, first] = np.tile(quantiles[:, first], _SIDE)
        z[:, second] = np.repeat(quantiles[::-1, second], _SIDE)
        which = f"15 x 15 quantiles of latents {first + 1} (to the right) and {second + 1} (upwards)"
        which += ", the two that vary most; the others at their median" if count > 2 else ""
    told = 0 if learner.conditional else None
    of = f", for class {label(class_name(learner, 0))}" if learner.conditional else ""
    return Image(enlarged(tiled(learner.decode(model, z, told), _SIDE)), f"Decoded at {which}{of}")


def information(learner: Any, model: Any) -> Image:
    """Draw the divergence of each latent, and warn of those that carry nothing."""
    x, told = _images(learner, _POINTS)
    mean, log_variance = learner.posterior(model, x, told)
    kl = np.asarray(gaussian_kl(mean, log_variance)).mean(0)
    active = mean.var(0) > ACTIVE
    order = np.argsort(-kl, kind="stable")
    drawn, axis = figure(6.2, 3.6)
    colors = np.where(active[order], "#1f77b4", "#b3261e")
    axis.bar(np.arange(len(kl)), kl[order], color=colors)
    axis.set(xlabel="latent, by its divergence", ylabel="KL divergence (nats)")
    if len(kl) <= 32:
        axis.set_xticks(range(len(kl)), [str(i + 1) for i in order])
    count = int(active.sum())
    caption = f"What each latent carries: {count} of {len(kl)} are active, {kl.sum():.2f} nats in all"
    if count < len(kl):
        collapse = (
            f"posterior collapse: {len(kl) - count} of {len(kl)} latents carry nothing (their mean hardly "
            "varies with the image); lower beta, lengthen beta_warmup, or take fewer latents"
        )
        warnings.warn(collapse, stacklevel=2)
        caption += f"; {collapse} (red)"
    return to_image(drawn, caption)


def _codes(learner: Any, model: Any) -> tuple[np.ndarray, np.ndarray | None]:
    x, told = _images(learner, _POINTS)
    answers = learner._data.answers("test")[:_POINTS]
    return learner.encode(model, x, told), answers if answers.ndim == 1 else None


def _images(learner: Any, most: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return images from 0 to 1 as the encoder knows them, and their classes if it is told of them."""
    x = np.asarray(learner._data.examples("test")[0][:most])
    x = learner.binarize(x) if learner.black_and_white else x
    return x / np.float32(255 if x.dtype == np.uint8 else 1), (
        learner._data.answers("test")[:most] if learner.conditional else None
    )


def _filled(row: np.ndarray) -> np.ndarray:
    """Return a row of images filled up with grey ones."""
    return np.concatenate([row, np.full((_PAIRS - len(row), *row.shape[1:]), 0.5, row.dtype)])

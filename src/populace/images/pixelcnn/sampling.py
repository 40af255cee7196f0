"""Samples of a PixelCNN, pixel by pixel, computing of every layer only the position that is new.

A masked convolution reads, for one position, some entries of the rows above and of its own row to the left.
So each layer keeps the last rows of its input, `kernel // 2 + 1` of them, and a position costs one product of
a window with the weight: for an image of P pixels P positions, in the place of P passes over P positions.

[`recomputed`][populace.images.pixelcnn.sampling.recomputed] is the definition: a whole pass for every pixel.
Both draw by the same keys, and give the same images.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.images.pixelcnn.network import PixelCNN, gated
from populace.images.pixelcnn.quantization import scaled
from populace.nn.conv.masked import MaskedConv2d, visible


class _Layer(NamedTuple):
    """A masked convolution at one position: masked weight (window, Cout), and bias."""

    weight: jax.Array
    bias: jax.Array


class _Block(NamedTuple):
    reduce: _Layer
    conv: _Layer
    expand: _Layer
    label: Any  # (images, channels), or 0


@eqx.filter_jit
def drawn(
    network: PixelCNN,
    conditions: Any,
    keys: jax.Array,
    temperature: Any,
    start: Any,
    known: Any,
) -> jax.Array:
    """Return sampled levels, (N, height, width, colors) int32.

    Args:
        network: the model.
        conditions: what it is told of each image, (N, classes).
        keys: one for each image.
        temperature: logits are divided by it; 0 takes the likeliest level.
        start: pixels before this one, in raster order, are not drawn but `known`.
        known: levels, (N, height, width, colors).

    """
    n, height, width, colors = known.shape
    first = _flat(network.enter)
    blocks = [
        _Block(
            _flat(b.reduce), _flat(b.conv), _flat(b.expand), jax.vmap(b.told)(conditions) if b.label else 0.0
        )
        for b in network.blocks
    ]
    mix, leave = _flat(network.mix), _flat(network.leave)
    sizes = [network.enter, *(b.conv for b in network.blocks)]
    caches = [_empty(n, width, layer) for layer in sizes]

    def logits(caches: list[jax.Array], column: jax.Array, pixel: jax.Array) -> tuple[list[jax.Array], Any]:
        new = [_written(caches[0], column, scaled(pixel, network.levels), network.enter)]
        h = _at(first, _window(new[0], column, network.enter))
        for block, layer, cache in zip(blocks, sizes[1:], caches[1:]):
            inside = jax.nn.relu(_at(block.reduce, jax.nn.relu(h)))
            new.append(_written(cache, column, inside, layer))
            a = _at(block.conv, _window(new[-1], column, layer)) + block.label
            h = h + _at(block.expand, gated(a, colors))
        out = _at(leave, jax.nn.relu(_at(mix, jax.nn.relu(h))))
        return new, out.reshape(n, colors, network.levels)

    def position(column: jax.Array, carry: Any) -> Any:
        caches, images, row = carry
        place = row * width + column
        pixel = jnp.where(place < start, images[:, row, column], 0)
        for color in range(colors):
            # Of a color that is not drawn yet nothing is read: it is masked, here and in what is kept.
            caches, out = logits(caches, column, pixel)
            level = _draw(out[:, color], keys, place * colors + color, temperature)
            pixel = pixel.at[:, color].set(jnp.where(place < start, pixel[:, color], level))
        caches[0] = _written(caches[0], column, scaled(pixel, network.levels), network.enter)
        return caches, images.at[:, row, column].set(pixel), row

    def one_row(row: jax.Array, carry: Any) -> Any:
        caches, images = carry
        caches = [jnp.concatenate([c[:, 1:], jnp.zeros_like(c[:, :1])], 1) for c in caches]
        return jax.lax.fori_loop(0, width, position, (caches, images, row))[:2]

    return jax.lax.fori_loop(0, height, one_row, (caches, known))[1]


@eqx.filter_jit
def recomputed(
    network: PixelCNN,
    conditions: Any,
    keys: jax.Array,
    temperature: Any,
    start: Any,
    known: Any,
) -> jax.Array:
    """Return what `drawn` returns, by a pass of the network over whole images for every pixel and color."""
    _, height, width, colors = known.shape

    def step(number: jax.Array, images: jax.Array) -> jax.Array:
        place, color = number // colors, number % colors
        row, column = place // width, place % width
        logits = jax.vmap(network)(scaled(images, network.levels), conditions)[:, row, column, color]
        level = _draw(logits, keys, number, temperature)
        return images.at[:, row, column, color].set(
            jnp.where(place < start, images[:, row, column, color], level)
        )

    return jax.lax.fori_loop(0, height * width * colors, step, known)


def _draw(logits: jax.Array, keys: jax.Array, number: Any, temperature: Any) -> jax.Array:
    """Return a level of each image, (N,), by its logits (N, levels): by Gumbel noise of its own key."""
    noise = jax.vmap(lambda key: jax.random.gumbel(jax.random.fold_in(key, number), logits.shape[1:]))(keys)
    return jnp.argmax(logits + temperature * noise, -1).astype(jnp.int32)


def _flat(layer: MaskedConv2d) -> _Layer:
    weight = layer.weight * visible(layer.weight.shape, layer.mask, layer.colors)
    return _Layer(weight.reshape(-1, weight.shape[-1]), layer.bias)


def _at(layer: _Layer, x: jax.Array) -> jax.Array:
    return x @ layer.weight + layer.bias


def _empty(n: int, width: int, layer: MaskedConv2d) -> jax.Array:
    """Return the last rows of a layer's input, with the zeros around it, before the first row."""
    rows, columns, channels, _ = layer.weight.shape
    return jnp.zeros((n, rows, width + columns - 1, channels))


def _written(cache: jax.Array, column: jax.Array, x: jax.Array, layer: MaskedConv2d) -> jax.Array:
    """Return the rows with the new position of the last one."""
    rows, columns = layer.weight.shape[:2]
    at = (0, rows - 1, column + columns // 2, 0)
    return jax.lax.dynamic_update_slice(cache, x[:, None, None], at)


def _window(cache: jax.Array, column: jax.Array, layer: MaskedConv2d) -> jax.Array:
    """Return what a layer reads for the new position, (N, window)."""
    n, rows, _, channels = cache.shape
    columns = layer.weight.shape[1]
    return jax.lax.dynamic_slice(cache, (0, 0, column, 0), (n, rows, columns, channels)).reshape(n, -1)

"""Samples of a diffusion model: from noise to images, by DDPM or DDIM, with guidance."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.images.diffusion.process import Process, clipped, image_of, step_back


def guided(network: Any, x: jax.Array, time: jax.Array, conditions: jax.Array, guidance: Any) -> jax.Array:
    """Return outputs of a batch, `u + guidance (c - u)`: c is told the class, u of none.

    1 is the model that is told, 0 the one that is not, and above 1 the class is stressed. In the letters of
    Ho and Salimans 2022, "Classifier-Free Diffusion Guidance", guidance is 1 + w.
    """
    use = jax.vmap(network, (0, None, 0))
    told = use(x, time, conditions)
    if not conditions.shape[-1] or (isinstance(guidance, float) and guidance == 1):
        return told
    untold = use(x, time, jnp.zeros_like(conditions))
    return untold + guidance * (told - untold)


@eqx.filter_jit
def drawn(
    network: Any,
    process: Process,
    prediction: str,
    conditions: Any,
    keys: jax.Array,
    times: jax.Array,
    shape: tuple[int, ...],
    eta: Any,
    guidance: Any,
    temperature: Any,
    watched: bool = True,
) -> tuple[jax.Array, jax.Array | None]:
    """Return images from -1 to 1, (N, *shape), and x_t before each step, (steps, N, *shape), if `watched`.

    Args:
        network: from x_t, the time from 0 to 1,000, and a condition to a prediction.
        process: the noise schedule.
        prediction: of the network: eps, x0 or v.
        conditions: what it is told of each image, (N, classes).
        keys: one for each image; the noise of step i has the key folded with i + 1.
        times: falling, each from 1 to T; after the last comes 0.
        shape: of an image.
        eta: 0 for DDIM, which draws nothing after its start; 1 for DDPM.
        guidance: see `guided`; a float of 1 saves half of the work.
        temperature: factor on all noise that is drawn.
        watched: whether the way is kept, which takes `steps` times the memory of the images.

    """

    def noise(number: jax.Array) -> jax.Array:
        return jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, number), shape))(keys)

    def one(x: jax.Array, step: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, Any]:
        number, now, then = step
        at, to = process.at(now), process.at(then)
        time = now * (1_000 / (len(process.signal) - 1))
        output = guided(network, x, time, conditions, guidance)
        x0, eps = clipped(image_of(prediction, output, x, *at), x, *at)
        after = step_back(x0, eps, at, to, eta, temperature * noise(number + 1))
        return after, x if watched else None

    steps = (jnp.arange(len(times)), times, jnp.append(times[1:], 0))
    return jax.lax.scan(one, temperature * noise(jnp.int32(0)), steps)

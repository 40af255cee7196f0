"""Polyak averaging: a target network that follows the online network slowly."""

from typing import Any

import equinox as eqx
import jax

from populace.nn.primitives.buffer import trainable


def polyak(target: Any, network: Any, tau: jax.Array) -> Any:
    """Return the target network moved towards the online one: `w' <- w' + tau (w - w')`.

    Buffers, such as running statistics, are those of the online network.

    Args:
        target: network with the weights w'.
        network: one of the same structure, with the weights w.
        tau: from 0, which leaves the target as it is, to 1, which copies the weights.

    Source: Lillicrap et al. 2016, "Continuous Control with Deep Reinforcement Learning", algorithm 1.

    """
    online, rest = eqx.partition(network, trainable(network))
    ours = eqx.filter(target, trainable(target))
    return eqx.combine(jax.tree.map(lambda t, n: t + tau * (n - t), ours, online), rest)

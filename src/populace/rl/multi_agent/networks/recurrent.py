"""Recurrent networks of all agents of a team: what each saw before is in a hidden state of its own."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.nn.recurrent.cells import GRUCell
from populace.rl.multi_agent.networks.agents import AgentNetworks, with_ids
from populace.rl.networks.mlp import Network, orthogonal


class _Recurrent(eqx.Module):
    """`y = head(h'), h' = gru(embed(x), h)` over any number of leading axes."""

    embed: Network
    cell: GRUCell
    head: Network

    def __init__(
        self, inputs: int, hidden: tuple[int, ...], outputs: int, gain: float, activation: str, key: jax.Array
    ) -> None:
        embed_key, cell_key, orthogonal_key, head_key = jax.random.split(key, 4)
        width = hidden[-1]
        self.embed = Network(inputs, hidden[:-1], width, 2**0.5, activation, embed_key)
        blocks = [orthogonal(k, width, width) for k in jax.random.split(orthogonal_key, 3)]
        make: Any = GRUCell
        # in the place of the cell's own, for the sake of two devices: see `orthogonal`
        self.cell = eqx.tree_at(lambda c: c.W_h, make(width, width, key=cell_key), jnp.concatenate(blocks, 1))
        self.head = Network(width, (), outputs, gain, activation, head_key)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        u = jnp.tanh(self.embed(x)) @ self.cell.W_u
        a = self.cell.join(u, h @ self.cell.W_h) + self.cell.b_h
        flat = lambda v: v.reshape(-1, v.shape[-1])  # noqa: E731
        (after,), _ = jax.vmap(self.cell.step)((flat(h),), flat(a))
        after = after.reshape(h.shape)
        return self.head(after), after


class RecurrentNetworks(eqx.Module):
    """GRU networks from inputs (..., N, F) and hidden states (..., N, H) to outputs and the next states.

    Hidden layers before the last embed the input; the width of the last one is H. Sharing and ids are those
    of `AgentNetworks`.
    """

    body: _Recurrent
    sharing: bool = eqx.field(static=True)
    ids: bool = eqx.field(static=True)

    def __init__(
        self, team: int, inputs: int, hidden: tuple[int, ...], outputs: int, *,
        sharing: bool, ids: bool, activation: str, gain: float = 1.0, key: jax.Array,
    ) -> None:  # fmt: skip
        """Make the networks; `gain` scales the last layer."""
        self.sharing, self.ids = sharing, ids and sharing
        width = inputs + (team if self.ids else 0)

        def one(key: jax.Array) -> _Recurrent:
            return _Recurrent(width, hidden, outputs, gain, activation, key)

        self.body = one(key) if sharing else eqx.filter_vmap(one)(jax.random.split(key, team))

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Take one step of time."""
        if self.sharing:
            return self.body(with_ids(x) if self.ids else x, h)
        each = eqx.filter_vmap(
            lambda body, x, h: body(x, h), in_axes=(eqx.if_array(0), -2, -2), out_axes=(-2, -2)
        )
        return each(self.body, x, h)


AnyNetworks = AgentNetworks | RecurrentNetworks


def step(networks: AnyNetworks, x: jax.Array, h: Any) -> tuple[jax.Array, Any]:
    """Return the outputs (..., N, outputs) and the next hidden states: the same, of networks without any."""
    return networks(x, h) if isinstance(networks, RecurrentNetworks) else (networks(x), h)


def unroll(networks: AnyNetworks, x: jax.Array, h: jax.Array, done: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the outputs of T steps, and the hidden states after each.

    Args:
        networks: the networks of N agents.
        x: inputs, (T, E, N, F).
        h: hidden states before the first step, (E, N, H).
        done: whether step t ended an episode, (T, E): the hidden state before step t + 1 is 0 then, and
            only then.

    """
    if not isinstance(networks, RecurrentNetworks):
        return networks(x), jnp.broadcast_to(h, (len(x), *h.shape))

    def one(h: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        x, done = now
        y, after = networks(x, h)
        return forget(after, done), (y, after)

    return jax.lax.scan(one, h, (x, done))[1]


def forget(h: jax.Array, done: jax.Array) -> jax.Array:
    """Return hidden states (E, N, H) set to 0 where an episode (E,) ended."""
    return jnp.where(done[:, None, None], 0.0, h)

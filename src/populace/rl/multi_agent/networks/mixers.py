"""Mixers: from the values of the agents' own actions to the value of the joint action."""

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.rl.networks.mlp import Network


class MonotonicMixer(eqx.Module):
    r"""A two-layer network whose weights follow from the global state, and are not negative (QMIX, 2018).

        h = elu(q |W_1(s)| + b_1(s));    Q_tot = h . |w_2(s)| + V(s)

    for q = (Q_1, ..., Q_N), E units and hypernetworks W_1, b_1, w_2 linear in s, V with one hidden layer. As
    weights are not negative and elu rises, dQ_tot / dQ_i >= 0: the greedy actions of the agents are together
    the greedy joint action.
    """

    weights: Network
    biases: Network
    output: Network
    offset: Network
    team: int = eqx.field(static=True)
    units: int = eqx.field(static=True)

    def __init__(self, team: int, state_size: int, units: int, key: jax.Array) -> None:
        """Make the hypernetworks of a team of N agents, a state of S numbers and E units."""
        self.team, self.units = team, units
        keys = jax.random.split(key, 4)

        def linear(outputs: int, key: jax.Array) -> Network:
            return Network(state_size, (), outputs, 1.0, "relu", key)

        self.weights, self.biases = linear(team * units, keys[0]), linear(units, keys[1])
        self.output = linear(units, keys[2])
        self.offset = Network(state_size, (units,), 1, 1.0, "relu", keys[3])

    def __call__(self, values: jax.Array, state: jax.Array) -> jax.Array:
        """Mix values (B, N) by global states (B, S): (B,)."""
        weights = jnp.abs(self.weights(state)).reshape(-1, self.team, self.units)
        hidden = jax.nn.elu(jnp.einsum("bn,bne->be", values, weights) + self.biases(state))
        return jnp.sum(hidden * jnp.abs(self.output(state)), -1) + self.offset(state)[:, 0]

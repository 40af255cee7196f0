"""Networks of all agents of a team: one that they share, told apart by their number, or one each."""

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.rl.multi_agent.task import MultiAgentTask
from populace.rl.networks.mlp import Network


class AgentNetworks(eqx.Module):
    """Multilayer perceptrons from the inputs of N agents (..., N, F) to (..., N, outputs).

    With `sharing` all agents have one network, and `ids` append the number of the agent, one-hot, to its
    inputs: identical inputs without ids give identical outputs. Without sharing each has weights of its own,
    with a leading axis of N.
    """

    body: Network
    team: int = eqx.field(static=True)
    sharing: bool = eqx.field(static=True)
    ids: bool = eqx.field(static=True)

    def __init__(
        self, team: int, inputs: int, hidden: tuple[int, ...], outputs: int, *,
        sharing: bool, ids: bool, activation: str, gain: float = 1.0, key: jax.Array,
    ) -> None:  # fmt: skip
        """Make the networks; `gain` scales the last layer."""
        self.team, self.sharing, self.ids = team, sharing, ids and sharing
        width = inputs + (team if self.ids else 0)

        def one(key: jax.Array) -> Network:
            return Network(width, hidden, outputs, gain, activation, key)

        self.body = one(key) if sharing else eqx.filter_vmap(one)(jax.random.split(key, team))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (..., N, F) to (..., N, outputs)."""
        if self.sharing:
            return self.body(with_ids(x) if self.ids else x)
        each = eqx.filter_vmap(lambda body, own: body(own), in_axes=(eqx.if_array(0), -2), out_axes=-2)
        return each(self.body, x)


def with_ids(x: jax.Array) -> jax.Array:
    """Append the number of each agent, one-hot: (..., N, F) to (..., N, F + N)."""
    team = x.shape[-2]
    return jnp.concatenate([x, jnp.broadcast_to(jnp.eye(team), (*x.shape[:-1], team))], -1)


def check_sharing(task: MultiAgentTask, sharing: bool) -> None:
    """Raise a `UsageError` where parameters are to be shared by agents of different spaces."""
    if sharing and not task.alike:
        spaces = ", ".join(
            f"{agent}: {f} numbers, {a} actions"
            for agent, f, a in zip(task.agents, task.observation_sizes, task.actions)
        )
        raise UsageError(
            f"the agents of '{task.name}' have different spaces ({spaces}) and cannot share parameters; "
            "set parameter_sharing to false"
        )

"""Parallel learners whose networks are averaged at intervals, against one learner on all the experience.

Averaging parameters between rounds of local learning is by McDonald, Hall & Mann 2010 ("Distributed training
strategies for the structured perceptron"); with networks it is federated averaging (McMahan et al. 2017).
Here the networks are action values and each learner gathers its part of the experience itself.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.rl.agents.dqn import DQN
from populace.rl.agents.off_policy import AnyQNetwork, State
from populace.rl.environments.stepping import EnvLoopState

_SHARED_OUT = ("num_envs", "batch_size", "replay_storage", "warmup")


class Part(DQN):
    """One of k learners; its schedules count k times its own frames and episodes, an estimate of all."""

    learners: int = setting(1, low=1, help="learners that gather experience in parallel")

    def clock(self, acting: EnvLoopState) -> tuple[jax.Array, jax.Array]:
        """Return k times the frames and episodes of this learner."""
        return acting.frames * self.learners, acting.episodes * self.learners


class AveragedDQN(DQN):
    r"""k DQN learners, each on its own part of the experience, averaged every `average_every` iterations.

        theta_i = 1/k sum_j theta_j,  theta_target_i = 1/k sum_j theta_target_j     for i = 1..k

    The settings are those of all learners together: `num_envs`, `batch_size`, `replay_storage`,
    `replay_capacity` and
    `warmup` are shared out evenly. So whatever k, as many frames are seen and as many transitions learned
    from, and k = 1 is [`DQN`][populace.rl.DQN], one learner on all of it. They start from one network.
    Optimizers keep their own moments. The averaged network is the one that is evaluated.
    """

    learners: int = setting(4, low=1, help="k, learners that the experience is divided among")
    average_every: int = setting(100, low=1, help="iterations between averages")

    @property
    def part(self) -> Part:
        """One of the k learners, with its share of everything."""
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(DQN)}  # pyright: ignore
        shares = {name: given[name] // self.learners for name in _SHARED_OUT}
        shares["replay_capacity"] = self.replay_capacity / self.learners
        return Part(**(given | shares), learners=self.learners)

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit each other, or cannot be divided evenly."""
        super().check()
        for name in _SHARED_OUT:
            if (whole := getattr(self, name)) % self.learners:
                raise UsageError(
                    f"{name} {whole} cannot be shared out evenly among {self.learners} learners; "
                    f"take a multiple of {self.learners}"
                )
        self.part.check()

    def init(self, key: jax.Array) -> State:
        """Return k stacked learners with the same network and environments of their own."""
        whole = eqx.filter_vmap(lambda k: self.part.init(k))(self._keys(key))
        network = _over_arrays(lambda x: jnp.broadcast_to(x[:1], x.shape), whole.network)
        return eqx.tree_at(lambda s: (s.network, s.target), whole, (network, network))

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take one iteration of every learner, and average the networks if it is due."""
        state, metrics = eqx.filter_vmap(lambda s, k: self.part.step(s, k))(state, self._keys(key))
        if self.learners > 1:
            iteration = state.acting.frames[0] // self.part.units_per_step
            due = iteration % self.average_every == 0
            models = (state.network, state.target)
            mixed = _over_arrays(lambda x: jnp.where(due, jnp.mean(x, 0, keepdims=True), x), models)
            state = eqx.tree_at(lambda s: (s.network, s.target), state, mixed)
        summed: Any = jax.tree.map(lambda x: jnp.sum(x, axis=0), metrics)
        return state, dict(summed) | {"apart": Mean(spread(state.network))}

    def model(self, state: State) -> AnyQNetwork:
        """Return the average network."""
        return _over_arrays(lambda x: jnp.mean(x, axis=0), state.network)

    def with_model(self, state: State, model: AnyQNetwork) -> State:
        """Return a fresh state in which all learners and their targets begin with one network."""
        spread_out = lambda x: jnp.broadcast_to(x, (self.learners, *x.shape))  # noqa: E731
        network = _over_arrays(spread_out, model)
        return eqx.tree_at(lambda s: (s.network, s.target), state, (network, network))

    def _keys(self, key: jax.Array) -> jax.Array:
        """Return a key for each learner; one learner alone has the key itself, as DQN has."""
        return key[None] if self.learners == 1 else jax.random.split(key, self.learners)


def spread(networks: AnyQNetwork) -> jax.Array:
    """Return how far stacked networks lie apart: the root mean square distance of a weight from its mean."""
    leaves = jax.tree.leaves(eqx.filter(networks, eqx.is_inexact_array))
    squares = sum(jnp.sum(jnp.var(x, axis=0)) for x in leaves)
    return jnp.sqrt(squares / sum(x[0].size for x in leaves))


def _over_arrays(change: Callable[[jax.Array], jax.Array], tree: Any) -> Any:
    """Return a tree with its floating-point arrays changed."""
    return jax.tree.map(lambda x: change(x) if eqx.is_inexact_array(x) else x, tree)

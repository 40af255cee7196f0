"""Games of two agents with one reward for both, given by matrices: cooperation with known answers.

Claus & Boutilier 1998, "The Dynamics of Reinforcement Learning in Cooperative Multiagent Systems" (climbing
and penalty); Rashid et al. 2018, "QMIX", section 5 (the two-step game).
"""

from abc import abstractmethod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.rl.environments.worlds import checks
from populace.rl.multi_agent.environments.world import MultiAgentWorld, WorldState
from populace.rl.multi_agent.task import View

CLIMBING = ((11, -30, 0), (-30, 7, 0), (0, 6, 5))


class _Game(MultiAgentWorld):
    """Two agents; both get the same reward, and see which state the game is in, one-hot."""

    shared_reward = True
    agents = ("player_0", "player_1")
    states: int = 1

    @abstractmethod
    def index(self, state: Any) -> jax.Array:
        """Return the index of a state."""

    @property
    def bounds(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """One-hot vectors."""
        return ((np.zeros(self.states, np.float32), np.ones(self.states, np.float32)),) * 2

    def view(self, state: Any) -> View:
        """Return the index of the state, one-hot, to both agents and as the global state."""
        seen = jax.nn.one_hot(self.index(state), self.states)
        return self.everyone(jnp.stack([seen, seen]), len(self.actions[0]), seen)


class MatrixGame(_Game):
    """A game of one state, played `horizon` times: the reward of both is `payoff[a_1, a_2]`."""

    def __init__(self, payoff: Any, horizon: int) -> None:
        """Create the game of a square matrix of payoffs, as rows."""
        self.payoff = np.asarray(payoff, np.float32)
        self.horizon = checks.whole(self.name, "horizon", horizon, 1)
        self.actions = (tuple(map(str, range(len(self.payoff)))),) * 2

    def index(self, state: WorldState) -> jax.Array:
        """Return 0: there is one state."""
        return jnp.zeros_like(state.time)

    def reset(self, key: jax.Array) -> WorldState:
        """Return the start."""
        del key
        return WorldState(jnp.int32(0))

    def step(self, key: jax.Array, state: WorldState, action: jax.Array) -> Any:
        """Pay both agents."""
        del key
        row, column = jax.nn.one_hot(action, len(self.payoff))
        paid = row @ self.payoff @ column
        return WorldState(state.time + 1), jnp.stack([paid, paid]), {}


class Climbing(MatrixGame):
    """Climbing: [[11, -30, 0], [-30, 7, 0], [0, 6, 5]]; whoever deviates alone from the best pair loses 30.

    Additive values cannot show it: their least-squares fit to all nine cells is largest at (2, 2), with
    8.778, which pays 5.
    """

    def __init__(self, horizon: int = 25) -> None:
        """Create the game, played `horizon` times an episode."""
        super().__init__(CLIMBING, horizon)


class Penalty(MatrixGame):
    """Penalty: [[10, 0, -k], [0, 2, 0], [-k, 0, 10]]: two best pairs, and a penalty for mixing them up.

    For k = 25 the additive least-squares fit is largest at (1, 1), with 4.444, which pays 2.
    """

    def __init__(self, k: float = 25.0, horizon: int = 25) -> None:
        """Create the game.

        Args:
            k: what disagreement costs, at least 0.
            horizon: plays an episode.

        """
        self.k = checks.real(self.name, "k", k, low=0)
        super().__init__(((10, 0, -self.k), (0, 2, 0), (-self.k, 0, 10)), horizon)


class _TwoStepState(WorldState):
    index: jax.Array


class TwoStep(_Game):
    """The first agent's first action chooses what is paid in the second step: 7, or [[0, 1], [1, 8]].

    States are 0 (the choice), 1 (always 7) and 2. The best return is 8. Additive values fit the second matrix
    with 6.5 at most where all joint actions are tried alike, so they choose the first: VDN gets 7, QMIX 8.
    """

    states = 3
    horizon = 2
    actions = (("0", "1"),) * 2

    def index(self, state: _TwoStepState) -> jax.Array:
        """Return the index of a state."""
        return state.index

    def reset(self, key: jax.Array) -> _TwoStepState:
        """Return the choice."""
        del key
        return _TwoStepState(jnp.int32(0), jnp.int32(0))

    def step(self, key: jax.Array, state: _TwoStepState, action: jax.Array) -> Any:
        """Choose the matrix, or be paid by it."""
        del key
        both = action[0] + action[1]
        second = jnp.where(both == 2, 8.0, jnp.where(both == 1, 1.0, 0.0))
        paid = jnp.where(state.index == 0, 0.0, jnp.where(state.index == 1, 7.0, second))
        index = jnp.where(state.index == 0, 1 + action[0], state.index).astype(jnp.int32)
        return _TwoStepState(state.time + 1, index), jnp.stack([paid, paid]), {}

    def terminated(self, state: _TwoStepState) -> jax.Array:
        """Return whether both steps were taken."""
        return state.time >= 2

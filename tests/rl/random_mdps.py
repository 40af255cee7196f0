"""Random MDPs for the tests of planning and of Bellman operators."""

import numpy as np

from populace.rl.planning.mdp import MDP


def random_mdp(seed: int, states: int = 6, actions: int = 3, discount: float = 0.9) -> MDP:
    """Return one with sparse transitions, a terminal state, and actions that may end the task."""
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.full(states, 0.3), size=(states, actions))
    termination = np.where(random.random((states, actions)) < 0.2, 0.3, 0.0)
    return MDP(
        p * (1 - termination[..., None]), random.normal(size=(states, actions)), discount,
        terminal=[states - 1], termination=termination,
    )  # fmt: skip


def random_policy(seed: int, mdp: MDP) -> np.ndarray:
    """Return pi(a | s), (S, A)."""
    return np.random.default_rng(seed).dirichlet(np.ones(mdp.actions), size=mdp.states)

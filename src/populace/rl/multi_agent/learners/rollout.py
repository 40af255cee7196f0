"""What policy-gradient learners of several agents carry, and the rollouts that they learn from."""

from typing import Any

import equinox as eqx
import jax

from populace.rl.agents.running_statistics import Moments
from populace.rl.multi_agent.networks.recurrent import AnyNetworks
from populace.rl.multi_agent.stepping import TeamLoopState
from populace.rl.multi_agent.task import View


class Model(eqx.Module):
    """The networks: policies, and critics, whose values are in units of the running deviation of targets."""

    actor: AnyNetworks
    critic: AnyNetworks
    targets: Moments | None


class Hidden(eqx.Module):
    """Hidden states of policies and critics, (E, N, H); of networks without any, zeros with H = 1."""

    actor: jax.Array
    critic: jax.Array


class State(eqx.Module):
    """What training carries."""

    model: Model
    opt_state: Any
    hidden: Hidden
    acting: TeamLoopState


class Rollout(eqx.Module):
    """T steps in E environments; leaves are (T, E, ...), those of `hidden` (E, N, H), before the first step.

    Attributes:
        view: what the agents saw.
        action: what they did, (T, E, N).
        log_probability: of that, (T, E, N).
        value: as estimated then, in units of rewards, (T, E, N).
        next_value: of what was seen next, before any reset, (T, E, N).
        reward: what each agent's value foretells, (T, E, N).
        terminated: whether the agent's part ended, by the end of the game or its death, (T, E, N).
        ended: whether the agent's part ended, by any of these or a time limit, (T, E, N).
        done: whether the episode ended, (T, E).
        hidden: hidden states before the first step.

    """

    view: View
    action: jax.Array
    log_probability: jax.Array
    value: jax.Array
    next_value: jax.Array
    reward: jax.Array
    terminated: jax.Array
    ended: jax.Array
    done: jax.Array
    hidden: Hidden

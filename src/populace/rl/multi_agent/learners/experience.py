"""What learners with deep action values of several agents store, and what their training carries."""

from typing import Any

import equinox as eqx
import jax

from populace.rl.buffers.replay import Replay
from populace.rl.multi_agent.networks.recurrent import AnyNetworks
from populace.rl.multi_agent.stepping import TeamLoopState
from populace.rl.multi_agent.task import View


class Experience(eqx.Module):
    """One joint step: what all N agents saw, did and got, and what they saw next, before any reset.

    Attributes:
        view: what they saw.
        action: what they did, (N,).
        reward: what each got, (N,).
        after: what they saw next.
        terminated: whether the game ended, ().
        done: whether the episode ended, (); None of networks without memory, as `hidden`.
        hidden: hidden states before the step, (N, H).

    """

    view: View
    action: jax.Array
    reward: jax.Array
    after: View
    terminated: jax.Array
    done: jax.Array | None = None
    hidden: jax.Array | None = None


class Networks(eqx.Module):
    """The networks of the agents, and what joins their values; both are trained by one optimizer."""

    agents: AnyNetworks
    mixer: Any


class State(eqx.Module):
    """What training carries.

    Attributes:
        online: networks that are trained, and act.
        target: networks of the targets.
        opt_state: of the optimizer.
        replay: stored joint steps.
        acting: the environments' states.
        hidden: hidden states of the agents, (E, N, H); None of networks without any.

    """

    online: Networks
    target: Networks
    opt_state: Any
    replay: Replay
    acting: TeamLoopState
    hidden: jax.Array | None

"""Team: what all learners of several agents share: evaluation, roles, film and policy."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core import settings
from populace.core.errors import UsageError
from populace.core.learner import ExternalEvaluator, Learner
from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.settings import setting
from populace.core.untrusted.shown import shown
from populace.rl.environments import names as naming
from populace.rl.multi_agent import registry
from populace.rl.multi_agent.environments import peers
from populace.rl.multi_agent.task import MultiAgentTask, View


class Team(Learner):
    """A learner of several agents in one environment; a step of all agents together is a frame."""

    unit: ClassVar[str] = "frames"
    score: ClassVar[str] = "return"
    evaluation_unit: ClassVar[str] = "episodes"

    env: str = setting("CleaningRobots-v0", help="environment of several agents", advice=naming.ADVICE)
    evaluation_episodes: int = setting(32, low=1, help="greedy episodes per evaluation")

    @abstractmethod
    def act(self, model: Any, view: View, memory: Any) -> tuple[jax.Array, Any]:
        """Return the greedy actions (E, N) of views with a leading axis of E, and the memory after them."""

    def memory(self, copies: int) -> Any:
        """Return what the agents remember at the start of so many episodes; by default nothing."""
        del copies

    @property
    def task(self) -> MultiAgentTask:
        """The environment."""
        return registry.make(self.env)

    @property
    def max_steps(self) -> int:
        """The largest number of iterations whose frames an integer of 32 bits counts."""
        return (2**31 - 1) // self.units_per_step

    @property
    def task_name(self) -> str:
        """The environment."""
        return self.env

    def check(self) -> None:
        """Raise a `UsageError` if there is no such environment, or it does not do what it says."""
        registry.make(self.env)

    def for_test(self, size: int) -> Self:
        """Return the team that is evaluated on `size` episodes."""
        return settings.replace(self, "evaluation_episodes", size)

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Play greedy episodes, each to its end: mean `return` and `length`, and who did what."""
        total, length, last, events = self.episodes(state, key, self.evaluation_episodes)
        weight = jnp.float32(self.evaluation_episodes)
        metrics = {"return": Mean(total.sum(), weight), "length": Mean(length.sum(), weight)}
        return metrics | self.task.environment.outcomes(last, events, length)

    def evaluation_cost(self, metrics: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return the frames of the evaluated episodes."""
        return metrics["length"] * self.evaluation_episodes if "length" in metrics else None

    def episodes(self, model: Any, key: jax.Array, copies: int) -> tuple[jax.Array, jax.Array, Any, Any]:
        """Play greedy episodes in parallel, each to its end.

        Returns:
            returns of the team and lengths (copies,), last states, and sums of events (copies, N).

        """
        task = self.task
        reset_key, step_key = jax.random.split(key)
        view, env_state = task.reset(reset_key, copies)
        advance = jax.vmap(task.advance)
        joint = jnp.zeros((copies, task.team), jnp.int32)
        keys = jax.random.split(step_key, copies)
        events = jax.tree.map(
            lambda x: jnp.zeros(x.shape, jnp.float32),
            jax.eval_shape(lambda k, s, a: advance(k, s, a).events, keys, env_state, joint),
        )

        def going(loop: Any) -> jax.Array:
            return ~jnp.all(loop[4]) & (loop[0] < task.horizon)

        def step(loop: Any) -> Any:
            t, view, env_state, memory, done, total, length, events = loop
            action, memory = self.act(model, view, memory)
            moved = advance(jax.random.split(jax.random.fold_in(step_key, t), copies), env_state, action)

            def kept(new: Any, old: Any) -> Any:  # what is over stays as it ended
                return jax.tree.map(
                    lambda n, o: jnp.where(done.reshape(-1, *[1] * (n.ndim - 1)), o, n), new, old
                )

            total = total + jnp.where(done, 0.0, task.team_reward(moved.reward))
            events = jax.tree.map(lambda s, x: s + jnp.where(done[:, None], 0.0, x), events, moved.events)
            length = length + ~done
            view, env_state = kept((moved.view, moved.env_state), (view, env_state))
            over = done | moved.terminated | moved.truncated
            return t + 1, view, env_state, memory, over, total, length, events

        nothing = jnp.zeros(copies)
        start = (
            jnp.int32(0), view, env_state, self.memory(copies), nothing > 0, nothing, nothing, events,
        )  # fmt: skip
        loop = jax.lax.while_loop(going, step, start)
        return loop[5], loop[6], loop[2], loop[7]

    def act_on_host(self, model: Any) -> Callable[[View, Any], tuple[Any, Any]]:
        """Return the greedy policy as a compiled function of views (E, ...) and memory."""
        act = eqx.filter_jit(lambda model, view, memory: self.act(model, view, memory))
        return lambda view, memory: act(model, view, memory)

    def predictor(self, model: Any) -> Callable[..., np.ndarray]:
        """Return the greedy policy of observations (N, F) or (E, N, F), each episode at its start.

        A second argument may be the masks of available actions, (N, A) or (E, N, A).
        """
        act, task = self.act_on_host(model), self.task

        def policy(observation: Any, available: Any = None) -> np.ndarray:
            try:
                seen = np.asarray(observation, np.float32)
            except (TypeError, ValueError):
                raise UsageError(f"observations must be numbers, got {shown(observation)}") from None
            if seen.shape[-2:] != (task.team, task.features) or seen.ndim not in (2, 3):
                raise UsageError(
                    f"observations must have shape ({task.team}, {task.features}) or (episodes, {task.team}, "
                    f"{task.features}), got {seen.shape}"
                )
            batch = seen.reshape(-1, task.team, task.features)
            free = np.asarray([[a < n for a in range(task.most_actions)] for n in task.actions])
            mask = free if available is None else np.asarray(available, bool)
            if mask.shape not in (free.shape, (len(batch), *free.shape)):
                raise UsageError(
                    f"masks of available actions must have shape {free.shape}, or "
                    f"{(len(batch), *free.shape)} for these observations, got {mask.shape}"
                )
            if not mask.any(-1).all():
                agent = task.agents[int(np.argwhere(~mask.any(-1))[0][-1])]
                raise UsageError(f"the mask leaves agent '{agent}' no available action")
            masks = np.broadcast_to(mask, (len(batch), *free.shape))
            whole = np.ones((len(batch), task.team), bool)
            state = np.zeros((len(batch), task.state_size), np.float32)  # no agent acts by it
            view = View(*map(jnp.asarray, (batch, masks, whole, whole, state)))
            actions = np.asarray(act(view, self.memory(len(batch)))[0])
            return actions[0] if seen.ndim == 2 else actions

        return policy

    def external_evaluators(self) -> dict[str, ExternalEvaluator]:
        """Return the environment that this one equals, of another package, where it is installed."""
        peer = peers.of(self.task)
        if peer is None:
            return {}

        def evaluate(model: Any, episodes: int, seed: int) -> np.ndarray:
            return peers.play(peer, self.task, self.act_on_host(model), self.memory, episodes, seed)

        return {peer.name: evaluate}

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return a film of one greedy episode, trajectories, and a heat map of where each agent is."""
        from populace.rl.multi_agent.roles import recording  # Matplotlib, and Gymnax, which starts JAX

        return recording.visualizations(self.task, self.act_on_host(state), self.memory, key)

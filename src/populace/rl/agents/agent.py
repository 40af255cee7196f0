"""Agent: what all learners that act in an environment share: evaluation, policy and video."""

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
from populace.core.media import Video, Visualization
from populace.core.settings import setting
from populace.rl.environments import gymnasium_evaluation, registry
from populace.rl.environments import names as naming
from populace.rl.environments.lowest_returns import lowest_return
from populace.rl.environments.observations import from_env_obs
from populace.rl.spaces import pixel_scale
from populace.rl.task import Task


class Agent(Learner):
    """A learner that acts in an environment; evaluation, policy and video follow from its greedy `act`."""

    unit: ClassVar[str] = "frames"
    score: ClassVar[str] = "return"
    evaluation_unit: ClassVar[str] = "episodes"
    controls: ClassVar[tuple[str, ...]] = ("discrete",)
    """Kinds of actions it supports: `discrete`, `continuous`."""

    env: str = setting(
        "CartPole-v1", help="environment; `populace list environments` names them", advice=naming.ADVICE
    )
    num_envs: int = setting(4, low=1, help="parallel environments per member")
    evaluation_episodes: int = setting(16, low=1, help="greedy episodes per evaluation")
    normalize_images: bool = setting(
        True, help="divide pictures in bytes (uint8, 0 to 255) by 255 before the network sees them"
    )
    held_out: str = setting(
        "", help="extra environment used for evaluation only; empty: none",
        advice=naming.ADVICE,
    )  # fmt: skip

    @abstractmethod
    def act(self, model: Any, observation: jax.Array) -> jax.Array:
        """Return the greedy action for one observation."""

    @property
    def task(self) -> Task:
        """The environment."""
        return registry.make(self.env)

    @property
    def input_scale(self) -> float:
        """What observations are multiplied by for the network."""
        return pixel_scale(self.task) if self.normalize_images else 1.0

    @property
    def max_steps(self) -> int:
        """The largest number of iterations whose frames an integer of 32 bits counts."""
        return (2**31 - 1) // self.units_per_step

    @property
    def score_threshold(self) -> float | None:
        """The return that Gymnasium registers as solved, if there is one."""
        return gymnasium_evaluation.score_threshold(self.env)

    @property
    def task_name(self) -> str:
        """The environment."""
        return self.env

    def floors(self) -> Mapping[str, float]:
        """Return the lowest return of the environment, and of the held-out one, where they are known."""
        found = {"return": lowest_return(self.env)}
        if self.held_out:
            found["held_out_return"] = lowest_return(self.held_out)
        known = {name: low for name, low in found.items() if low is not None}
        return known if len(known) == len(found) else {}

    @property
    def floor_description(self) -> str:
        """Return in words what `floors` says."""
        return "the lowest return possible" if self.floors() else super().floor_description

    def check(self) -> None:
        """Raise a `UsageError` if there is no such environment, or its kind of actions is not supported."""
        task = registry.make(self.env)
        kind = "continuous" if task.box else "discrete"
        if kind not in self.controls:
            raise UsageError(
                f"environment '{self.env}' has {kind} actions; {type(self).__name__} needs "
                f"{' or '.join(self.controls)} ones{_ADVICE.get(kind, '')}"
            )
        if self.held_out:
            _alike(task, registry.make(self.held_out))

    def for_test(self, size: int) -> Self:
        """Return the agent that is evaluated on `size` episodes."""
        return settings.replace(self, "evaluation_episodes", size)

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Play greedy episodes, each to its end: mean `return` and `length`, and `held_out_return`."""
        total, length = self.episodes(self.task, state, key)
        weight = jnp.float32(self.evaluation_episodes)
        metrics = {"return": Mean(total.sum(), weight), "length": Mean(length.sum(), weight)}
        if self.held_out:
            elsewhere = registry.make(self.held_out)
            total, _ = self.episodes(elsewhere, state, jax.random.fold_in(key, 1))
            metrics["held_out_return"] = Mean(total.sum(), weight)
        return metrics

    def evaluation_cost(self, metrics: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return the frames of the evaluated episodes, without those in the held-out environment."""
        return metrics["length"] * self.evaluation_episodes if "length" in metrics else None

    def episodes(self, task: Task, state: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the returns and lengths of `evaluation_episodes` greedy episodes, played in parallel."""
        copies = self.evaluation_episodes
        reset_key, step_key = jax.random.split(key)
        observation, world = task.reset(reset_key, copies)

        def going(loop: Any) -> jax.Array:
            return ~jnp.all(loop[3]) & (loop[0] < task.horizon)

        def step(loop: Any) -> Any:
            t, observation, world, done, total, length = loop
            action = jax.vmap(lambda seen: self.act(state, seen))(observation)
            observation, world, reward, terminated, truncated, _ = task.step(
                jax.random.fold_in(step_key, t), world, action
            )
            total = total + jnp.where(done, 0.0, reward)
            length = length + ~done
            return t + 1, observation, world, done | terminated | truncated, total, length

        nothing = jnp.zeros(copies)
        start = (jnp.int32(0), observation, world, nothing > 0, nothing, nothing)
        *_, total, length = jax.lax.while_loop(going, step, start)
        return total, length

    def policy(self, state: Any) -> Callable[[Any], np.ndarray]:
        """Return the greedy policy as a function of one observation, or of a batch of them.

        Observations are as the environment gives them, actions as it takes them. What cannot be one of its
        observations raises a `UsageError`.
        """
        task, act = registry.make(self.env), self.policy_inside(state)
        return lambda observation: act(from_env_obs(task, observation)) + task.action_start

    def predict(self, model: Any, x: Any = None) -> np.ndarray:
        """Return the greedy action for one observation, or for each of a batch, as `policy` gives it."""
        return self.policy(model)(x)

    def single_input(self) -> Any:
        """Return one observation."""
        task = self.task
        return np.zeros(task.observation_shape, task.observation_dtype)

    def predict_single(self, model: Any, x: Any) -> jax.Array:
        """Return the greedy action for one observation."""
        return self.act(model, x)

    def inference_data(self, model: Any) -> dict[str, Any]:
        """Return what the environment shows and takes."""
        del model
        return _interface(registry.make(self.env))

    def with_inference_data(self, kept: Mapping[str, Any]) -> Self:
        """Return the agent as it is.

        Raises:
            UsageError: the environment shows or takes something else than it did in training.

        """
        self.check()
        for what, here in _interface(registry.make(self.env)).items():
            if here != kept[what]:
                words = what.replace("_", " ")
                raise UsageError(
                    f"environment '{self.env}' has {words} {here}, the one it was trained in {kept[what]}"
                )
        return self

    def policy_inside(self, state: Any) -> Callable[[Any], np.ndarray]:
        """Return the greedy policy as the program has it: discrete observations and actions count from 0."""
        rank = len(self.task.observation_shape)

        @eqx.filter_jit
        def act(state: Any, batch: Any) -> jax.Array:
            return jax.vmap(lambda seen: self.act(state, seen))(batch)

        def policy(observation: Any) -> np.ndarray:
            seen = np.asarray(observation)
            single = seen.ndim == rank
            actions = np.asarray(act(state, seen[None] if single else seen))
            return actions[0] if single else actions

        return policy

    def external_evaluators(self) -> dict[str, ExternalEvaluator]:
        """Return `gymnasium`, where it has this environment."""
        if not gymnasium_evaluation.known(self.env):
            return {}

        def gymnasium(state: Any, episodes: int, seed: int) -> np.ndarray:
            return gymnasium_evaluation.play(self.env, self.policy_inside(state), episodes, seed)

        return {"gymnasium": gymnasium}

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return a video of one greedy episode, by the environment's own renderer."""
        if not gymnasium_evaluation.renders(self.env):
            return {}
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        frames, fps, total = gymnasium_evaluation.record_video(self.env, self.policy_inside(state), seed)
        return {"episode": Video(frames, fps, f"one greedy episode, return {total:g}")}


_ADVICE = {"continuous": " (ppo, a2c and reinforce take both kinds)"}


def _interface(task: Task) -> dict[str, Any]:
    """Return what a policy depends on of an environment."""
    shapes = {"observation_shape": task.observation_shape, "action_shape": task.action_shape}
    return {"states": task.states, "actions": task.actions, **{k: list(v) for k, v in shapes.items()}}


def _alike(task: Task, other: Task) -> None:
    """Raise a `UsageError` if a policy for one cannot act in the other."""
    for what in ("observation_shape", "actions", "action_shape"):
        ours, theirs = getattr(task, what), getattr(other, what)
        if ours != theirs:
            raise UsageError(
                f"held_out '{other.name}' does not fit '{task.name}': {what} is {theirs}, not {ours}"
            )

"""Small learners with known answers, for tests of the core."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from populace.core.learner import Learner
from populace.core.mean import Mean, Metrics
from populace.core.settings import setting


class Quadratic(Learner):
    """Fits `w = 1` from noisy batches; above `limit` its loss, and so its weights, overflow."""

    score: ClassVar[str] = "loss"
    mode: ClassVar[str] = "min"

    learning_rate: float = setting(0.1, above=0, help="step size")
    limit: float = setting(10.0, above=0, help="learning rates above this diverge")
    fuse: float = setting(1e9, above=0, help="step at which the weights become infinite")
    width: int = setting(3, low=1, help="number of weights")

    def init(self, key: jax.Array) -> dict[str, Any]:
        weights_key, noise_key = jax.random.split(key)
        weights = jax.random.normal(weights_key, (self.width,))
        return {
            "weights": weights,
            "optimizer": optax.adam(self.learning_rate).init(weights),
            "noise": noise_key,  # a typed key in the state: checkpoints must carry it
            "activation": jnp.tanh,  # not an array: must neither be traced nor saved
            "large": jnp.zeros(50),
        }

    def step(self, state: dict[str, Any], key: jax.Array) -> tuple[dict[str, Any], Metrics]:
        x = jax.random.normal(key, (8, self.width))
        own, used = jax.random.split(state["noise"])
        target = x.sum(-1) + 0.01 * jax.random.normal(used, (8,))

        def loss_of(weights: jax.Array) -> jax.Array:
            loss = jnp.mean((x @ weights - target) ** 2)
            blown = jnp.exp(jnp.exp(jnp.abs(weights).max() / 5))
            return loss * jnp.where(self.learning_rate > self.limit, blown, 1.0)

        loss, gradient = jax.value_and_grad(loss_of)(state["weights"])
        change, optimizer = optax.adam(self.learning_rate).update(gradient, state["optimizer"])
        weights = optax.apply_updates(state["weights"], change)
        large = state["large"].at[0].add(1.0)
        weights = jnp.where(large[0] >= self.fuse, jnp.inf, weights)
        new = state | {"weights": weights, "optimizer": optimizer, "noise": own, "large": large}
        return new, {"loss": Mean(loss)}

    def model(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"weights": state["weights"]}

    def evaluate(self, state: dict[str, Any], key: jax.Array) -> Metrics:
        return {"loss": Mean(jnp.mean((state["weights"] - 1) ** 2))}


class Shifty(Learner):
    """Returns a state of another shape than it began with: a mistake the engine must name."""

    def init(self, key: jax.Array) -> dict[str, jax.Array]:
        return {"weights": jnp.zeros(3)}

    def step(self, state: dict[str, jax.Array], key: jax.Array) -> tuple[Any, Metrics]:
        return {"weights": jnp.zeros(4)}, {}

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        return {"score": Mean(0.0)}


class Table(Learner):
    """Reads shared data: it must not be copied per member, nor written into a recipe."""

    data: jax.Array = eqx.field()
    rate: float = setting(0.5, above=0, help="step size")

    def init(self, key: jax.Array) -> jax.Array:
        return jnp.zeros(self.data.shape[1])

    def step(self, state: jax.Array, key: jax.Array) -> tuple[jax.Array, Metrics]:
        row = self.data[jax.random.randint(key, (), 0, self.data.shape[0])]
        return state + self.rate * (row - state), {}

    def evaluate(self, state: jax.Array, key: jax.Array) -> Metrics:
        return {"score": Mean(-jnp.abs(state - self.data.mean(0)).mean())}


class Draws(Learner):
    """Tells what it drew from every key that it was given; learns nothing, and scores alike for ever."""

    @property
    def epoch_steps(self) -> int:
        return 2

    def init(self, key: jax.Array) -> dict[str, jax.Array]:
        return {"init": jax.random.uniform(key), "turn": jnp.float32(0)}

    def on_epoch_start(self, state: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        return state | {"turn": jax.random.uniform(key)}

    def step(self, state: dict[str, jax.Array], key: jax.Array) -> tuple[dict[str, jax.Array], Metrics]:
        return state, {"step": Mean(jax.random.uniform(key)), "turn": Mean(state["turn"])}

    def evaluate(self, state: dict[str, jax.Array], key: jax.Array) -> Metrics:
        return {"score": Mean(1.0), "drawn": Mean(jax.random.uniform(key))}

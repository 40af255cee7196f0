"""GAN: a generator and a critic that train against each other; what all kinds share."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.random import root_key
from populace.core.settings import setting
from populace.data.example_files import ExampleFiles
from populace.images.gans.judged import JudgedGenerator
from populace.images.gans.networks import Critic, GANNetworks, Networks
from populace.nn.modules import sequential
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule


class State(eqx.Module):
    """Both networks while they train.

    Attributes:
        networks: generator and critic.
        generator_opt_state: what the generator's optimizer remembers.
        critic_opt_state: what the critic's optimizer remembers.
        order: the training rows in this epoch's order, filled up to whole steps.
        count: steps taken.

    """

    networks: Networks
    generator_opt_state: Any
    critic_opt_state: Any
    order: jax.Array
    count: jax.Array


class _Descent(NamedTuple):
    """The settings of the critic's gradient step, as the generator's are those of the learner."""

    learning_rate: Any
    optimizer: Optimizer
    schedule: Schedule
    weight_decay: Any
    max_gradient_norm: Any


class GAN(JudgedGenerator):
    """A generator makes images of a latent `z ~ N(0, I)`, a critic tells them from real ones.

    A step is `critic_steps` gradient steps of the critic, each on a fresh batch of real and one of made
    images, then one of the generator. Pixels are scaled to -1 to 1 for both. The model that is kept is the
    generator; checkpoints hold both networks and both optimizers' states.
    """

    unit: ClassVar[str] = "images"
    together: ClassVar[tuple[tuple[str, ...], ...]] = (("generator_loss", "critic_loss"),)

    network: GANNetworks = setting(GANNetworks(), help="generator and critic")
    batch_size: int = setting(64, low=2, help="real images, and made ones, per gradient step")
    critic_steps: int = setting(1, low=1, help="gradient steps of the critic per step of the generator")
    learning_rate: float = setting(2e-4, above=0, help="learning rate of the generator")
    critic_learning_rate: float = setting(2e-4, above=0, help="learning rate of the critic")
    optimizer: Optimizer = setting(Adam(b1=0.5), help="optimizer of the generator")
    critic_optimizer: Optimizer = setting(Adam(b1=0.5), help="optimizer of the critic")
    schedule: Schedule = setting(Constant(), help="factor on both learning rates over the steps")
    weight_decay: float = descent.weight_decay()
    max_gradient_norm: float = descent.max_gradient_norm()

    # -- what a kind of GAN says of itself -----------------------------------------------------------

    @abstractmethod
    def critic_loss(
        self, critic: Critic, real: jax.Array, made: jax.Array, conditions: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, tuple[dict[str, jax.Array], Critic]]:
        """Return the critic's loss, what is worth seeing beside it, and the critic with updated statistics.

        Args:
            critic: weights.
            real: images from -1 to 1, (N, height, width, channels).
            made: as many, which no gradient goes through.
            conditions: of both, (N, classes).
            key: fresh in every step.

        """

    @abstractmethod
    def generator_loss(self, scores: jax.Array) -> jax.Array:
        """Return the generator's loss of the critic's scores of made images, (N,)."""

    # -- data and networks ---------------------------------------------------------------------------

    def check(self) -> None:
        """Raise a `UsageError` for images that do not fit the networks or the judge."""
        super().check()
        if self.data is None:
            return
        if isinstance(self.data.x, ExampleFiles):
            raise UsageError(f"{type(self).__name__} reads images in memory, these are in files; load them")
        eqx.filter_eval_shape(self.build, root_key(0))

    def build(self, key: jax.Array) -> Networks:
        """Return fresh networks for the data."""
        return self.network.build(self._data.shape, self.latents, self.classes, key=key)

    # -- the learner ---------------------------------------------------------------------------------

    @property
    def units_per_step(self) -> int:
        """Real images per step: a batch for each gradient step of the critic."""
        return self.batch_size * self.critic_steps

    @property
    def epoch_steps(self) -> int:
        """Steps in which the critic sees every training image once."""
        return -(-len(self._data.train) // self.units_per_step)

    def init(self, key: jax.Array) -> State:
        """Return fresh networks; the first order of rows comes with the first `on_epoch_start`."""
        networks = self.build(key)
        return State(
            networks=networks,
            generator_opt_state=descent.initial_opt_state(self, networks.generator),
            critic_opt_state=descent.initial_opt_state(self._critic_descent, networks.critic),
            order=jnp.zeros(self.epoch_steps * self.units_per_step, jnp.int32),
            count=jnp.int32(0),
        )

    def on_epoch_start(self, state: State, key: jax.Array) -> State:
        """Shuffle the rows for the next epoch; the last step is filled up from its beginning."""
        order = jax.random.permutation(key, jnp.asarray(self._data.train))
        return eqx.tree_at(lambda s: s.order, state, jnp.resize(order, state.order.shape))

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take the critic's gradient steps and one of the generator."""
        critic_key, key = jax.random.split(key)
        place = (state.count % self.epoch_steps) * self.units_per_step
        rows = jax.lax.dynamic_slice_in_dim(state.order, place, self.units_per_step)
        batches = rows.reshape(self.critic_steps, self.batch_size)
        weights, rest = eqx.partition(state.networks.critic, eqx.is_array)

        def improve(carry: Any, given: tuple[jax.Array, jax.Array]) -> tuple[Any, Any]:
            critic, opt_state, seen = self._critic_step(state, eqx.combine(carry[0], rest), carry[1], *given)
            return (eqx.filter(critic, eqx.is_array), opt_state), seen

        (weights, critic_opt_state), seen = jax.lax.scan(
            improve,
            (weights, state.critic_opt_state),
            (batches, jax.random.split(critic_key, self.critic_steps)),
        )
        critic = eqx.combine(weights, rest)
        conditions = self.conditions(jnp.asarray(self._data.y)[batches[-1]])
        generator, opt_state, loss = self._generator_step(state, critic, conditions, key)
        metrics = {"generator_loss": Mean(loss)} | {name: Mean(jnp.mean(v)) for name, v in seen.items()}
        after = State(Networks(generator, critic), opt_state, critic_opt_state, state.order, state.count + 1)
        return after, metrics

    def _critic_step(
        self, state: State, critic: Critic, opt_state: Any, rows: jax.Array, key: jax.Array
    ) -> tuple[Critic, Any, dict[str, jax.Array]]:
        latent_key, made_key, loss_key = jax.random.split(key, 3)
        data = self._data
        real = 2 * self.pixels(jnp.asarray(data.x)[rows]) - 1
        conditions = self.conditions(jnp.asarray(data.y)[rows])
        made, _ = self._made(state.networks.generator, conditions, latent_key, made_key)

        def loss(critic: Critic) -> Any:
            return self.critic_loss(critic, real, made, conditions, loss_key)

        critic, opt_state, value, (seen, after) = descent.gradient_step(
            self._critic_descent, loss, critic, opt_state, state.count
        )
        return descent.with_buffers(critic, after), opt_state, {"critic_loss": value} | seen

    def _generator_step(
        self, state: State, critic: Critic, conditions: jax.Array, key: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        latent_key, made_key, critic_key = jax.random.split(key, 3)

        def loss(generator: Any) -> Any:
            made, after = self._made(generator, conditions, latent_key, made_key)
            scores, _ = critic.learn(made, conditions, critic_key)
            return self.generator_loss(scores), after

        generator, opt_state, value, after = descent.gradient_step(
            self, loss, state.networks.generator, state.generator_opt_state, state.count
        )
        return descent.with_buffers(generator, after), opt_state, value

    def _made(
        self, generator: Any, conditions: jax.Array, latent_key: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Return a batch of images as in training, and the generator with updated running statistics."""
        z = jax.random.normal(latent_key, (conditions.shape[0], self.latents))
        return sequential.learn(generator, jnp.concatenate([z, conditions], -1), key)

    def model(self, state: State) -> Any:
        """Return the generator: nobody asks for the critic once it is trained."""
        return state.networks.generator

    @property
    def _critic_descent(self) -> _Descent:
        return _Descent(
            self.critic_learning_rate, self.critic_optimizer, self.schedule, self.weight_decay,
            self.max_gradient_norm,
        )  # fmt: skip

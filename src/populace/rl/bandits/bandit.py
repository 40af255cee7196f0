"""The multi-armed bandit: a rule pulls one of K arms at a time, and is judged by its regret.

Sutton & Barto 2018, chapter 2; Lattimore and Szepesvari 2020, "Bandit Algorithms".
"""

from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.formatting import format_value
from populace.core.learner import Learner
from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.settings import setting
from populace.rl.bandits import plots
from populace.rl.bandits.arms import Arms, Bernoulli
from populace.rl.bandits.rule import Rule
from populace.rl.bandits.ucb1 import UCB1

_VISUALIZED_PULLS = 5_000_000


class State(eqx.Module):
    """The means of the arms, the state of the rule, and the regret so far.

    Attributes:
        means: mean of each arm, (K,); hidden from the rule.
        learned: state of the rule.
        pulls: number of pulls so far.
        regret: cumulative pseudo-regret of all pulls.
        scored: cumulative pseudo-regret of the first `horizon` pulls.

    """

    means: jax.Array
    learned: Any
    pulls: jax.Array
    regret: jax.Array
    scored: jax.Array


class Bandit(Learner):
    r"""A rule that pulls one of K arms at a time.

    Training metrics, averaged over pulls: `reward`; `regret`, the pseudo-regret `mu* - mu_a`, which does not
    contain the noise of the rewards; `optimal`, the fraction of pulls of an optimal arm. If the means change,
    mu* and mu_a are those at the time of the pull.

    The score is the regret of the training itself, so an evaluation plays nothing, and reads the state:

        total_regret = regret of the pulls within the horizon
                       + max(horizon - pulls, 0) * (largest - smallest mean)

    Future pulls within the horizon count with the largest possible regret. With stationary means the score
    therefore never rises, and from the horizon on it is exactly the regret of the first `horizon` pulls: an
    early evaluation never ranks a member better than it turns out to be. If the means change, the score is an
    estimate before the horizon, and exact from then on.
    """

    unit: ClassVar[str] = "pulls"
    score: ClassVar[str] = "total_regret"
    mode: ClassVar[Literal["max", "min"]] = "min"

    arms: Arms = setting(Bernoulli(), help="the arms")
    rule: Rule = setting(UCB1(), help="rule that chooses the arms")
    rollout: int = setting(100, low=1, help="pulls per iteration")
    horizon: int = setting(10_000, low=1, help="number of pulls whose regret is the score")

    @property
    def units_per_step(self) -> int:
        """Pulls per iteration."""
        return self.rollout

    @property
    def max_steps(self) -> int:
        """The largest number of iterations whose pulls an integer of 32 bits counts."""
        return (2**31 - 1) // self.units_per_step

    @property
    def task_name(self) -> str:
        """The arms, and the number of pulls that count."""
        return f"{format_value(self.arms)}, {self.horizon:,} pulls"

    def check(self) -> None:
        """Raise a `UsageError` for invalid arms, or a rule that does not suit them."""
        super().check()
        self.arms.check()
        self.rule.check(self.arms)

    def init(self, key: jax.Array) -> State:
        """Return the means of the arms, sampled or given, and the initial state of the rule."""
        means, learned = self.arms.init(key), self.rule.init(self.arms.size)
        return State(means, learned, jnp.int32(0), jnp.float32(0), jnp.float32(0))

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Pull `rollout` arms, one after another."""

        def pull(carry: tuple[jax.Array, Any, jax.Array], key: jax.Array) -> Any:
            means, learned, pulls = carry
            choose_key, reward_key = jax.random.split(key)
            pulled = jax.nn.one_hot(self.rule.choose(choose_key, learned, pulls), means.shape[0])
            mean, best = jnp.sum(means * pulled), jnp.max(means)
            reward = self.arms.pull(reward_key, mean)
            learned = self.rule.learn(learned, pulled, reward)
            regret, within = best - mean, pulls < self.horizon
            found = (reward, regret, jnp.where(within, regret, 0.0), (mean == best).astype(jnp.float32))
            if not self.arms.change.stationary:
                means = self.arms.next_means(jax.random.fold_in(key, 2), means)
            return (means, learned, pulls + 1), found

        start = (state.means, state.learned, state.pulls)
        (means, learned, pulls), found = jax.lax.scan(pull, start, jax.random.split(key, self.rollout))
        reward, regret, scored, optimal = (x.sum() for x in found)
        # Sum per iteration first: single pulls would be lost in the rounding of a large total.
        state = State(means, learned, pulls, state.regret + regret, state.scored + scored)
        count = jnp.float32(self.rollout)
        metrics = {"reward": reward, "regret": regret, "optimal": optimal}
        return state, {name: Mean(total, count) for name, total in metrics.items()}

    def evaluate(self, state: State, key: jax.Array) -> Metrics:
        """Return `total_regret`, and `regret_so_far` of all pulls; the key is not used."""
        del key
        left = jnp.maximum(self.horizon - state.pulls, 0)
        worst = jnp.max(state.means) - jnp.min(state.means)
        return {
            "total_regret": Mean(state.scored + left * worst),
            "regret_so_far": Mean(state.regret),
        }

    @property
    def independent_test(self) -> None:
        """None: the regret is that of the training, and cannot be measured again."""
        return None

    def test_description(self, size: int) -> str:
        """Return a description of the pulls that the final evaluation measures."""
        del size
        return f"the first {self.horizon:,} pulls of training"

    def regret_curves(
        self, key: jax.Array, copies: int, steps: int, means: jax.Array | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run independent copies from the start and return their cumulative regret.

        Args:
            key: JAX random key.
            copies: number of copies.
            steps: iterations of `rollout` pulls.
            means: means of the arms of all copies, (K,); by default each copy's are made by `init`.

        Returns:
            number of pulls (steps,), and the cumulative pseudo-regret after them, (copies, steps).

        """

        def course(learner: Bandit, key: jax.Array) -> jax.Array:
            init_key, step_key = jax.random.split(key)
            state = learner.init(init_key)
            if means is not None:
                state = eqx.tree_at(lambda s: s.means, state, means)

            def advance(state: State, key: jax.Array) -> tuple[State, jax.Array]:
                state, _ = learner.step(state, key)
                return state, state.regret

            return jax.lax.scan(advance, state, jax.random.split(step_key, steps))[1]

        found = eqx.filter_jit(eqx.filter_vmap(course, in_axes=(None, 0)))(
            self, jax.random.split(key, copies)
        )
        return self.rollout * np.arange(1, steps + 1), np.asarray(found, np.float64)

    def visualize(self, state: State, key: jax.Array) -> dict[str, Visualization]:
        """Return a plot of the regret of new copies of this setting, with the lower bound.

        With stationary means, the copies have the arms of this member; otherwise each copy has its own, and
        there is no bound.
        """
        pulls = int(state.pulls)
        if pulls == 0:
            return {}
        stationary = self.arms.change.stationary
        copies = int(np.clip(_VISUALIZED_PULLS // pulls, 10, 100))
        at, regrets = self.regret_curves(
            key, copies, pulls // self.rollout, state.means if stationary else None
        )
        differ = stationary and float(jnp.ptp(state.means)) > 0
        constant = self.arms.lai_robbins_constant(np.asarray(state.means)) if differ else None
        shown = plots.regret({self.rule.kind: (at, regrets)}, constant)
        return {"regret": plots.to_image(shown, f"regret of {copies} new copies over {pulls:,} pulls")}

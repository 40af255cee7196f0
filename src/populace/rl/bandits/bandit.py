"""Bandit: one state, K arms, and a rule that must find the best of them while it pays for looking.

Sutton & Barto 2018, chapter 2; Lattimore and Szepesvari 2020, "Bandit Algorithms".
"""

from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.learner import Learner, Mean, Metrics
from populace.core.media import Visualization
from populace.core.settings import setting
from populace.rl.bandits import plots
from populace.rl.bandits.arms import Arms, Bernoulli
from populace.rl.bandits.rule import Rule
from populace.rl.bandits.ucb1 import UCB1

_EXHIBITED_PULLS = 5_000_000


class State(eqx.Module):
    """The arms as they are, what the rule has learned, and the regret it ran up.

    Attributes:
        means: mean of each arm, (K,); the rule never sees them.
        learned: state of the rule.
        pulls: how many pulls were made.
        regret: summed pseudo-regret of all of them.
        scored: summed pseudo-regret of the first `horizon` of them.

    """

    means: jax.Array
    learned: Any
    pulls: jax.Array
    regret: jax.Array
    scored: jax.Array


class Bandit(Learner):
    r"""A rule that pulls one of K arms at a time.

    Metrics of training, per pull: `reward`; `regret`, the pseudo-regret `mu* - mu_a`, which has the
    noise of the rewards taken out; `optimal`, the share of pulls of a best arm. Where the means move,
    mu* and mu_a are those at the time of the pull.

    There is nothing to play afterwards: what a rule loses while it learns is all that counts. So an
    evaluation reads what the state kept:

        total_regret = regret of the pulls within the horizon
                       + (horizon - pulls made) * (largest - smallest mean), if that is positive

    Pulls not yet made count as the worst there could be. Where the means stay, the score therefore
    never rises, and from the horizon on it is exactly the regret of the first `horizon` pulls: no
    early look, however lucky, can rank before it. Where the means move it is a guess until then, and
    exact from then on.
    """

    unit: ClassVar[str] = "pulls"
    score: ClassVar[str] = "total_regret"
    mode: ClassVar[Literal["max", "min"]] = "min"

    arms: Arms = setting(Bernoulli(), help="the arms")
    rule: Rule = setting(UCB1(), help="how arms are chosen")
    rollout: int = setting(100, low=1, help="pulls per iteration")
    horizon: int = setting(10_000, low=1, help="pulls whose regret is the score")

    @property
    def units_per_step(self) -> int:
        """Pulls per iteration."""
        return self.rollout

    def check(self) -> None:
        """Raise a `UsageError` for impossible arms, or a rule that does not suit them."""
        super().check()
        self.arms.check()
        self.rule.check(self.arms)

    def init(self, key: jax.Array) -> State:
        """Return the arms, whose means may be drawn, and a rule that knows nothing of them."""
        means, learned = self.arms.init(key), self.rule.init(self.arms.size)
        return State(means, learned, jnp.int32(0), jnp.float32(0), jnp.float32(0))

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Pull `rollout` arms, one after the other."""

        def pull(carry: tuple[jax.Array, Any, jax.Array], key: jax.Array) -> Any:
            means, learned, pulls = carry
            choose_key, reward_key = jax.random.split(key)
            pulled = jax.nn.one_hot(self.rule.choose(choose_key, learned, pulls), means.shape[0])
            mean, best = jnp.sum(means * pulled), jnp.max(means)
            reward = self.arms.pull(reward_key, mean)
            learned = self.rule.learn(learned, pulled, reward)
            regret, within = best - mean, pulls < self.horizon
            found = (reward, regret, jnp.where(within, regret, 0.0), (mean == best).astype(jnp.float32))
            if self.arms.change.moves:
                means = self.arms.moved(jax.random.fold_in(key, 2), means)
            return (means, learned, pulls + 1), found

        start = (state.means, state.learned, state.pulls)
        (means, learned, pulls), found = jax.lax.scan(pull, start, jax.random.split(key, self.rollout))
        reward, regret, scored, optimal = (x.sum() for x in found)
        # Summed by iteration first: single pulls would be lost in the rounding of a large total.
        state = State(means, learned, pulls, state.regret + regret, state.scored + scored)
        count = jnp.float32(self.rollout)
        metrics = {"reward": reward, "regret": regret, "optimal": optimal}
        return state, {name: Mean(total, count) for name, total in metrics.items()}

    def evaluate(self, state: State, key: jax.Array) -> Metrics:
        """Return `total_regret`, and `regret_so_far` of all pulls made; nothing is drawn."""
        del key
        left = jnp.maximum(self.horizon - state.pulls, 0)
        worst = jnp.max(state.means) - jnp.min(state.means)
        return {
            "total_regret": Mean(state.scored + left * worst),
            "regret_so_far": Mean(state.regret),
        }

    def test_description(self, size: int) -> str:
        """Return in words what the final evaluation measures on."""
        del size
        return f"the first {self.horizon:,} pulls of training"

    def courses(
        self, key: jax.Array, copies: int, steps: int, means: jax.Array | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run independent copies from the start and return how their regret grew.

        Args:
            key: of everything drawn.
            copies: how many.
            steps: iterations of `rollout` pulls.
            means: means of the arms of all copies; None starts each as `init` does.

        Returns:
            pulls made (steps,), and the summed pseudo-regret after them, (copies, steps).

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
        """Return a picture of the regret of fresh copies of this setting, beside the lower bound.

        Where the means stay, the copies meet the arms of this member; otherwise arms of their own, for
        which there is no bound.
        """
        pulls = int(state.pulls)
        if pulls == 0:
            return {}
        stays = not self.arms.change.moves
        copies = int(np.clip(_EXHIBITED_PULLS // pulls, 10, 100))
        at, regrets = self.courses(key, copies, pulls // self.rollout, state.means if stays else None)
        differ = stays and float(jnp.ptp(state.means)) > 0
        slope = self.arms.slope(np.asarray(state.means)) if differ else None
        shown = plots.regret({self.rule.kind: (at, regrets)}, slope)
        return {"regret": plots.to_image(shown, f"regret of {copies} fresh copies over {pulls:,} pulls")}

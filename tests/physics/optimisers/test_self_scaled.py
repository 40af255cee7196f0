"""Self-scaled BFGS: the update of the inverse against that of the Hessian, and a problem it solves."""

import jax
import jax.numpy as jnp
import numpy as np

import populace.physics as ph
from populace.physics.optimisers.self_scaled import updated
from tests.physics.problems import line


def test_the_inverse_is_that_of_the_scaled_and_updated_hessian() -> None:
    rng = np.random.default_rng(0)
    square = rng.normal(size=(5, 5))
    hessian = square @ square.T + np.eye(5)
    step = rng.normal(size=5)
    curvature = step @ hessian @ step
    with jax.enable_x64(True):
        run = jax.jit(updated)
        for factor in (0.3, 2.5):  # shrinks in the first case, stays in the second
            change = hessian @ step * factor + 0.1 * rng.normal(size=5)
            tau = min(1.0, change @ step / curvature)
            turned = hessian @ step
            after = tau * (hessian - np.outer(turned, turned) / curvature)
            after += np.outer(change, change) / (change @ step)
            found = run(np.linalg.inv(hessian), step, change, curvature)
            assert np.allclose(found, np.linalg.inv(after), rtol=1e-9, atol=1e-12)
            assert (tau < 1) == (factor < 1)
        same = run(np.linalg.inv(hessian), step, -hessian @ step, curvature)  # curves downward
        assert np.array_equal(same, np.linalg.inv(hessian))


def test_it_solves_a_problem_and_never_raises_the_loss() -> None:
    learner = ph.PINN(
        problem=line(), network=ph.MLP(hidden_sizes=(8,)), points=24, condition_weight=10.0,
        solver=ph.SelfScaledBFGS(),
    )  # fmt: skip

    @jax.jit
    def run(key: jax.Array) -> tuple:
        def step(state, _):
            after, metrics = learner.step(state, key)
            return after, metrics["loss"].total

        last, losses = jax.lax.scan(step, learner.init(key), None, 300)
        return losses, learner.evaluate(learner.model(last), key)["error"].value

    with jax.enable_x64(True):
        losses, error = run(jax.random.key(1))
    assert (np.diff(losses) <= 1e-6 * np.asarray(losses[:-1])).all()
    assert error < 1e-3
    assert jnp.isfinite(error)

"""The loss and its Jacobian, against finite differences and sums by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import populace.physics as ph
from populace.physics.objective import Model, Objective
from populace.physics.sampling.draw import draw
from tests.physics.problems import line


def test_the_loss_is_the_sum_of_squared_rows_whose_jacobian_is_that_of_finite_differences() -> None:
    problem = line()
    with jax.enable_x64(True):
        points = draw(problem, "uniform", (6, 1, 1), jax.random.key(0), "float64")
        weights = jnp.asarray([0.0, 0.5, 1.0, 1.5, 2.0, 1.0])
        points["poisson"] = points["poisson"]._replace(weights=weights)
        objective = Objective(problem, points, {"poisson": 3.0})
        network = ph.MLP(hidden_sizes=(3,)).build(
            problem.domain, 1, key=jax.random.key(1), dtype="float64"
        )  # fmt: skip
        flat, unravel = ravel_pytree(Model(network, {}))

        @jax.jit
        def found(flat: jax.Array) -> tuple:
            model = unravel(flat)
            return objective.loss(model)[0], objective.rows(model), objective.residuals(model)

        loss, (rows, jacobian), residuals = found(flat)
        by_hand = 3 * np.mean(np.asarray(weights) * np.asarray(residuals["poisson"]) ** 2)
        others = sum(np.mean(np.square(r)) for name, r in residuals.items() if name != "poisson")
        assert np.isclose(loss, by_hand + others, rtol=1e-12)
        assert np.isclose(np.sum(np.square(rows)), loss, rtol=1e-12)
        step = 1e-6
        for k in range(len(flat)):
            up, down = (np.asarray(found(flat.at[k].add(s))[1][0]) for s in (step, -step))
            assert np.allclose(jacobian[:, k], (up - down) / (2 * step), rtol=1e-5, atol=1e-7)

"""Objective: the loss of a problem, a weighted sum of mean squares of residuals.

    L = sum_k w_k / n_k sum_i v_ki r_k(x_i)^2

over the terms k of the problem: equations inside, conditions on sides and at the start, data. Factors w_k are
of terms, v_ki of points; both are constants in a step. It is a least-squares loss, so besides its gradient
there are rows of a Jacobian, for Gauss and Newton's rule.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from populace.nn.primitives.buffer import trainable
from populace.physics.networks.derivatives import derivatives
from populace.physics.problem.expression import Expression, Values
from populace.physics.problem.problem import Problem
from populace.physics.problem.symbols import Derivative
from populace.physics.problem.term import Points, Term


class Model(eqx.Module):
    """What is learned.

    Attributes:
        network: stands for the fields.
        coefficients: those of the equations that are unknown, by name.

    """

    network: Any
    coefficients: dict[str, jax.Array]


def split(model: Model) -> tuple[Model, Model]:
    """Return what is learned of a model, and what is frozen, each with None in the other's places."""
    return eqx.partition(model, trainable(model))


class Objective:
    """The loss of a problem at points.

    Args:
        problem: what is to be solved.
        points: by term.
        weights: factor of each term; 1 for those that are not named.
        frozen: the arrays of the model that are not learned, where it is given to methods without them.

    """

    def __init__(
        self, problem: Problem, points: Mapping[str, Points], weights: Mapping[str, Any], frozen: Any = None
    ) -> None:
        self.problem, self.points, self.weights, self.frozen = problem, points, weights, frozen

    def with_point_weights(self, factors: Mapping[str, Any]) -> "Objective":
        """Return the objective whose points have further factors, (n,) by term."""
        changed = {
            name: self.points[name]._replace(weights=self.points[name].weights * factor)
            for name, factor in factors.items()
        }
        return Objective(self.problem, {**self.points, **changed}, self.weights, self.frozen)

    def residuals(self, model: Model) -> dict[str, jax.Array]:
        """Return the residuals of each term, (n,)."""
        whole = self._whole(model)
        return {
            term.name: residual(self.problem, whole, term, self.points[term.name])
            for term in self.problem.terms
        }

    def loss(self, model: Model) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the loss, and the mean square of each residual, without any weights."""
        squares = {name: r**2 for name, r in self.residuals(model).items()}
        weighted = [
            self.weights.get(name, 1.0) * jnp.mean(self.points[name].weights * s)
            for name, s in squares.items()
        ]
        return jnp.sum(jnp.stack(weighted)), {name: jnp.mean(s) for name, s in squares.items()}

    def jacobians(self, model: Model) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Return the residuals of each term, (n,), and their Jacobian (n, P), both without weights.

        A residual depends on its own point alone, so a row is a gradient at one point.
        """
        flat, unravel = ravel_pytree(model)
        found = {}
        for term in self.problem.terms:

            def one(flat: jax.Array, point: Points, term: Term = term) -> jax.Array:
                alone = jax.tree.map(lambda x: x[None], point)
                return residual(self.problem, self._whole(unravel(flat)), term, alone)[0]

            found[term.name] = jax.vmap(jax.value_and_grad(one), (None, 0))(flat, self.points[term.name])
        return found

    def rows(self, model: Model) -> tuple[jax.Array, jax.Array]:
        """Return scaled residuals r (N,), whose sum of squares is the loss, and their Jacobian (N, P)."""
        residuals, rows = [], []
        for name, (value, row) in self.jacobians(model).items():
            weight = self.weights.get(name, 1.0) * self.points[name].weights
            scale = jnp.sqrt(weight / len(value)).astype(value.dtype)
            residuals.append(scale * value)
            rows.append(scale[:, None] * row)
        return jnp.concatenate(residuals), jnp.concatenate(rows)

    def _whole(self, model: Model) -> Model:
        return model if self.frozen is None else eqx.combine(model, self.frozen)


def residual(problem: Problem, model: Model, term: Term, points: Points) -> jax.Array:
    """Return the residual of a term at points, (n,)."""
    here = evaluate(problem, model, term.residual, points.at, points.normals)
    if term.region == "pairs":
        return here - evaluate(problem, model, term.residual, points.partners, points.normals)
    return here - points.values if term.region == "data" else here


def evaluate(problem: Problem, model: Model, wanted: Expression, at: Any, normals: Any = None) -> jax.Array:
    """Return an expression of the fields at points (n, d), (n,)."""
    names = problem.domain.names
    columns = at.T
    needed = [(p.field, p.by) for p in wanted.walk() if isinstance(p, Derivative)]
    found = derivatives(lambda x: fields(problem, model, x), columns, problem.fields, names, needed)
    outward = {} if normals is None else dict(zip(names, normals.T))
    values = Values(dict(zip(names, columns)), found, model.coefficients, outward)
    return jnp.broadcast_to(jnp.asarray(wanted.value(values), columns.dtype), columns.shape[1:])


def fields(problem: Problem, model: Model, columns: Any) -> jax.Array:
    """Return the fields at points (d, n), (k, n), hard conditions included."""
    raw = model.network(columns)
    if not problem.hard:
        return raw
    values = Values(dict(zip(problem.domain.names, columns)), {}, {})
    rows = []
    for name, row in zip(problem.fields, raw):
        if name in problem.hard:
            lift, distance = (e.value(values) for e in problem.hard[name])
            row = lift + distance * row
        rows.append(jnp.asarray(row, columns.dtype))
    return jnp.stack(rows)

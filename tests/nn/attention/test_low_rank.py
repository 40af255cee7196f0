from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from populace.core.errors import UsageError
from populace.nn.attention.dot_product import attention, context_matrix
from populace.nn.attention.low_rank import ProjectedAttention, low_rank_attention, rank_errors
from tests.nn.attention.test_dot_product import draw, pairs, softmax_by_loops
from tests.nn.harness import check_layer

KEY = jax.random.key(0)


def low_rank_by_loops(q, k, v, rank, mask=None):
    context = softmax_by_loops(q, k, np.eye(len(k)), mask)
    u, s, wt = np.linalg.svd(context)
    out = np.zeros((len(q), v.shape[1]))
    for r in range(rank):
        out += s[r] * np.outer(u[:, r], wt[r] @ v)
    return out


@pytest.mark.parametrize(
    ("sizes", "rank", "masked"),
    [((5, 7), 1, False), ((5, 7), 3, True), ((7, 5), 2, False), ((6, 6), 5, False), ((7, 5), 5, False)],
)
def test_low_rank_attention_is_its_formula(sizes, rank, masked):
    q, k, v = draw(*sizes)
    inputs = (2 * q, 2 * k, v, pairs(*sizes)[0]) if masked else (2 * q, 2 * k, v)  # well parted values
    rank = min(rank, int(inputs[3].sum())) if masked else rank
    check_layer(
        jax.jit(lambda q, k, v, mask=None: low_rank_attention(q, k, v, rank, mask=mask)),
        inputs,
        lambda _, q, k, v, mask=None: low_rank_by_loops(q, k, v, rank, mask),
        tolerance=1e-4,
    )


def test_full_rank_is_softmax_attention():
    q, k, v = draw(5, 7)
    np.testing.assert_allclose(low_rank_attention(q, k, v, 5), attention(q, k, v), atol=1e-5)


def test_masked_keys_stay_unseen():
    q, k, v = draw()
    mask = pairs()[0]
    changed = jnp.where(mask[:, None], v, 100.0)
    np.testing.assert_allclose(
        low_rank_attention(q, k, changed, 2, mask=mask), low_rank_attention(q, k, v, 2, mask=mask), atol=1e-4
    )


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_gradient_is_finite_where_singular_values_are_equal(rank):
    _, k, v = draw(5, 5)
    q = jnp.zeros((5, 4))  # all weights alike: one singular value of 1, the others zero
    gradient = jax.grad(lambda *x: low_rank_attention(*x, rank).sum(), (0, 1, 2))(q, k, v)
    assert all(np.isfinite(g).all() for g in gradient)
    nothing = jnp.zeros(5, bool)
    gradient = jax.grad(lambda *x: low_rank_attention(*x, rank, mask=nothing).sum(), (0, 1, 2))(q, k, v)
    assert not any(g.any() for g in gradient)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("sizes", [(9, 6), (6, 9)])
def test_errors_are_those_of_each_rank(sizes, causal):
    q, k, v = draw(*sizes)
    context = np.asarray(context_matrix(q, k, causal=causal), np.float64)
    u, s, wt = np.linalg.svd(context, full_matrices=False)
    found = rank_errors(q, k, v, causal=causal)
    assert found.context.shape == found.output.shape == (7,)
    for rank in range(7):
        rest = context - (u[:, :rank] * s[:rank]) @ wt[:rank]
        expected = np.linalg.norm(rest) / np.linalg.norm(context)
        np.testing.assert_allclose(found.context[rank], expected, atol=1e-5)
        expected = np.linalg.norm(rest @ v) / np.linalg.norm(context @ v)
        np.testing.assert_allclose(found.output[rank], expected, atol=1e-5)
    assert (np.diff(found.context) <= 0).all()


def test_errors_of_an_empty_context_are_zero():
    q, k, v = draw()
    found = rank_errors(q, k, v, mask=jnp.zeros(7, bool))
    assert not found.context.any()
    assert not found.output.any()


class Masked(eqx.Module):
    """The layer with a mask among its inputs, as the harness gives them."""

    layer: Any

    def __call__(self, q, k, v, mask):
        return self.layer(q, k, v, mask=mask)


def projected_by_loops(layer, q, k, v, mask=None):
    m = len(k)
    seen = np.ones(m) if mask is None else mask
    keys = np.zeros((len(layer.key_projection), k.shape[1]))
    values = np.zeros((len(layer.value_projection), v.shape[1]))
    for r in range(len(keys)):
        for j in range(m):
            keys[r] += seen[j] * layer.key_projection[r, j] * k[j]
            values[r] += seen[j] * layer.value_projection[r, j] * v[j]
    return softmax_by_loops(q, keys, values)


@pytest.mark.parametrize(
    ("length", "start", "masked"), [(7, "glorot", False), (9, "glorot", True), (9, "mean", False)]
)
def test_projected_attention_is_its_formula(length, start, masked):
    layer = ProjectedAttention(length, 3, start=start, key=KEY)
    run = Masked(layer) if masked else layer
    inputs = (*draw(), pairs()[0]) if masked else draw()
    check_layer(run, inputs, lambda run, *x: projected_by_loops(run.layer if masked else run, *x))


def test_means_are_exact_where_neighbours_are_alike():
    q, k, v = draw(5, 4)
    layer = ProjectedAttention(12, 4, start="mean", key=KEY)
    found = layer(q, jnp.repeat(k, 3, axis=0), jnp.repeat(v, 3, axis=0))
    np.testing.assert_allclose(found, attention(q, k, v), atol=1e-6)
    np.testing.assert_allclose(layer.key_projection.sum(1), 1, rtol=1e-6)


def test_projected_attention_never_holds_the_context():
    n = 4096
    x = jax.ShapeDtypeStruct((n, 8), jnp.float32)
    layer = ProjectedAttention(n, 4, key=KEY)
    program = jax.make_jaxpr(jax.grad(lambda q, k, v: layer(q, k, v).sum(), (0, 1, 2)))(x, x, x)
    assert largest(program.jaxpr) <= n * 8
    assert largest(jax.make_jaxpr(lambda q, k: context_matrix(q, k))(x, x).jaxpr) == n * n  # it would show


def largest(jaxpr):
    """Return the size of the largest array that is computed."""
    sizes = [v.aval.size for eqn in jaxpr.eqns for v in eqn.outvars]
    inner = [largest(j) for eqn in jaxpr.eqns for j in jaxprs_in_params(eqn.params)]
    return max(sizes + inner)


q, k, v = draw()
layer = ProjectedAttention(7, 3, key=KEY)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: low_rank_attention(q, k, v, 0), "low_rank_attention: rank is 0, expected 1 to 5"),
        (lambda: low_rank_attention(q, k, v, 6), "low_rank_attention: rank is 6, expected 1 to 5"),
        (lambda: low_rank_attention(q, k, v, 2, causal=True), "low_rank_attention: cannot be causal"),
        (lambda: low_rank_attention(q, k, v, 2, mask=pairs()), "low_rank_attention: mask has shape (5, 7)"),
        (lambda: rank_errors(q, k[:, :2], v), "rank_errors: keys have shape (7, 2), expected (length, 4)"),
        (lambda: ProjectedAttention(7, 8, key=KEY), "ProjectedAttention: rank is 8, expected 1 to 7"),
        (lambda: ProjectedAttention(7, 2, start="x", key=KEY), "ProjectedAttention: start is 'x', expected"),
        (lambda: layer(q, k, v, causal=True), "ProjectedAttention: cannot be causal"),
        (lambda: layer(q, k, v[:2]), "ProjectedAttention: values have shape (2, 3), expected (7, width)"),
        (
            lambda: layer(q, jnp.concatenate([k, k]), jnp.concatenate([v, v])),
            "ProjectedAttention: 14 keys, expected at most 7",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(UsageError) as error:
        call()
    assert str(error.value).startswith(message)

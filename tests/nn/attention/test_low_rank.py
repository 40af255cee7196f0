import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from populace.core.errors import UsageError
from populace.nn.attention.dot_product import attention, context_matrix
from populace.nn.attention.low_rank import ProjectedAttention, low_rank_attention, rank_errors
from tests.nn.attention.formulas import NOTHING, draw, pairs, softmax_by_loops
from tests.nn.draws import filled, quick_key
from tests.nn.harness import check_layer


def low_rank_by_loops(q, k, v, rank, mask=None):
    context = softmax_by_loops(q, k, np.eye(len(k)), mask)
    u, s, wt = np.linalg.svd(context)
    out = np.zeros((len(q), v.shape[1]))
    for r in range(rank):
        out += s[r] * np.outer(u[:, r], wt[r] @ v)
    return out


@pytest.mark.parametrize(
    ("sizes", "forms"),
    [((5, 7), [(1, False), (3, True)]), ((7, 5), [(2, False), (5, False)]), ((6, 6), [(5, False)])],
)
def test_low_rank_attention_is_its_formula(sizes, forms):
    q, k, v = draw(*sizes)
    mask = pairs(*sizes)[0]
    ranks = [(min(rank, mask.sum()) if masked else rank, masked) for rank, masked in forms]
    check_layer(
        lambda q, k, v, mask: [
            low_rank_attention(q, k, v, rank, mask=mask if masked else None) for rank, masked in ranks
        ],
        (2 * q, 2 * k, v, mask),  # singular values well apart
        lambda _, q, k, v, mask: [
            low_rank_by_loops(q, k, v, rank, mask if masked else None) for rank, masked in ranks
        ],
        tolerance=1e-4,
        eager=sizes == (6, 6),
    )


def test_full_rank_is_softmax_attention():
    both = jax.jit(lambda q, k, v: (low_rank_attention(q, k, v, 5), attention(q, k, v)))
    np.testing.assert_allclose(*both(*draw(5, 7)), atol=1e-5)


def test_masked_keys_stay_unseen():
    q, k, v = draw()
    mask = pairs()[0]
    run = jax.jit(lambda v: low_rank_attention(q, k, v, 2, mask=mask))
    changed = np.where(mask[:, None], v, np.float32(100))
    np.testing.assert_allclose(run(changed), run(v), atol=1e-4)


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_gradient_is_finite_where_singular_values_are_equal(rank):
    _, k, v = draw(5, 5)
    q = np.zeros((5, 4), np.float32)  # all weights alike: one singular value of 1, the others zero

    @jax.jit
    def slope(q, k, v, mask):
        return jax.grad(lambda *x: low_rank_attention(*x, rank, mask=mask).sum(), (0, 1, 2))(q, k, v)

    assert all(np.isfinite(g).all() for g in slope(q, k, v, np.ones(5, bool)))
    assert not any(np.any(g) for g in slope(q, k, v, np.zeros(5, bool)))


@pytest.mark.parametrize("sizes", [(9, 6), (6, 9)])
def test_errors_are_those_of_each_rank(sizes):
    q, k, v = draw(*sizes)

    @jax.jit
    def run(q, k, v):
        forms = ({"causal": False}, {"causal": True})
        return [(context_matrix(q, k, **form), rank_errors(q, k, v, **form)) for form in forms]

    for matrix, found in run(q, k, v):
        context = np.asarray(matrix, np.float64)
        u, s, wt = np.linalg.svd(context, full_matrices=False)
        assert found.context.shape == found.output.shape == (7,)
        for rank in range(7):
            rest = context - (u[:, :rank] * s[:rank]) @ wt[:rank]
            expected = np.linalg.norm(rest) / np.linalg.norm(context)
            np.testing.assert_allclose(np.asarray(found.context)[rank], expected, atol=1e-5)
            expected = np.linalg.norm(rest @ v) / np.linalg.norm(context @ v)
            np.testing.assert_allclose(np.asarray(found.output)[rank], expected, atol=1e-5)
        assert (np.diff(found.context) <= 0).all()


def test_errors_of_an_empty_context_are_zero():
    found = jax.jit(lambda *x: rank_errors(*x, mask=NOTHING))(*draw())
    assert not np.any(found.context)
    assert not np.any(found.output)


class Masked(eqx.Module):
    """A layer called with and without the mask, so that the harness sees both."""

    layer: ProjectedAttention

    def __call__(self, q, k, v, mask):
        return self.layer(q, k, v), self.layer(q, k, v, mask=mask)


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


@pytest.mark.parametrize("length", [7, 9])
def test_projected_attention_is_its_formula(length):
    run = Masked(filled(lambda key: ProjectedAttention(length, 3, key=key)))
    check_layer(
        run,
        (*draw(), pairs()[0]),
        lambda run, *x: (projected_by_loops(run.layer, *x[:3]), projected_by_loops(run.layer, *x)),
        eager=length == 7,
    )


def test_means_are_exact_where_neighbors_are_alike():
    q, k, v = draw(5, 4)

    @jax.jit
    def run(q, k, v):
        layer = ProjectedAttention(12, 4, start="mean", key=quick_key())
        found = layer(q, jnp.repeat(k, 3, axis=0), jnp.repeat(v, 3, axis=0))
        return found, attention(q, k, v), layer.key_projection, layer.value_projection

    found, expected, *projections = run(q, k, v)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for projection in projections:
        np.testing.assert_allclose(np.asarray(projection).sum(1), 1, rtol=1e-6)


def test_projections_start_glorot_uniform_and_apart():
    layer = jax.jit(lambda: ProjectedAttention(90, 6, key=quick_key()))()
    limit = np.sqrt(6 / 96)
    for projection in (layer.key_projection, layer.value_projection):
        assert projection.shape == (6, 90)
        assert 0.95 * limit < np.abs(projection).max() <= limit
    assert not np.allclose(layer.key_projection, layer.value_projection)


def test_projected_attention_never_holds_the_context():
    n = 4096
    x = jax.ShapeDtypeStruct((n, 8), jnp.float32)
    layer = filled(lambda key: ProjectedAttention(n, 4, key=key))
    program = jax.make_jaxpr(jax.grad(lambda q, k, v: layer(q, k, v).sum(), (0, 1, 2)))(x, x, x)
    assert largest(program.jaxpr) <= n * 8
    assert largest(jax.make_jaxpr(lambda q, k: context_matrix(q, k))(x, x).jaxpr) == n * n  # it would show


def largest(jaxpr):
    """Return the size of the largest array that is computed."""
    sizes = [v.aval.size for eqn in jaxpr.eqns for v in eqn.outvars]
    inner = [largest(j) for eqn in jaxpr.eqns for j in jaxprs_in_params(eqn.params)]
    return max(sizes + inner)


q, k, v = draw()
layer = filled(lambda key: ProjectedAttention(7, 3, key=key))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: low_rank_attention(q, k, v, 0), "low_rank_attention: rank is 0, expected 1 to 5"),
        (lambda: low_rank_attention(q, k, v, 6), "low_rank_attention: rank is 6, expected 1 to 5"),
        (lambda: low_rank_attention(q, k, v, 2, causal=True), "low_rank_attention: cannot be causal"),
        (lambda: low_rank_attention(q, k, v, 2, mask=pairs()), "low_rank_attention: mask has shape (5, 7)"),
        (lambda: rank_errors(q, k[:, :2], v), "rank_errors: keys have shape (7, 2), expected (length, 4)"),
        (lambda: ProjectedAttention(7, 8, key=quick_key()), "ProjectedAttention: rank is 8, expected 1 to 7"),
        (
            lambda: ProjectedAttention(7, 2, start="x", key=quick_key()),
            "ProjectedAttention: start is 'x', expected",
        ),
        (lambda: layer(q, k, v, causal=True), "ProjectedAttention: cannot be causal"),
        (lambda: layer(q, k, v[:2]), "ProjectedAttention: values have shape (2, 3), expected (7, width)"),
        (
            lambda: layer(q, np.concatenate([k, k]), np.concatenate([v, v])),
            "ProjectedAttention: 14 keys, expected at most 7",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(UsageError) as error:
        call()
    assert str(error.value).startswith(message)


def test_a_masked_value_that_is_not_finite_is_not_seen():
    q, k, v = draw(4, 4)
    mask = np.arange(4) != 1

    @jax.jit
    def run(k, v):
        errors = [rank_errors(q, k, v, mask=m).output for m in (mask, mask & np.ones((4, 1), bool))]
        return low_rank_attention(q, k, v, 2, mask=mask), errors

    k[1], v[1] = 0, 0
    wanted = jax.block_until_ready(run(k, v))  # a program may still read what is changed next
    k[1], v[1] = np.nan, np.inf
    for found, expected in zip(jax.tree.leaves(run(k, v)), jax.tree.leaves(wanted)):
        np.testing.assert_allclose(found, expected, atol=1e-5)

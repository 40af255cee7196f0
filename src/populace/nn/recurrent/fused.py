"""All steps of an LSTM or GRU at once, with gradients, by native kernels where there are some.

On CPU, layers of up to 256 units without padding are computed by `native/recurrent.cc`: gates stay in
registers between products and activations, and what XLA's loop writes and reads again between its operations
never leaves the cache. All else (accelerators, float64, padding, other cells, larger layers) is the loop of
`scan.py`.

Arrays are x (members, rows, steps, inputs), weights (members, ...) and states (members, rows, units), where
one member is broadcast. `vmap` over examples makes more rows, over layers more members. A GRU's second state
has no entries.

As with dense layers (`primitives/dense.py`), the derivative in a direction is a primitive of its own, whose
transpose is the kernel of the backward pass, so that there are derivatives of all orders and modes.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad, batching

from populace.core.native import wide
from populace.nn.primitives.matmul import placed
from populace.nn.primitives.member_axis import batch_rows, members_of, primitive, rule_by_xla
from populace.nn.recurrent import scan
from populace.nn.recurrent.cells import Cell, GRUCell, LSTMCell, State

CELLS: dict[str, type[Cell]] = {"lstm": LSTMCell, "gru": GRUCell}
SAVED = {"lstm": 6, "gru": 4}
"""Numbers of each step and unit that the backward pass needs."""
LARGEST = 256
"""Units, and inputs, up to which the kernels are used."""
OPERANDS = "xurbhc"
"""Inputs, weights of inputs, recurrent weights, biases, hidden state and cell."""
_ROWS = ("x", "h", "c")
_FEW = 4
"""Members up to which the backward pass gets room to divide each among threads."""
_BESIDE = 64
"""Numbers behind that room that the kernel reads."""


# Jitted, because outside of `jax.jit` the loops would be compiled again in every call.
@functools.partial(jax.jit, static_argnames="reverse")
def recur(
    cell: Cell, x: jax.Array, state: State, keep: jax.Array | None, *, reverse: bool
) -> tuple[jax.Array, State]:
    """Return the hidden states of all steps, (T, H), and the final state, as `scan.recur` does."""
    weights = cell.W_u, cell.W_h, cell.b_h
    name = next((n for n, kind in CELLS.items() if type(cell) is kind), "")
    if not name or keep is not None or not _serves(x, *weights, *state):
        return scan.recur(cell, x, state, keep, reverse=reverse)
    h, c = state if len(state) == 2 else (state[0], jnp.zeros(0, x.dtype))
    operands = (x[None, None], *(w[None] for w in weights), h[None, None], c[None, None])
    all_h, last, last_c, _ = recur_p.bind(*operands, backend="auto", cell=name, reverse=reverse, save=False)
    return all_h[0, 0], (last[0, 0], last_c[0, 0])[: len(state)]


def _serves(x: jax.Array, *others: jax.Array) -> bool:
    """Return whether the kernels are for this layer here; lowered for accelerators, XLA serves anyway."""
    return (
        wide()
        and jax.default_backend() == "cpu"
        and all(a.dtype == jnp.float32 and not placed(a) for a in (x, *others))
        and x.size > 0
        and max(x.shape[-1], others[1].shape[0]) <= LARGEST
    )


def flops_of_kernel(x: Any, u: Any, r: Any, *_: Any, by: str | None = None, **_params: Any) -> float:
    """Return the FLOPs of the products of the native kernel, which XLA cannot count.

    Forward `2 members rows T (F + H) G H`; backward as many for the weights, F or H in the place of F + H for
    the inputs and for the states before.
    """
    _, rows, steps, inputs = x.shape
    units, gates = r.shape[1:]
    wide = inputs + units
    if by is not None:
        wide = units + inputs * ("x" in by) + (inputs + units) * bool(set(by) & set("urb"))
    return 2.0 * members_of((x, u, r)) * rows * steps * wide * gates


def _by_scan(*operands: jax.Array, cell: str, reverse: bool) -> list[jax.Array]:
    """Return hidden states and last states of all members and rows."""

    def one(x: Any, u: Any, r: Any, b: Any, h: Any, c: Any) -> Any:
        state = (h, c)[: CELLS[cell].arrays]
        all_h, end = scan.by_loop(CELLS[cell], reverse, x, (u, r, b), state, None)
        return all_h, end[0], end[1] if len(end) == 2 else c

    rows = jax.vmap(one, (0, None, None, None, 0, 0))
    members = members_of(operands)
    if members == 1:
        return [a[None] for a in rows(*(a[0] for a in operands))]
    own = [a[0] if len(a) == 1 else a for a in operands]
    return list(jax.vmap(rows, [None if len(a) == 1 else 0 for a in operands])(*own))


def _state_shapes(x: Any, r: Any, c: Any) -> list[Any]:
    """Shapes of all hidden states, the last one, and the last cell."""
    _, rows, steps, _ = x.shape
    units = r.shape[1]
    return [((rows, steps, units), None), ((rows, units), None), ((rows, c.shape[-1]), None)]


def _shapes(*operands: Any, cell: str, reverse: bool, save: bool) -> list[Any]:
    x, _, r, _, _, c = operands
    saved = (x.shape[1], x.shape[2] if save else 0, SAVED[cell], r.shape[1])
    return [*_state_shapes(x, r, c), (saved, None)]


def _by_xla(*operands: jax.Array, cell: str, reverse: bool, save: bool) -> list[jax.Array]:
    members, saved = members_of(operands), _shapes(*operands, cell=cell, reverse=reverse, save=save)[3][0]
    found = _by_scan(*operands, cell=cell, reverse=reverse)
    return [*found, jnp.zeros((members, *saved), found[0].dtype)]


def _call(name: str, shapes: list[Any], *operands: jax.Array, reverse: bool) -> list[jax.Array]:
    members, dtype = members_of(operands), operands[0].dtype
    results = [jax.ShapeDtypeStruct((members, *shape), dtype) for shape, _ in shapes]
    return list(jax.ffi.ffi_call(f"populace_{name}", results)(*operands, reverse=reverse))


def _by_kernel(*operands: jax.Array, cell: str, reverse: bool, save: bool) -> list[jax.Array]:
    shapes = _shapes(*operands, cell=cell, reverse=reverse, save=save)
    return _call("recur", shapes, *operands, reverse=reverse)


def _along_shapes(*operands: Any, cell: str, reverse: bool, by: str) -> list[Any]:
    return _state_shapes(operands[0], operands[2], operands[5])


def _along(*operands: jax.Array, cell: str, reverse: bool, by: str) -> list[jax.Array]:
    """Return the derivatives of the states as operands move, of which `by` names those that do."""
    primals, moved = operands[:6], dict(zip(by, operands[8:]))
    both = [(a, moved[name]) for name, a in zip(OPERANDS, primals) if name in moved]
    shapes = [(max(len(a), len(d)), *a.shape[1:]) for a, d in both]
    own, along = ([jnp.broadcast_to(pair[k], s) for pair, s in zip(both, shapes)] for k in (0, 1))

    def of(*own: jax.Array) -> list[jax.Array]:
        place = iter(own)
        every = [next(place) if name in moved else a for name, a in zip(OPERANDS, primals)]
        return _by_scan(*every, cell=cell, reverse=reverse)

    members = members_of(operands)
    return [jnp.broadcast_to(a, (members, *a.shape[1:])) for a in jax.jvp(of, own, along)[1]]


def _back_shapes(*operands: Any, cell: str, reverse: bool, by: str) -> list[Any]:
    """Gradients by x, by biases and weights (1 + inputs + units, 4 units), and by states; and room.

    Those by x, and by weights, are without entries where they are not wanted.
    """
    x, _, r, _, h, c = operands[:6]
    _, rows, steps, inputs = x.shape
    units, weights = r.shape[1], (1 + inputs + r.shape[1], 4 * r.shape[1])
    room = steps * rows * (1 + inputs + 5 * units) + _BESIDE if members_of(operands) <= _FEW else 0
    shapes = (
        x.shape[1:] if "x" in by else (0, 0, 0), weights if set(by) & set("urb") else (0, 0),
        h.shape[1:], c.shape[1:], (room,),
    )  # fmt: skip
    return [(shape, None) for shape in shapes]


def _joined(u: jax.Array, r: jax.Array, b: jax.Array) -> jax.Array:
    """Return the gradients by biases and weights of members as one array, as the kernel makes them."""
    H, four = r.shape[1], b.shape[2]
    if u.shape[2] < four:  # a GRU's candidate has an input part and a recurrent part
        u = jnp.pad(u, ((0, 0), (0, 0), (0, H)))
        r = jnp.concatenate([r[:, :, : 2 * H], jnp.zeros_like(r[:, :, :H]), r[:, :, 2 * H :]], axis=2)
    return jnp.concatenate([b, u, r], axis=1)


def _parted(joined: jax.Array, u: Any, r: Any) -> dict[str, jax.Array]:
    """Return what `_joined` joined, by names."""
    inputs, (H, gates) = u.shape[1], r.shape[1:]
    of_r = joined[:, 1 + inputs :]
    if gates < joined.shape[2]:
        of_r = jnp.concatenate([of_r[:, :, : 2 * H], of_r[:, :, 3 * H :]], axis=2)
    return {"b": joined[:, 0], "u": joined[:, 1 : 1 + inputs, :gates], "r": of_r}


def _back_by_xla(*operands: jax.Array, cell: str, reverse: bool, by: str) -> list[jax.Array]:
    members = members_of(operands)
    primals, given = [jnp.broadcast_to(a, (members, *a.shape[1:])) for a in operands[:6]], operands[8:]
    out, back = jax.vjp(functools.partial(_by_scan, cell=cell, reverse=reverse), *primals)
    whole = [jnp.broadcast_to(g, o.shape) if g.size else jnp.zeros_like(o) for g, o in zip(given, out)]
    x, u, r, b, h, c = back(whole)
    shapes = _back_shapes(*operands, cell=cell, reverse=reverse, by=by)
    return [
        a if a is not None and a.shape[1:] == shape else jnp.zeros((members, *shape), out[0].dtype)
        for a, (shape, _) in zip((x, _joined(u, r, b[:, None]), h, c, None), shapes)
    ]


def _back_by_kernel(*operands: jax.Array, cell: str, reverse: bool, by: str) -> list[jax.Array]:
    shapes = _back_shapes(*operands, cell=cell, reverse=reverse, by=by)
    without_bias = (*operands[:3], *operands[4:])
    return _call("recur_back", shapes, *without_bias, reverse=reverse)


recur_p = primitive("recur", 0, _shapes, _by_xla, _by_kernel)
recur_along_p = primitive("recur_along", 0, _along_shapes, _along, _along)
recur_back_p = primitive("recur_back", 0, _back_shapes, _back_by_xla, _back_by_kernel)


def _jvp(primals: Any, tangents: Any, *, save: bool, **params: Any) -> Any:
    *found, saved = recur_p.bind(*primals, save=True, **params)
    moved = {name: d for name, d in zip(OPERANDS, tangents) if type(d) is not ad.Zero}
    along = [ad.Zero(jax.typeof(a).to_tangent_aval()) for a in found]
    if moved:
        along = recur_along_p.bind(*primals, found[0], saved, *moved.values(), by="".join(moved), **params)
    saved = saved if save else saved[:, :, :0]
    return [*found, saved], [*along, ad.Zero(jax.typeof(saved).to_tangent_aval())]


def _along_transpose(cotangents: Any, *operands: Any, by: str, **params: Any) -> list[Any]:
    fixed, moved = operands[:8], operands[8:]
    gradients: list[Any] = [None] * len(operands)
    if all(type(g) is ad.Zero for g in cotangents):
        return gradients
    wanted = "".join(name for name, d in zip(by, moved) if ad.is_undefined_primal(d))
    given = [
        jnp.zeros((1, *[0] * (rank - 1)), fixed[0].dtype) if type(g) is ad.Zero else g
        for g, rank in zip(cotangents, (4, 3, 3))
    ]
    found = recur_back_p.bind(*fixed, *given, by=wanted, **params)
    gradient_by = {"x": found[0], "h": found[2], "c": found[3]}
    if set(wanted) & set("urb"):
        gradient_by |= _parted(found[1], *operands[1:3])
    for place, (name, d) in enumerate(zip(by, moved), 8):
        if name in wanted:
            gradient = gradient_by[name]
            shared = d.aval.shape[0] < gradient.shape[0]
            gradients[place] = jnp.sum(gradient, axis=0, keepdims=True) if shared else gradient
    return gradients


def _batch(p: Any, rows: tuple[int, ...], operands: Any, dims: Any, **params: Any) -> Any:
    """Fold a mapped axis into rows where no layer has it, else into members; `rows`: operands with rows."""
    with_rows = [k in rows for k in range(8)] + [name in _ROWS for name in params.get("by", "")]
    return batch_rows(p, with_rows, operands, dims, **params)


ad.primitive_jvps[recur_p] = _jvp
ad.primitive_jvps[recur_along_p] = rule_by_xla(recur_along_p, _along)
ad.primitive_jvps[recur_back_p] = rule_by_xla(recur_back_p, _back_by_xla)
ad.primitive_transposes[recur_along_p] = _along_transpose
batching.primitive_batchers[recur_p] = functools.partial(_batch, recur_p, (0, 4, 5))
batching.primitive_batchers[recur_along_p] = functools.partial(_batch, recur_along_p, (0, 4, 5, 6, 7))

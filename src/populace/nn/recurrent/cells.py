"""Cells: one time step of a recurrent network, with its derivative written out.

A cell separates what depends on the past from what does not:

    u_t = x_t W_u                   input product, computed for all steps at once
    r_t = h_{t-1} W_h               recurrent product, the only product inside the loop
    a_t = join(u_t, r_t) + b_h      pre-activations of the gates; join is the sum, except in the GRU
    s_t = step(s_{t-1}, a_t)        elementwise; s_t = (h_t, ...) is the state

`step` also returns the slopes: the elementwise factors of its derivative, which `push` applies,

    ds_t = push(slopes_t, ds_{t-1}, da_t),

so that a gradient stores no more of a step than the formulas need.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.nn import initializers, sigmoid

from populace.nn.primitives.matmul import product

State = tuple[jax.Array, ...]
Slopes = tuple[jax.Array, ...]


class Cell(eqx.Module):
    """Base class of the four cells: concatenated weights for G gates of H units.

    Input weights are initialized Glorot uniform (Glorot and Bengio 2010), recurrent weights orthogonal (Saxe
    et al. 2014), each gate's block separately; biases with zeros.

    Attributes:
        W_u: (F, G H), input weights.
        W_h: (H, G H), recurrent weights.
        b_h: (G H,), biases; (4 H,) in the GRU.

    """

    W_u: jax.Array
    W_h: jax.Array
    b_h: jax.Array

    gates: ClassVar[int] = 1
    arrays: ClassVar[int] = 1
    """Number of arrays (H,) in the state; the first is the hidden state."""

    def __init__(self, inputs: int, hidden: int, *, key: jax.Array) -> None:
        input_keys, hidden_keys = jax.random.split(key, (2, self.gates))
        self.W_u = _blocks(initializers.glorot_uniform(), (inputs, hidden), input_keys)
        self.W_h = _blocks(_orthogonal, (hidden, hidden), hidden_keys)
        self.b_h = self.join(nothing := jnp.zeros(self.gates * hidden), nothing)

    def output(self, h: jax.Array) -> jax.Array:
        """Return the outputs of the layer from hidden states (..., H)."""
        return h

    @staticmethod
    def join(u: jax.Array, r: jax.Array) -> jax.Array:
        """Return the pre-activations of the gates, a linear function of the two products."""
        return u + r

    @staticmethod
    @abstractmethod
    def step(state: State, a: jax.Array) -> tuple[State, Slopes]:
        """Return the next state and the slopes of the step."""

    @staticmethod
    @abstractmethod
    def push(slopes: Slopes, dstate: State, da: jax.Array) -> State:
        """Return the tangent of the next state, linear in the tangents of the state and of `a`.

        It multiplies by the slopes only: anything computed from them here would be stored for every step too.
        """


class LinearCell(Cell):
    """`u = x W_u + b_h; h' = h W_h + u; y = h' W_o^T + b_o`.

    Attributes:
        W_o: (O, H), output weights, initialized like the input weights.
        b_o: (O,), output biases.

    """

    W_o: jax.Array
    b_o: jax.Array

    def __init__(self, inputs: int, hidden: int, outputs: int, *, key: jax.Array) -> None:
        key, output_key = jax.random.split(key)
        super().__init__(inputs, hidden, key=key)
        self.W_o = initializers.glorot_uniform()(output_key, (outputs, hidden))
        self.b_o = jnp.zeros(outputs)

    def output(self, h: jax.Array) -> jax.Array:
        """Return y = h W_o^T + b_o."""
        return product(h, self.W_o.T) + self.b_o

    @staticmethod
    def step(state: State, a: jax.Array) -> tuple[State, Slopes]:
        """Return h' = a, whose slope is one."""
        return (a,), ()

    @staticmethod
    def push(slopes: Slopes, dstate: State, da: jax.Array) -> State:
        """Return dh' = da."""
        return (da,)


class ElmanCell(Cell):
    """`h' = tanh(x W_u + b_h + h W_h)` (Elman 1990)."""

    @staticmethod
    def step(state: State, a: jax.Array) -> tuple[State, Slopes]:
        """Return h' = tanh(a) and dh'/da = 1 - h'^2."""
        h = jnp.tanh(a)
        return (h,), (1 - h * h,)

    @staticmethod
    def push(slopes: Slopes, dstate: State, da: jax.Array) -> State:
        """Return dh' = (1 - h'^2) da."""
        return (slopes[0] * da,)


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

    The weights are four blocks, in this order:

        i = sigmoid(a_i)        input gate
        f = sigmoid(a_f)        forget gate, with an initial bias of one (Jozefowicz et al. 2015)
        g = tanh(a_g)           candidate
        o = sigmoid(a_o)        output gate
        c' = f c + i g          cell
        h' = o tanh(c')         hidden state
    """

    gates = 4
    arrays = 2

    def __init__(self, inputs: int, hidden: int, *, key: jax.Array) -> None:
        super().__init__(inputs, hidden, key=key)
        self.b_h = self.b_h.at[hidden : 2 * hidden].set(1.0)

    @staticmethod
    def step(state: State, a: jax.Array) -> tuple[State, Slopes]:
        """Return (h', c'), and dc'/da_i, dc'/da_f, dc'/da_g, dc'/dc, dh'/da_o, dh'/dc'."""
        a_i, a_f, a_g, a_o = jnp.split(a, 4)
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), jnp.tanh(a_g), sigmoid(a_o)
        c = f * state[1] + i * g
        t = jnp.tanh(c)
        into_cell = (g * i * (1 - i), state[1] * f * (1 - f), i * (1 - g * g))
        return (o * t, c), (*into_cell, f, t * o * (1 - o), o * (1 - t * t))

    @staticmethod
    def push(slopes: Slopes, dstate: State, da: jax.Array) -> State:
        """Return dc' by the gates and the cell before, and dh' by the output gate and dc'."""
        by_i, by_f, by_g, by_c, h_by_o, h_by_c = slopes
        da_i, da_f, da_g, da_o = jnp.split(da, 4)
        dc = by_i * da_i + by_f * da_f + by_g * da_g + by_c * dstate[1]
        return (h_by_o * da_o + h_by_c * dc, dc)


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al. 2014), reset after the product, as in cuDNN and PyTorch.

    The weights are three blocks, in this order:

        r = sigmoid(u_r + h W_hr)               reset gate
        z = sigmoid(u_z + h W_hz)               update gate
        n = tanh(u_n + r (h W_hn + b_n))        candidate
        h' = (1 - z) n + z h

    Cho et al. reset h before the product, `n = tanh(u_n + (r h) W_hn)`, which would need a second, sequential
    product inside the loop.

    b_h has a fourth block, b_n.
    """

    gates = 3

    @staticmethod
    def join(u: jax.Array, r: jax.Array) -> jax.Array:
        """Return (u_r + r_r, u_z + r_z, u_n, r_n): the reset gate applies to one of the two parts of n."""
        edge = u.shape[-1] // 3 * 2
        return jnp.concatenate([u[..., :edge] + r[..., :edge], u[..., edge:], r[..., edge:]], axis=-1)

    @staticmethod
    def step(state: State, a: jax.Array) -> tuple[State, Slopes]:
        """Return (h',), and dh' by a_r, a_z, u_n, r_n and h."""
        (h,) = state
        a_r, a_z, u_n, r_n = jnp.split(a, 4)
        r, z = sigmoid(a_r), sigmoid(a_z)
        n = jnp.tanh(u_n + r * r_n)
        by_n = (1 - z) * (1 - n * n)
        slopes = (by_n * r_n * r * (1 - r), (h - n) * z * (1 - z), by_n, by_n * r, z)
        return (n + z * (h - n),), slopes

    @staticmethod
    def push(slopes: Slopes, dstate: State, da: jax.Array) -> State:
        """Return dh' by the reset gate, the update gate, both parts of n, and h directly."""
        by_r, by_z, by_u, by_p, by_h = slopes
        da_r, da_z, du_n, dr_n = jnp.split(da, 4)
        return (by_r * da_r + by_z * da_z + by_u * du_n + by_p * dr_n + by_h * dstate[0],)


def _orthogonal(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Return a uniformly distributed orthogonal matrix, (n, n): Q of a normal one, by reflections.

    As `jax.nn.initializers.orthogonal`, up to rounding, by Householder's method. That calls LAPACK, which
    waits for ever for threads where a program with large matrices runs on as many CPU devices as there are
    cores.
    """
    n = shape[0]
    rows = jnp.arange(n)

    def reflect(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        q, r = carry
        x = jnp.where(rows >= i, r[:, i], 0)
        v = x.at[i].add(jnp.where(x[i] < 0, -1.0, 1.0) * jnp.linalg.norm(x))
        v = v / jnp.maximum(jnp.linalg.norm(v), jnp.finfo(v.dtype).tiny)
        return q - 2 * jnp.outer(q @ v, v), r - 2 * jnp.outer(v, v @ r)

    q, r = jax.lax.fori_loop(0, n, reflect, (jnp.eye(n), jax.random.normal(key, shape)))
    return q * jnp.where(jnp.diagonal(r) < 0, -1.0, 1.0)


def _blocks(initializer: Any, shape: tuple[int, int], keys: jax.Array) -> jax.Array:
    """Return one block of weights per key, concatenated."""
    return jnp.concatenate(list(jax.vmap(lambda k: initializer(k, shape))(keys)), axis=1)

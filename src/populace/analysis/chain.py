"""A chain of differentiable links, and products of its Jacobians with vectors.

The Jacobian of l links is `J_l = dx_l/dx_0 = D_l ... D_2 D_1`. Over hundreds of links its entries leave the
range of float32, so every link is divided by a scale whose logarithm is stored: J_l is
`10^(sum of log_scales[:l])` times the scaled Jacobian that the methods below work with.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from populace.core.errors import UsageError


class Chain(Protocol):
    """Links and the state before each of them; vectors are flat."""

    sizes: tuple[int, ...]
    """Size of the state before each link and after the last."""
    log_scales: np.ndarray
    """Base-10 logarithm of the scale of each link; set while the chain is traversed."""

    def push(self, v: Any, links: int) -> Any:
        """Return the scaled `J_links v`."""
        ...

    def pull(self, u: Any, links: int) -> Any:
        """Return the scaled `J_links^T u`."""
        ...

    def dense(self, link: int) -> np.ndarray:
        """Return the unscaled Jacobian of one link as a matrix."""
        ...


class Depth:
    """A chain of layers, each with its own structure and shapes: link i is `layers[i]`."""

    def __init__(self, layers: Sequence[Callable[[Any], Any]], x: Any) -> None:
        self.layers = tuple(layers)
        self.states = [_floats(x, "the input")]
        for i, layer in enumerate(self.layers):
            self.states.append(_floats(_apply(layer, self.states[-1]), f"the output of layer {i}"))
        self.sizes = tuple(_size(s) for s in self.states)
        self.log_scales = np.zeros(len(self.layers))

    def push(self, v: Any, links: int) -> Any:
        """Return the scaled `J_links v`, by forward mode: O(links) layer calls."""
        for i in range(links):
            factor = jnp.asarray(10.0 ** -self.log_scales[i])
            v = _forward(f"layer {i}", _push, self.layers[i], self.states[i], v, factor)
        return v

    def pull(self, u: Any, links: int) -> Any:
        """Return the scaled `J_links^T u`, by reverse mode: O(links) layer calls."""
        for i in reversed(range(links)):
            u = _pull(self.layers[i], self.states[i], u, jnp.asarray(10.0 ** -self.log_scales[i]))
        return u

    def dense(self, link: int) -> np.ndarray:
        """Return the Jacobian of one layer, shape (out, in)."""
        return _jacobian(_dense, self.layers[link], self.states[link])


class Time:
    """A repeated step function: link t is `step(state)`, or `step(state, inputs[t])`.

    The loops run inside one compiled program, for any number of steps.
    """

    def __init__(self, step: Callable[..., Any], state: Any, inputs: Any, steps: int) -> None:
        state = _floats(state, "the state")
        self.step, self.inputs = step, jax.tree.map(jnp.asarray, inputs)
        given = () if inputs is None else (jax.tree.map(lambda a: a[0], self.inputs),)
        after = eqx.filter_eval_shape(step, state, *given)
        if _shapes(after) != _shapes(state):
            raise UsageError(
                f"gradient flow: step returns {_shapes(after)}, expected the state's {_shapes(state)}"
            )
        self.states, last = _roll(step, state, self.inputs, steps)
        _floats(last, "the last state")
        self.sizes = (_size(state),) * (steps + 1)
        self.log_scales = np.zeros(steps)

    def push(self, v: Any, links: int) -> Any:
        """Return the scaled `J_links v`, by forward mode: O(links) steps."""
        given = self.states, self.inputs, v, self._factors, jnp.asarray(links)
        return _forward("the step", _push_steps, self.step, *given)

    def pull(self, u: Any, links: int) -> Any:
        """Return the scaled `J_links^T u`, by reverse mode: O(links) steps."""
        return _pull_steps(self.step, self.states, self.inputs, u, self._factors, jnp.asarray(links))

    def dense(self, link: int) -> np.ndarray:
        """Return the Jacobian of one step, shape (state, state)."""
        return _jacobian(_dense_step, self.step, self.states, self.inputs, jnp.asarray(link))

    @property
    def _factors(self) -> Any:
        return jnp.asarray(10.0**-self.log_scales)


def _flat(link: Callable[[Any], Any], x: Any) -> tuple[Callable[[Any], Any], Any]:
    flat, unravel = ravel_pytree(x)
    return lambda z: ravel_pytree(link(unravel(z)))[0], flat


def _jvp(link: Callable[[Any], Any], x: Any, v: Any, factor: Any) -> Any:
    f, flat = _flat(link, x)
    out = jax.jvp(f, (flat,), (v.astype(flat.dtype),))[1]
    return out * jnp.asarray(factor, out.dtype)


def _vjp(link: Callable[[Any], Any], x: Any, u: Any, factor: Any) -> Any:
    f, flat = _flat(link, x)
    out, pull = jax.vjp(f, flat)
    back = pull(u.astype(out.dtype))[0]
    return back * jnp.asarray(factor, back.dtype)


_apply = eqx.filter_jit(lambda layer, x: layer(x))
_push, _pull = eqx.filter_jit(_jvp), eqx.filter_jit(_vjp)


@eqx.filter_jit
def _dense(jacobian: Any, link: Callable[[Any], Any], x: Any) -> Any:
    f, flat = _flat(link, x)
    return jacobian(f)(flat)


@eqx.filter_jit
def _roll(step: Callable[..., Any], state: Any, inputs: Any, steps: int) -> tuple[Any, Any]:
    def go(state: Any, given: Any) -> tuple[Any, Any]:
        after = step(state) if given is None else step(state, given)
        return after, state

    last, states = jax.lax.scan(go, state, inputs, steps)
    return states, last


def _at(step: Callable[..., Any], states: Any, inputs: Any, t: Any) -> tuple[Callable[[Any], Any], Any]:
    given = () if inputs is None else (jax.tree.map(lambda a: a[t], inputs),)
    return lambda state: step(state, *given), jax.tree.map(lambda a: a[t], states)


@eqx.filter_jit
def _push_steps(step: Any, states: Any, inputs: Any, v: Any, factors: Any, links: Any) -> Any:
    def link(t: Any, v: Any) -> Any:
        return _jvp(*_at(step, states, inputs, t), v, factors[t]).astype(v.dtype)

    return jax.lax.fori_loop(0, links, link, v)


@eqx.filter_jit
def _pull_steps(step: Any, states: Any, inputs: Any, u: Any, factors: Any, links: Any) -> Any:
    def link(i: Any, u: Any) -> Any:
        t = links - 1 - i
        return _vjp(*_at(step, states, inputs, t), u, factors[t]).astype(u.dtype)

    return jax.lax.fori_loop(0, links, link, u)


@eqx.filter_jit
def _dense_step(jacobian: Any, step: Any, states: Any, inputs: Any, t: Any) -> Any:
    f, flat = _flat(*_at(step, states, inputs, t))
    return jacobian(f)(flat)


def _jacobian(dense: Callable[..., Any], *given: Any) -> np.ndarray:
    """Return a dense Jacobian by forward mode, or by reverse mode if a link supports only that."""
    try:
        found = dense(jax.jacfwd, *given)
    except TypeError as error:
        if not _is_reverse_only(error):
            raise
        found = dense(jax.jacrev, *given)
    return np.asarray(found, np.float64)


def _forward(what: str, push: Callable[..., Any], *given: Any) -> Any:
    """Return a product by forward mode; raise a `UsageError` if a link does not support it."""
    try:
        return push(*given)
    except TypeError as error:
        if not _is_reverse_only(error):
            raise
        raise UsageError(
            f"gradient flow: {what} supports only reverse-mode differentiation (jax.custom_vjp), but "
            "method='iterative' also needs forward mode; pass method='exact'"
        ) from None


def _is_reverse_only(error: TypeError) -> bool:
    """Return whether the error says that a function has a `custom_vjp`, and hence no forward mode."""
    return "forward-mode autodiff (jvp) to a custom_vjp" in str(error)


def _floats(x: Any, what: str) -> Any:
    x = jax.tree.map(jnp.asarray, x)
    wrong = [a.dtype.name for a in jax.tree.leaves(x) if not jnp.issubdtype(a.dtype, jnp.floating)]
    if wrong or not jax.tree.leaves(x):
        found = f"is of type {wrong[0]}" if wrong else "has no arrays"
        raise UsageError(f"gradient flow: {what} {found}, expected floats")
    if not all(bool(jnp.isfinite(a).all()) for a in jax.tree.leaves(x)):
        raise UsageError(f"gradient flow: {what} contains NaN or infinity")
    return x


def _size(x: Any) -> int:
    return sum(a.size for a in jax.tree.leaves(x))


def _shapes(x: Any) -> str:
    return ", ".join(f"{a.dtype.name}{list(a.shape)}" for a in jax.tree.leaves(x))

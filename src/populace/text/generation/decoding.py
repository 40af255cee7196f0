"""Decoding: texts continued token by token, all in one program, by one network or by several that agree.

Rows are aligned at their first token: at each place every row reads its token there, which is its prompt's
as long as there is one, and then the one that was drawn. So a row is computed alike whoever is beside it.

Up to the network's context, tokens pass one at a time through its state: a cache of keys and values, or a
state of constant size. What all prompts have passes at once, in pieces of `CHUNK` tokens. Beyond the context,
where a network has a limited one, the next token is that of the whole pass over the last `context` tokens.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.text.generation.sampling import Sampling, chosen_from

SHOWN = 10
"""Likeliest tokens that are noted at every place."""
CHUNK = 64
"""Tokens of prompts that pass at once, and those that are written between two looks at whether to stop."""
ROOM = 256
"""Tokens that a cache has room for at first; twice as many when it is full: each token reads all of it."""


class Decoding(eqx.Module):
    """Texts while they are written.

    Attributes:
        tokens: (B, capacity) prompts and what was drawn.
        best: (B, capacity, SHOWN) likeliest tokens at each place, of what was drawn from.
        best_p: (B, capacity, SHOWN) their probabilities.
        log_p: (B, capacity) what the model said of the token that came, logarithm.
        place: (), the place whose token is read next.
        ended: (B,) whether `[END]` was drawn.
        state: of every network and row.
        room: tokens that the state has room for.

    """

    tokens: jax.Array
    best: jax.Array
    best_p: jax.Array
    log_p: jax.Array
    place: jax.Array
    ended: jax.Array
    state: Any
    room: int = eqx.field(static=True)


class Ensemble(eqx.Module):
    """Networks of one structure whose probabilities are averaged.

    Attributes:
        arrays: of all networks, in front.
        rest: what of a network is no array.
        count: networks.

    """

    arrays: Any
    rest: Any
    count: int = eqx.field(static=True)

    @classmethod
    def of(cls, networks: list[Any]) -> "Ensemble":
        """Return the ensemble of networks; they must have one structure."""
        parts = [eqx.partition(network, eqx.is_array) for network in networks]
        arrays = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(one) for one in x]), *(a for a, _ in parts))
        return cls(arrays, parts[0][1], len(networks))

    @property
    def context(self) -> int:
        """Tokens that the whole pass takes at most; 0 for any number."""
        return self.rest.context

    def init_state(self, rows: int, capacity: int) -> Any:
        """Return the state of every network and row before the first of `capacity` tokens."""

        def one(arrays: Any) -> Any:
            state = eqx.combine(arrays, self.rest).init_state(capacity)
            return jax.tree.map(lambda x: jnp.broadcast_to(x, (rows, *jnp.shape(x))), state)

        return self._of_each(one)

    def step(self, state: Any, tokens: jax.Array) -> tuple[Any, jax.Array]:
        """Process a token of each row, (B,); return the state, and log probabilities of the next, (B, V)."""

        def one(arrays: Any, state: Any) -> tuple[Any, jax.Array]:
            network = eqx.combine(arrays, self.rest)
            state, logits = jax.vmap(lambda s, t: network.step(s, t))(state, tokens)
            return state, jax.nn.log_softmax(logits.astype(jnp.float32))

        state, log_p = self._of_each(one, state)
        return state, self._averaged(log_p)

    def extend(self, state: Any, tokens: jax.Array) -> Any:
        """Process several tokens of each row, (B, n), and return the state."""

        def one(arrays: Any, state: Any) -> Any:
            network = eqx.combine(arrays, self.rest)
            return jax.vmap(lambda s, t: network.extend(s, t)[0])(state, tokens)

        return self._of_each(one, state)

    def passed(self, tokens: jax.Array, last: jax.Array) -> jax.Array:
        """Return log probabilities after the token at place `last` of each of the rows (B, n), (B, V)."""

        def one(arrays: Any) -> jax.Array:
            logits = jax.vmap(eqx.combine(arrays, self.rest))(tokens)
            return jax.nn.log_softmax(jnp.take(logits, last, 1).astype(jnp.float32))

        return self._averaged(self._of_each(one))

    def _of_each(self, one: Any, *state: Any) -> Any:
        if self.count > 1:
            return jax.vmap(one)(self.arrays, *state)
        # Mapped over one network, XLA would transpose its weights at every token: most of a step.
        found = one(*jax.tree.map(lambda x: x[0], (self.arrays, *state)))
        return jax.tree.map(lambda x: x[None], found)

    def _averaged(self, log_p: jax.Array) -> jax.Array:
        return jax.nn.logsumexp(log_p, 0) - np.log(self.count)


def begun(ensemble: Ensemble, prompts: list[np.ndarray], capacity: int) -> Decoding:
    """Return the texts with what all prompts have in whole pieces read, but for a last token of each.

    Args:
        ensemble: who writes.
        prompts: tokens of each row, at least one.
        capacity: places that there are.

    """
    tokens = np.zeros((len(prompts), capacity), np.int32)
    for row, prompt in zip(tokens, prompts):
        row[: len(prompt)] = prompt
    limit, shortest = ensemble.context, min(map(len, prompts))
    # Where all prompts are longer than the context, the state is never looked at.
    place = shortest - 1 if limit and shortest > limit else 0
    # A state of constant size has room for all.
    room = _room(shortest + CHUNK, capacity) if limit else 2**30
    decoding = _begun(ensemble, tokens, np.int32(place), room)
    for _ in range(0 if place else (shortest - 1) // CHUNK):
        decoding = _extended(ensemble, decoding)
    return decoding


def grown(decoding: Decoding, capacity: int) -> Decoding:
    """Return the texts with so many places, at least as many as before."""
    more = capacity - decoding.tokens.shape[1]
    if more <= 0:
        return decoding
    wide = lambda x: np.pad(np.asarray(x), [(0, 0), (0, more)] + [(0, 0)] * (x.ndim - 2))  # noqa: E731
    named = lambda d: (d.tokens, d.best, d.best_p, d.log_p)  # noqa: E731
    return eqx.tree_at(named, decoding, tuple(map(wide, named(decoding))))


def _room(tokens: int, capacity: int) -> int:
    """Return the least of `ROOM`, twice as much, ... that has room for so many tokens; at most `capacity`."""
    return min(ROOM * 2 ** max((tokens - 1) // ROOM, 0).bit_length(), max(capacity, tokens))


def _roomy(ensemble: Ensemble, decoding: Decoding, tokens: int) -> Decoding:
    """Return the texts with a state that has room for so many tokens."""
    if tokens <= decoding.room:
        return decoding
    rows, capacity = decoding.tokens.shape
    room = _room(tokens, capacity)
    shapes = eqx.filter_eval_shape(lambda: ensemble.init_state(rows, room))
    longer = lambda x, s: np.pad(np.asarray(x), [(0, b - a) for a, b in zip(x.shape, s.shape)])  # noqa: E731
    return dataclasses.replace(decoding, state=jax.tree.map(longer, decoding.state, shapes), room=room)


def advanced(
    ensemble: Ensemble, decoding: Decoding, lengths: Any, keys: Any, sampling: Sampling, until: int,
    unwritten: tuple[int, ...], end: int | None,
) -> Decoding:  # fmt: skip
    """Return the texts with their tokens drawn up to a place, or all ended.

    Args:
        ensemble: who writes.
        decoding: texts so far.
        lengths: (B,) tokens of the prompts.
        keys: of every row.
        sampling: how tokens are drawn.
        until: place of the last token that is drawn.
        unwritten: tokens that are never drawn.
        end: token that ends a text.

    """
    limit = ensemble.context
    stepped = min(until, limit) if limit else until
    if int(decoding.place) < stepped:
        decoding = _roomy(ensemble, decoding, stepped)
        decoding = _advance(
            ensemble, decoding, lengths, keys, sampling, np.int32(stepped), unwritten, end, False
        )
    if limit and stepped < until:
        decoding = _advance(
            ensemble, decoding, lengths, keys, sampling, np.int32(until), unwritten, end, True
        )
    return decoding


@eqx.filter_jit
def _begun(ensemble: Ensemble, tokens: Any, place: Any, room: int) -> Decoding:
    best = jnp.zeros((*tokens.shape, SHOWN), jnp.int32)
    none = jnp.zeros(len(tokens), bool)
    state = ensemble.init_state(len(tokens), room)
    return Decoding(
        jnp.asarray(tokens), best, jnp.zeros(best.shape), jnp.zeros(tokens.shape), jnp.asarray(place), none,
        state, room,
    )  # fmt: skip


@eqx.filter_jit
def _extended(ensemble: Ensemble, decoding: Decoding) -> Decoding:
    piece = jax.lax.dynamic_slice_in_dim(decoding.tokens, decoding.place, CHUNK, 1)
    state = ensemble.extend(decoding.state, piece)
    return eqx.tree_at(lambda d: (d.place, d.state), decoding, (decoding.place + CHUNK, state))


@eqx.filter_jit
def _advance(
    ensemble: Ensemble, decoding: Decoding, lengths: jax.Array, keys: jax.Array, sampling: Sampling,
    until: Any, unwritten: tuple[int, ...], end: int | None, whole: bool,
) -> Decoding:  # fmt: skip
    def one(d: Decoding) -> Decoding:
        place, state = d.place, d.state
        if whole:
            window = jax.lax.dynamic_slice_in_dim(d.tokens, place + 1 - ensemble.context, ensemble.context, 1)
            log_p = ensemble.passed(window, jnp.int32(ensemble.context - 1))
        else:
            state, log_p = ensemble.step(state, d.tokens[:, place])
        choice = jax.vmap(lambda row: chosen_from(row, sampling, unwritten))(log_p)
        drawn = jax.vmap(lambda key, row: jax.random.categorical(jax.random.fold_in(key, place), row))(
            keys, choice
        )
        here = jnp.where(place + 1 < lengths, d.tokens[:, place + 1], drawn.astype(jnp.int32))
        ended = d.ended
        if end is not None:
            here = jnp.where(ended, end, here)
            ended = ended | ((place + 1 >= lengths) & (here == end))
        best_p, best = jax.lax.top_k(jnp.exp(choice), min(SHOWN, choice.shape[1]))
        fill = [(0, 0), (0, SHOWN - best.shape[1])]
        came = jnp.take_along_axis(log_p, here[:, None], 1)[:, 0]
        put = lambda x, value: jax.lax.dynamic_update_index_in_dim(x, value.astype(x.dtype), place + 1, 1)  # noqa: E731
        return Decoding(
            put(d.tokens, here), put(d.best, jnp.pad(best, fill)), put(d.best_p, jnp.pad(best_p, fill)),
            put(d.log_p, came), place + 1, ended, state, d.room,
        )  # fmt: skip

    return jax.lax.while_loop(lambda d: (d.place < until) & ~d.ended.all(), one, decoding)

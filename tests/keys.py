"""Which random keys a function consumes, found in its jaxpr without running it.

JAX's `fold_in(key, i)` is `split(key, n)[i]`, bit for bit: a key that is both split and folded gives the same
key twice, and what is drawn from the two is the same. So a key may be split once, or drawn from once, or
folded with numbers that are all different, and nothing beside it.

Every value gets a name by what it was computed from, so equal computations have equal names; keys are arrays
of names, one for each key. The body of a loop is gone through twice, with what the first turn carries on, so
that a key from outside the loop that every turn uses is found.
"""

import itertools
from collections import defaultdict
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

_MOVES = ("slice", "squeeze", "reshape", "broadcast_in_dim", "concatenate", "transpose", "copy", "copy_p")


def misused_keys(function: Any, *arguments: Any) -> list[str]:
    """Return what is wrong with the use of keys by a function, one line for each key."""
    jaxpr = jax.make_jaxpr(function)(*arguments)
    audit = _Audit()
    audit.run(jaxpr.jaxpr, jaxpr.consts, [audit.fresh(v.aval) for v in jaxpr.jaxpr.invars])
    return audit.wrong()


def _is_key(aval: Any) -> bool:
    return jax.dtypes.issubdtype(getattr(aval, "dtype", np.float32), jax.dtypes.prng_key)


class _Audit:
    def __init__(self) -> None:
        self.names: dict[Any, int] = {}
        self.count = itertools.count()
        self.uses: dict[int, list[tuple[str, Any]]] = defaultdict(list)

    def wrong(self) -> list[str]:
        found = []
        for key, uses in self.uses.items():
            kinds = {kind for kind, _ in uses}
            if len(kinds) > 1:
                found.append(f"key {key} is {' and '.join(sorted(kinds))}")
            elif len(set(uses)) < len(uses):
                found.append(f"key {key} is {uses[0][0]} {len(uses)} times with the same number")
        return found

    def name(self, *what: Any) -> int:
        """Return the name of what is computed so: the same for the same."""
        return self.names.setdefault(what, next(self.count))

    def fresh(self, aval: Any, *what: Any) -> Any:
        """Return a value of its own: for keys an array of names."""
        what = what or (next(self.count),)
        if not _is_key(aval):
            return self.name("value", *what)
        names = [self.name("key", i, *what) for i in range(int(np.prod(aval.shape)))]
        return np.array(names, object).reshape(aval.shape)

    def run(self, jaxpr: Jaxpr, consts: Any, arguments: list[Any]) -> list[Any]:
        values: dict[Any, Any] = dict(zip(jaxpr.invars, arguments))
        values |= {v: self.fresh(v.aval, "const", id(c)) for v, c in zip(jaxpr.constvars, consts)}

        def read(atom: Any) -> Any:
            return self.name("literal", str(atom.val)) if isinstance(atom, Literal) else values[atom]

        for eqn in jaxpr.eqns:
            values |= zip(eqn.outvars, self.step(eqn, [read(atom) for atom in eqn.invars]))
        return [read(atom) for atom in jaxpr.outvars]

    def step(self, eqn: Any, given: list[Any]) -> list[Any]:
        kind, params = eqn.primitive.name, eqn.params
        if kind in ("random_split", "random_bits", "random_fold_in"):
            does = {"random_split": "split", "random_bits": "drawn from", "random_fold_in": "folded"}[kind]
            number = given[1] if kind == "random_fold_in" else None
            for key in given[0].ravel():
                self.uses[key].append((does, number))
        inner = [p for p in params.values() if isinstance(p, ClosedJaxpr | Jaxpr)]
        if kind == "scan":
            return self.loop(params["jaxpr"], given, params["num_consts"], params["num_carry"], eqn)
        if kind == "while":
            split = params["cond_nconsts"], params["body_nconsts"]
            return self.loop(params["body_jaxpr"], given[split[0] :], split[1], len(eqn.outvars), eqn)
        if kind == "cond":
            return self.branches(params["branches"], given[1:], eqn)
        if len(inner) == 1 and len(_open(inner[0]).invars) == len(given):
            found = self.run(*_parts(inner[0]), given)
            return found if len(found) == len(eqn.outvars) else self.made(eqn, given)
        if kind in _MOVES and _is_key(eqn.outvars[0].aval):
            return [_moved(kind, params, given)]
        return self.made(eqn, given)

    def made(self, eqn: Any, given: list[Any]) -> list[Any]:
        what = tuple(tuple(g.ravel()) if isinstance(g, np.ndarray) else g for g in given)
        params = str({k: v for k, v in eqn.params.items() if not isinstance(v, ClosedJaxpr | Jaxpr)})
        return [self.fresh(v.aval, eqn.primitive.name, params, what, i) for i, v in enumerate(eqn.outvars)]

    def loop(self, body: Any, given: list[Any], consts: int, carried: int, eqn: Any) -> list[Any]:
        fixed, carry, xs = given[:consts], given[consts : consts + carried], given[consts + carried :]
        stacked = [v.aval for v in _open(body).invars[consts + carried :]]
        turns = min([2, *(len(x) for x in xs if isinstance(x, np.ndarray))])
        for turn in range(turns):
            each = [
                np.array(x[turn], object) if isinstance(x, np.ndarray) else self.fresh(aval)
                for x, aval in zip(xs, stacked)
            ]
            carry = self.run(*_parts(body), [*fixed, *carry, *each])[:carried]
        return [*carry, *(self.fresh(v.aval) for v in eqn.outvars[carried:])]

    def branches(self, branches: Any, given: list[Any], eqn: Any) -> list[Any]:
        """Go through each branch by itself: of a key's uses in several, those of one are what happens."""
        before, most = {k: list(v) for k, v in self.uses.items()}, None
        for branch in branches:
            self.uses = defaultdict(list, {k: list(v) for k, v in before.items()})
            self.run(*_parts(branch), given)
            if most is None or sum(map(len, self.uses.values())) > sum(map(len, most.values())):
                most = self.uses
        self.uses = most if most is not None else self.uses
        return [self.fresh(v.aval) for v in eqn.outvars]


def _open(jaxpr: Any) -> Any:
    return jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr


def _parts(jaxpr: Any) -> tuple[Any, Any]:
    return _open(jaxpr), jaxpr.consts if isinstance(jaxpr, ClosedJaxpr) else ()


def _moved(kind: str, params: Any, given: list[Any]) -> np.ndarray:
    """Return names moved as the primitive moves keys."""
    x = given[0]
    if kind == "slice":
        steps = params["strides"] or (1,) * x.ndim
        return x[tuple(map(slice, params["start_indices"], params["limit_indices"], steps))]
    if kind == "squeeze":
        return x.squeeze(tuple(params["dimensions"]))
    if kind == "reshape":
        return x.reshape(params["new_sizes"])
    if kind == "transpose":
        return x.transpose(params["permutation"])
    if kind == "concatenate":
        return np.concatenate(given, params["dimension"])
    if kind == "broadcast_in_dim":
        shape = [1] * len(params["shape"])
        for axis, size in zip(params["broadcast_dimensions"], x.shape):
            shape[axis] = size
        return np.broadcast_to(x.reshape(shape), params["shape"])
    return x

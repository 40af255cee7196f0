"""Mutations of files and recipes: what a bad disk does, a slip of the pen, and somebody who means harm."""

import random
import struct
from typing import Any

NUMBERS = (
    0,
    -1,
    1,
    2,
    255,
    256,
    2**31 - 1,
    2**31,
    2**32 + 1,
    10**9,
    10**12,
    2**53,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.5,
    1.5,
    1e-300,
    1e300,
    -1e9,
)
TEXTS = (
    "",
    " ",
    "\x1b[31mred\x1b]0;title\x07",
    "[bold red]markup[/]",
    "[/]",
    "../../x",
    "/tmp/x",
    "a" * 5000,
    "\u202eevil",
    "CON",
    "x\ny",
    "os:system(command='touch fuzz-was-here')",
    "subprocess:check_output(args=['touch', 'fuzz-was-here'])",
    "gymnasium:no_such:Maze-v0",
    "gymnasium:NoSuch-v0",
    "CartPole-v1(",
    "CartPole-v1(max_steps_in_episode=0x" + "f" * 5000 + ")",
    "Braking-v0(friction=" + "(" * 300 + ")" * 300 + ")",
    "LineWorld-v0(x=[1,{[]:2}])",
    "nan",
    "none",
    "auto",
    "dqn",
    "\ud7ff\uffff",
)


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Return a file with one to four changes."""
    for _ in range(rng.randint(1, 4)):
        content = rng.choice(_BYTES)(rng, content)
    return content


def _flip(rng: random.Random, content: bytes) -> bytes:
    if not content:
        return b"\x00"
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randint(0, len(content))]


def _remove(rng: random.Random, content: bytes) -> bytes:
    at = rng.randint(0, len(content))
    return content[:at] + content[at + rng.randint(1, 40) :]


def _insert(rng: random.Random, content: bytes) -> bytes:
    at = rng.randint(0, len(content))
    new = rng.choice(
        (
            rng.randbytes(rng.randint(1, 12)),
            b"\xff\xfe",
            b"[" * 500,
            b"9" * 5000,
            b"\x00" * 64,
            b"\x1b[2J",
            b"NaN",
            b"1e999",
        )
    )
    return content[:at] + new + content[at:]


def _number(rng: random.Random, content: bytes) -> bytes:
    """Overwrite a few bytes by a number in binary: counts and offsets are such."""
    at = rng.randint(0, max(len(content) - 8, 0))
    form, bits = rng.choice((("<q", 63), (">I", 31), ("<i", 31), ("<H", 15)))
    new = struct.pack(form, rng.choice((0, 1, 2**bits - 1, 2 ** (bits - 1))))
    return content[:at] + new + content[at + len(new) :]


def _digits(rng: random.Random, content: bytes) -> bytes:
    """Replace a number in text."""
    places = [i for i, c in enumerate(content) if 48 <= c <= 57]
    if not places:
        return content
    at = rng.choice(places)
    end = at
    while end < len(content) and 48 <= content[end] <= 57:
        end += 1
    return content[:at] + str(rng.choice(NUMBERS)).encode() + content[end:]


def _repeat(rng: random.Random, content: bytes) -> bytes:
    at = rng.randint(0, len(content))
    part = content[at : at + rng.randint(1, 60)]
    return content[:at] + part * rng.choice((2, 3, 40)) + content[at + len(part) :]


_BYTES = (_flip, _flip, _cut, _remove, _insert, _number, _digits, _digits, _repeat)


def changed(rng: random.Random, tree: Any, values: tuple[Any, ...] = (*NUMBERS, *TEXTS)) -> Any:
    """Return nested tables and lists with one value replaced, removed, renamed, or of another type."""
    paths = list(_paths(tree))
    if not paths:
        return rng.choice(values)
    path = rng.choice(paths)
    return _at(rng, tree, path, values)


def nudged(rng: random.Random, tree: Any) -> Any:
    """Return nested tables with one number, yes or no moved to another that may be as good."""
    paths = [path for path in _paths(tree) if isinstance(_found(tree, path), bool | int | float)]
    path = rng.choice(paths)
    value: Any = _found(tree, path)
    if isinstance(value, bool):
        moved: Any = not value
    elif isinstance(value, int):
        moved = rng.choice((0, 1, 2, 3, value + 1, value * 2, value // 2))
    else:
        moved = rng.choice((0.0, 0.5, 1.0, 1e-3, 3.0, value * 2, value / 2))
    return _put(tree, path, moved)


def _found(tree: Any, path: tuple) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _put(tree: Any, path: tuple, value: Any) -> Any:
    if not path:
        return value
    made: Any = dict(tree) if isinstance(tree, dict) else list(tree)
    made[path[0]] = _put(made[path[0]], path[1:], value)
    return made


def _paths(tree: Any, path: tuple = ()) -> Any:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _paths(value, (*path, key))


def _at(rng: random.Random, tree: Any, path: tuple, values: tuple[Any, ...]) -> Any:
    made: Any = dict(tree) if isinstance(tree, dict) else list(tree)
    key, rest = path[0], path[1:]
    if rest:
        made[key] = _at(rng, made[key], rest, values)
        return made
    how = rng.random()
    if how < 0.1:
        del made[key]
    elif how < 0.2 and isinstance(made, dict):
        made[rng.choice([k for k in TEXTS if k.isprintable() or "\x1b" in k])] = made.pop(key)
    elif how < 0.3:
        made[key] = rng.choice(([], {}, [made[key]], {"kind": made[key]}, [[made[key]] * 3], True))
    elif how < 0.6 and isinstance(made[key], int | float) and not isinstance(made[key], bool):
        made[key] = rng.choice((made[key] * 2, -made[key], made[key] + 1, made[key] / 2, float(made[key])))
    else:
        made[key] = rng.choice(values)
    return made

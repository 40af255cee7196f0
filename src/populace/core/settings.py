"""Settings: the fields of a module, with a type, a range and a meaning that a person can read.

One declaration serves the constructor, sweeps, recipes, the command line and `populace show`.
A `float` setting is a traced leaf and may differ between the members of one program; every other
type is structure (`eqx.field(static=True)`), and a sweep over it splits the population in groups.
"""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar, TypeVar

import equinox as eqx

from populace.core.errors import UnknownKindError, UsageError, unknown
from populace.core.imports import by_path
from populace.core.untrusted.shown import shown
from populace.core.values import Meaning, checked, is_array, plain, type_name

_KEY = "populace"
S = TypeVar("S", bound="Settings")


def setting(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: tuple[Any, ...] | None = None,
    advice: str = "",
    static: bool | None = None,
) -> Any:
    """Declare a field of a [`Settings`][populace.core.settings.Settings] module.

    Args:
        default: a `float` makes a traced leaf; `int`, `str`, `bool` and tuples make structure; a
            module makes a nested module.
        help: one line on what it means, with its unit.
        low: smallest value allowed.
        high: largest value allowed.
        above: value that must be exceeded.
        choices: the only values allowed.
        advice: what to do, for whoever gives a value of another type.
        static: whether it is structure, where the default does not tell.

    """
    # Equinox warns of NumPy's numbers in fields of structure before `__check_init__` sees them.
    metadata = {_KEY: Meaning(help, low, high, above, choices, advice)}
    how: dict[str, Any] = {"metadata": metadata, "converter": plain}
    if isinstance(default, eqx.Module):
        return eqx.field(default_factory=lambda: default, **how)
    if static is None:
        static = default is not dataclasses.MISSING and not isinstance(default, float)
    if default is dataclasses.MISSING:
        return eqx.field(static=static, **how)
    return eqx.field(default=default, static=static, **how)


class Settings(eqx.Module):
    """A module whose fields are settings, checked when it is made.

    A subclass that stands beside others for one field (a kind of schedule) names itself by the
    class variable `kind`.

    Raises:
        UsageError: a value of the wrong type or outside its range.

    """

    kind: ClassVar[str] = ""

    @classmethod
    def from_plain(cls, value: Any) -> Any:
        """Return what a value, given for a field of this type, stands for; by default itself.

        A subclass may read more forms than a kind, a table of settings, and a module.
        """
        return value

    def __check_init__(self) -> None:
        """Check every field that declares a meaning."""
        for field in _fields(type(self)):
            if not is_array(value := getattr(self, field.name)):
                clean = _coerce(field, value, field.name)
                object.__setattr__(self, field.name, clean)


@dataclasses.dataclass(frozen=True)
class Field:
    """One setting of a module type: its name, type hint, meaning and default."""

    name: str
    hint: Any
    meaning: Meaning
    default: Any

    @property
    def type_name(self) -> str:
        """The type in words, such as `float` or `list of int`."""
        return type_name(self.hint)

    @property
    def nested(self) -> bool:
        """Whether the value is itself a module with settings."""
        return isinstance(self.hint, type) and issubclass(self.hint, Settings)


def describe(cls: type[Settings]) -> list[Field]:
    """Return the settings of a module type, in the order they were declared."""
    return list(_fields(cls))


def walk(module: Settings, prefix: str = "") -> Iterator[tuple[str, Field, Any]]:
    """Yield (dotted path, field, value) of every setting, nested modules included."""
    for field in _fields(type(module)):
        value = getattr(module, field.name)
        path = prefix + field.name
        yield path, field, value
        if isinstance(value, Settings):
            yield from walk(value, path + ".")


def variants(base: type[Settings]) -> dict[str, type[Settings]]:
    """Return the kinds that a nested setting may take, of modules imported so far, by name."""
    found = {c.kind: c for sub in base.__subclasses__() for c in variants(sub).values()}
    return ({base.kind: base} if base.kind else {}) | found


def replace(module: S, path: str, value: Any) -> S:
    """Return the module with one setting, named by a dotted path, changed and checked.

    Raises:
        UsageError: no such setting, a wrong type, or a value outside its range.

    """
    return _replace(module, path.split("."), value, path)


def to_plain(value: Any) -> Any:
    """Return the value of a setting as TOML and JSON have it: nested settings as a table, tuples as lists."""
    if isinstance(value, Settings):
        return to_dict(value)
    return list(value) if isinstance(value, tuple) else value


def to_dict(module: Settings) -> dict[str, Any]:
    """Return all settings as plain values: what `recipe.toml` keeps."""
    values: dict[str, Any] = {"kind": _kind_of(module)} if module.kind else {}
    for field in _fields(type(module)):
        if (value := to_plain(getattr(module, field.name))) is not None:
            values[field.name] = value
    return values


def from_dict(cls: type[S], values: Mapping[str, Any], where: str = "") -> S:
    """Make a module from plain values; what is not given takes its default.

    Raises:
        UsageError: an unknown key (with the nearest known one), a wrong type or value.

    """
    fields = {field.name: field for field in _fields(cls)}
    given = {}
    for key, value in values.items():
        if key not in fields:
            raise unknown("setting", key, fields, where=f" of {where}" if where else "")
        given[key] = _coerce(fields[key], value, f"{where}.{key}" if where else key)
    missing = [f.name for f in fields.values() if f.default is dataclasses.MISSING]
    for name in missing:
        if name not in given:
            raise UsageError(f"setting '{name}' of {where or cls.__name__} is required")
    try:
        return cls(**given)
    except TypeError as error:  # a field that is no setting: data, which no recipe holds
        raise UnknownKindError(f"{cls.__name__} cannot be made from settings alone: {error}") from None


def _kind_of(module: Settings) -> str:
    """Return the kind as a recipe names it: its import path, if the class is outside populace."""
    cls = type(module)
    anywhere = cls.__module__ != "__main__" and "<locals>" not in cls.__qualname__
    own = cls.__module__.partition(".")[0] != __name__.partition(".")[0]
    return by_path.path_of(cls) if own and anywhere else module.kind


@cache
def _fields(cls: type[Settings]) -> tuple[Field, ...]:
    hints = typing.get_type_hints(cls)
    fields = []
    for f in dataclasses.fields(cls):  # pyright: ignore[reportArgumentType]
        if _KEY not in f.metadata:
            continue
        default = f.default
        if f.default_factory is not dataclasses.MISSING:
            default = f.default_factory()
        fields.append(Field(f.name, hints[f.name], f.metadata[_KEY], default))
    return tuple(fields)


def _replace(module: S, path: list[str], value: Any, whole: str) -> S:
    fields = {field.name: field for field in _fields(type(module))}
    name, rest = path[0], path[1:]
    if rest == ["kind"] and name in fields and fields[name].nested:
        rest = []  # `network.kind` is what a recipe calls it; the kind alone says the same
    if name not in fields:
        known = [p for p, _, _ in walk(module)]
        owner = whole.removesuffix(".".join(path))
        if owner and not known:
            raise UsageError(
                f"unknown setting '{whole}': {owner[:-1]} is of kind {module.kind}, which has no settings; "
                f"set {owner[:-1]} to another kind first"
            )
        where = f" of kind {module.kind}" if owner and module.kind else ""
        raise unknown("setting", ".".join(path), known, where=where, owner=owner)
    if rest:
        child = getattr(module, name)
        if not isinstance(child, Settings):
            raise UsageError(f"setting '{whole}': '{name}' is a {fields[name].type_name} and has no parts")
        value = _replace(child, rest, value, whole)
    else:
        value = _coerce(fields[name], value, whole)
    return dataclasses.replace(module, **{name: value})  # pyright: ignore[reportArgumentType]


def _coerce(field: Field, value: Any, path: str) -> Any:
    if field.nested:
        return _coerce_module(field, value, path)
    return checked(value, field.hint, field.meaning, path)


def _coerce_module(field: Field, value: Any, path: str) -> Any:
    value = field.hint.from_plain(value)
    if isinstance(value, field.hint):
        return value
    kinds = variants(field.hint)
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, Mapping):
        raise UsageError(f"{path} must be one of {', '.join(kinds)} with its settings, got {shown(value)}")
    default_kind = field.default.kind if isinstance(field.default, Settings) else ""
    kind = value.get("kind", default_kind)
    paths = {by_path.path_of(c): c for c in kinds.values()}
    if (cls := (kinds | paths).get(str(kind))) is None:
        raise UnknownKindError(str(unknown("kind", str(kind), kinds, where=f" of {path}")))
    return from_dict(cls, {k: v for k, v in value.items() if k != "kind"}, path)

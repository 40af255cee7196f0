"""Settings: types, ranges, kinds, names, and back again from plain values."""

import math
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from populace.core import settings
from populace.core.errors import UsageError, unknown
from populace.core.settings import Settings, setting
from populace.core.values import Meaning
from populace.rl import DQN
from populace.rl.exploration.strategies import Exploration, ExponentialDecay, LinearDecay


class Shape(Settings):
    """One of several, chosen by `kind`."""


class Ball(Shape):
    """A ball."""

    kind: ClassVar[str] = "ball"
    radius: float = setting(1.0, above=0, help="in metres")


class Box(Shape):
    """A box."""

    kind: ClassVar[str] = "box"
    width: float = setting(1.0, low=0, high=10, help="in metres")


class Thing(Settings):
    """One of every type."""

    rate: float = setting(0.5, low=0, high=1, help="a share")
    count: int = setting(3, low=1, high=9, help="how many")
    flag: bool = setting(True, help="whether")
    color: str = setting("red", choices=("red", "blue"), help="which")
    widths: tuple[int, ...] = setting((4, 5), low=1, help="a list")
    limit: int | None = setting(None, low=0, help="none for no limit")
    shape: Shape = setting(Ball(), help="what it looks like")


class Demanding(Settings):
    """A setting without a default."""

    size: int = setting(help="how large", static=True)


# -- types ---------------------------------------------------------------------------------------------


@given(st.integers(0, 1) | st.floats(0, 1))
def test_a_float_takes_whole_numbers_too_and_is_a_float(value):
    thing = settings.replace(Thing(), "rate", value)
    assert type(thing.rate) is float
    assert thing.rate == value


@pytest.mark.parametrize("path", ["rate", "count", "widths", "color", "limit"])
@pytest.mark.parametrize("value", [True, False])
def test_a_bool_is_no_number_and_no_text(path, value):
    with pytest.raises(UsageError, match=path):
        settings.replace(Thing(), path, value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("rate", "0.5"), ("rate", None), ("rate", [0.5]), ("count", 2.0), ("count", "2"),
        ("count", None), ("flag", 1), ("flag", "true"), ("color", 1), ("color", None),
        ("widths", 4), ("widths", "45"), ("widths", [1.5]), ("widths", ["4"]), ("limit", 1.5),
        ("shape", 3), ("shape", None), ("shape", [1]), ("shape", {"kind": 1}),
        ("shape", {"kind": ["ball"]}), ("shape.radius", "1"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_refused_by_name(path, value):
    with pytest.raises(UsageError, match=path.replace(".", r"\.")) as refused:
        settings.replace(Thing(), path, value)
    assert refused.value.exit_code == 2
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("value", [[7, 8], (7, 8)])
def test_lists_and_tuples_are_the_same(value):
    assert settings.replace(Thing(), "widths", value).widths == (7, 8)


@pytest.mark.filterwarnings("error")
def test_numbers_of_numpy_are_numbers():
    import numpy as np

    thing = Thing(rate=np.float32(0.25), count=np.int64(4))
    assert (type(thing.rate), type(thing.count)) == (float, int)
    assert (thing.rate, thing.count) == (0.25, 4)
    thing = Thing(widths=(np.int64(7), np.int64(8)))
    assert [type(width) for width in thing.widths] == [int, int]


# -- ranges --------------------------------------------------------------------------------------------


@given(st.floats() | st.integers())
def test_exactly_the_range_is_accepted(value):
    if 0 <= value <= 1:
        assert settings.replace(Thing(), "rate", value).rate == value
        assert Thing(rate=value).rate == value
    else:
        for make in (lambda: settings.replace(Thing(), "rate", value), lambda: Thing(rate=value)):
            with pytest.raises(UsageError, match=r"rate must be in \[0, 1\]"):
                make()


@given(st.integers())
def test_bounds_of_whole_numbers_are_inclusive(value):
    if 1 <= value <= 9:
        assert Thing(count=value).count == value
    else:
        with pytest.raises(UsageError, match="count"):
            Thing(count=value)


@given(st.floats())
def test_above_is_exclusive(value):
    if value > 0 and math.isfinite(np.float32(value)):
        assert Ball(value).radius == value
    else:
        with pytest.raises(UsageError, match=r"radius must be (> 0|at most 3\.4e38)"):
            Ball(value)


@given(st.lists(st.integers(-2, 5), max_size=4))
def test_every_entry_of_a_list_is_checked(values):
    if all(v >= 1 for v in values):
        assert Thing(widths=values).widths == tuple(values)
    else:
        with pytest.raises(UsageError, match="widths"):
            Thing(widths=values)


def test_only_the_choices_are_accepted():
    assert Thing(color="blue").color == "blue"
    with pytest.raises(UsageError, match=r"color must be one of red \| blue, got 'bleu'"):
        Thing(color="bleu")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nothing_that_is_not_finite_is_accepted_even_without_a_range(value):
    class Free(Settings):
        level: float = setting(0.0, help="any number")

    with pytest.raises(UsageError, match="level must be finite"):
        Free(value)


def test_numbers_are_those_of_programs():
    # 2^31 - 1 is the largest int32; a float beyond float32 would be infinite there.
    assert Thing(widths=(2**31 - 1,)).widths == (2147483647,)
    with pytest.raises(UsageError, match="widths must be at most 2,147,483,647 in size, got 2147483648"):
        Thing(widths=(2**31,))
    most = float(np.finfo(np.float32).max)
    assert Ball(math.nextafter(most, math.inf)).radius > most, "rounded, it is the largest"
    with pytest.raises(UsageError, match=r"radius must be at most 3\.4e38, the largest number of float32"):
        Ball(3.5e38)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"low": 0, "high": 1}, "[0, 1]"), ({"above": 0, "high": 1}, "(0, 1]"),
        ({"above": 0}, "> 0"), ({"low": 1}, ">= 1"), ({"high": 1}, "<= 1"), ({}, ""),
        ({"choices": ("a", "b")}, "a | b"),
    ],
)  # fmt: skip
def test_a_range_in_words(bounds, words):
    assert Meaning("", **bounds).range() == words


# -- names and kinds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("rat", "rate"), ("cuont", "count"), ("colour", "color"), ("shape.radios", "shape.radius"),
        ("RATE", "rate"), ("shpe.radius", "shape.radius"),
    ],
)  # fmt: skip
def test_the_nearest_name_is_given(path, nearest):
    with pytest.raises(UsageError, match=f"did you mean '{nearest}'"):
        settings.replace(Thing(), path, 1)


def test_far_names_get_all_known_ones():
    with pytest.raises(UsageError, match="known: count, rate"):
        raise unknown("setting", "zzzz", ["rate", "count"])


def test_no_known_names_are_said_to_be_none():
    assert "there are none" in str(unknown("recipe", "x", []))


def test_a_setting_without_parts_has_no_parts():
    with pytest.raises(UsageError, match="has no parts"):
        settings.replace(Thing(), "rate.of", 1)


def test_kinds_are_found_by_their_name():
    assert settings.variants(Shape) == {"ball": Ball, "box": Box}
    kinds = {"constant", "linear", "exponential", "sinusoidal", "boltzmann", "ucb"}
    assert settings.variants(Exploration).keys() == kinds


@pytest.mark.parametrize("value", ["box", {"kind": "box"}, {"kind": "box", "width": 1}, Box()])
def test_a_kind_may_be_given_in_several_ways(value):
    thing = settings.replace(Thing(), "shape", value)
    assert isinstance(thing.shape, Box)
    assert thing.shape.width == 1.0


def test_a_table_without_a_kind_is_of_the_default_kind():
    thing = settings.from_dict(Thing, {"shape": {"radius": 2}})
    assert isinstance(thing.shape, Ball)
    assert thing.shape.radius == 2.0


def test_settings_of_another_kind_are_unknown():
    with pytest.raises(UsageError, match=r"unknown setting 'radius' of shape"):
        settings.from_dict(Thing, {"shape": {"kind": "box", "radius": 2.0}})
    with pytest.raises(UsageError, match=r"shape\.width"):
        settings.replace(Thing(), "shape.width", 2.0)


def test_a_nested_value_is_named_by_its_whole_path():
    with pytest.raises(UsageError, match=r"shape\.radius must be > 0, got -1"):
        settings.from_dict(Thing, {"shape": {"radius": -1.0}})


def test_what_has_no_default_is_required():
    with pytest.raises(UsageError, match="'size'"):
        settings.from_dict(Demanding, {})
    assert settings.from_dict(Demanding, {"size": 3}).size == 3


# -- there and back ------------------------------------------------------------------------------------

shapes = st.builds(Ball, st.floats(1e-300, 1e38)) | st.builds(Box, st.floats(0, 10))
things = st.builds(
    Thing,
    rate=st.floats(0, 1),
    count=st.integers(1, 9),
    flag=st.booleans(),
    color=st.sampled_from(["red", "blue"]),
    widths=st.lists(st.integers(1, 2**31 - 1), max_size=3).map(tuple),
    limit=st.none() | st.integers(0, 2**31 - 1),
    shape=shapes,
)


@given(things)
def test_plain_values_make_the_same_thing_again(thing):
    plain = settings.to_dict(thing)
    again = settings.from_dict(Thing, plain)
    assert list(settings.walk(again)) == list(settings.walk(thing)) or again == thing
    assert settings.to_dict(again) == plain


@given(things, things)
def test_replacing_every_setting_makes_the_other_thing(one, other):
    for path, field, value in settings.walk(other):
        if not field.nested:
            one = settings.replace(one, path, value)
        else:
            one = settings.replace(one, path, settings.to_dict(value))
    assert settings.to_dict(one) == settings.to_dict(other)


@given(things, st.floats(0, 1))
def test_replacing_changes_a_copy_and_only_what_was_named(thing, rate):
    before = settings.to_dict(thing)
    changed = settings.replace(thing, "rate", rate)
    assert settings.to_dict(thing) == before
    assert settings.to_dict(changed) == before | {"rate": rate}


def test_walk_gives_every_path_once():
    paths = [path for path, _, _ in settings.walk(Thing())]
    assert paths == ["rate", "count", "flag", "color", "widths", "limit", "shape", "shape.radius"]


def test_describe_gives_types_in_words():
    words = {field.name: field.type_name for field in settings.describe(Thing)}
    assert words["rate"] == "float"
    assert words["widths"] == "list of int"
    assert words["limit"] == "int or none"


# -- the agent's own settings --------------------------------------------------------------------------


def test_every_setting_of_dqn_says_what_it_means():
    for path, field, _ in settings.walk(DQN()):
        assert len(field.meaning.help) > 5, path


def test_float_settings_are_leaves_and_others_are_structure():
    import jax

    leaves = jax.tree.leaves(DQN())
    floats = [f for _, f, v in settings.walk(DQN()) if isinstance(v, float)]
    assert len(leaves) == len(floats)
    assert all(isinstance(leaf, float) for leaf in leaves)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"discount": 1.5}, "discount"), ({"learning_rate": math.nan}, "learning_rate"),
        ({"replay_capacity": 30_000.0}, "replay_storage"), ({"replay_capacity": 10.0}, "batch_size"),
        ({"warmup": 30_000}, "warmup"), ({"env": "CartPol-v1"}, "CartPole-v1"),
    ],
)  # fmt: skip
def test_dqn_refuses_what_does_not_fit(values, word):
    with pytest.raises(UsageError, match=word):
        DQN(**values).check()


@pytest.mark.parametrize("kind", [LinearDecay, ExponentialDecay])
def test_epsilon_is_a_probability(kind):
    for bad in (-0.1, 1.1, math.nan):
        with pytest.raises(UsageError, match="start"):
            kind(start=bad)

"""Films of fields in time, over one coordinate of space and over two."""

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

import populace.physics as ph
from populace.core.media import Image, Video
from populace.physics.films import films
from populace.physics.objective import Model


def test_a_film_moves_where_the_field_does() -> None:
    u, x, t = ph.field("u"), ph.coordinate("x"), ph.coordinate("t")
    line = ph.Interval(0, 1) * ph.Time(0, 2)
    moving = ph.Problem(line, [ph.d(u, "t") - x], exact={"u": x * t})
    model = Model(Partial(lambda p: p[:1] * p[1:2]), {})
    made = films(moving, model, "float32", 4)
    assert list(made) == ["u in time"]
    film = made["u in time"]
    assert isinstance(film, Video)
    assert film.caption == "Field u from t = 0 to 2"
    frames = np.stack(list(film.frames))
    assert frames.shape == (4, 468, 832, 3)
    assert frames.dtype == np.uint8
    assert all((a != b).any() for a, b in pairwise(frames))
    assert films(ph.Problem(ph.Interval(0, 1), [ph.d(u, "x")]), model, "float32") == {}


def test_over_a_plane_there_are_maps_and_stills() -> None:
    u = ph.field("u")
    plane = ph.Rectangle((0, 0), (1, 1)) * ph.Time(0, 1)
    model = Model(Partial(lambda p: jnp.sin(3 * p[:1]) - p[2:]), {})
    made = films(ph.Problem(plane, [ph.d(u, "t")]), model, "float32", 2)
    assert list(made) == ["u in time", "u in slices"]
    still = made["u in slices"]
    assert isinstance(still, Image)
    assert still.image.std() > 10

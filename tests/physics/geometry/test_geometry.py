import jax
import numpy as np
import pytest

import populace.physics as ph
from populace.core.errors import UsageError
from populace.physics.sampling.sampler import interior, on_side, shares

SHAPES = {
    "interval": (ph.Interval(-1, 2), 3.0, 2.0),
    "rectangle": (ph.Rectangle((0, 0), (2, 1)), 2.0, 6.0),
    "box": (ph.Box((0, 0, 0), (1, 2, 3)), 6.0, 22.0),
    "disc": (ph.Disc((1, 1), 0.5), np.pi / 4, np.pi),
    "ball": (ph.Ball((0, 0, 0), 1.0), 4 / 3 * np.pi, 4 * np.pi),
    "triangle": (ph.Polygon([(0, 0), (0, 1), (2, 0)]), 1.0, 3 + np.sqrt(5)),  # clockwise
    "notch": (ph.Polygon([(0, 0), (2, 0), (2, 2), (1, 0.5), (0, 2)]), 2.5, 6 + 2 * np.hypot(1, 1.5)),
    "plate": (ph.Rectangle((0, 0), (2, 2)) - ph.Disc((1, 1), 0.5), 4 - np.pi / 4, 8 + np.pi),
    "corner": (ph.Rectangle((0, 0), (2, 2)) - ph.Rectangle((1, 1), (2, 2)), 3.0, 8.0),
    "joined": (ph.Rectangle((0, 0), (1, 1)) | ph.Rectangle((1, 0), (2, 1)), 2.0, 6.0),
    "lens": (ph.Disc((0, 0), 1.0) & ph.Disc((1, 0), 1.0), 2 * np.pi / 3 - np.sqrt(3) / 2, 4 * np.pi / 3),
}


@pytest.mark.parametrize("name", SHAPES)
def test_points_lie_inside_and_normals_point_out(name: str) -> None:
    shape, area, edge = SHAPES[name]
    assert shape.measure == pytest.approx(area, rel=0.02)
    assert sum(s.measure * s.fraction for s in shape.chosen("boundary")) == pytest.approx(edge, rel=0.02)
    rng = np.random.default_rng(0)
    for side in shape.chosen("boundary"):
        points, normals = side.place(rng.uniform(1e-3, 1 - 1e-3, (500, side.dimensions)))
        if side.keep is not None:
            kept = side.keep(points, normals)
            points, normals = points[kept], normals[kept]
        assert np.allclose(np.linalg.norm(normals, axis=1), 1)
        assert np.mean(shape.contains(points - 1e-5 * normals)) > 0.99, side.name
        assert np.mean(shape.contains(points + 1e-5 * normals)) < 0.01, side.name


def test_samples_of_a_shape_with_a_hole_and_time() -> None:
    shape = SHAPES["plate"][0] * ph.Time(1, 3)
    assert [s.name for s in shape.chosen("boundary")][-1] == "second.boundary"
    assert shape.names == ("x", "y", "t")
    assert shape.space == ("x", "y")

    def draw(key: jax.Array) -> tuple:
        side = shape.chosen("second.boundary")[0]
        start = shape.chosen("initial")[0]
        return (
            interior(shape, "latin-hypercube", 300, key, "float32"),
            on_side(side, "uniform", 50, key, "float32"),
            on_side(start, "sobol", 60, key, "float32"),
        )

    inside, (points, normals), (begin, _) = jax.tree.map(np.asarray, jax.jit(draw)(jax.random.key(1)))
    assert inside.shape == (300, 3)
    assert shape.contains(inside).all()
    assert len(np.unique(inside, axis=0)) == 300
    assert np.allclose(np.hypot(points[:, 0] - 1, points[:, 1] - 1), 0.5, atol=1e-5)
    assert (
        np.einsum("ij,ij->i", points[:, :2] - 1, normals[:, :2]) < 0
    ).all()  # out of the plate, into the hole
    assert np.ptp(points[:, 2]) > 1.5
    assert (normals[:, 2] == 0).all()
    assert (begin[:, 2] == 1).all()
    assert shape.region.contains(begin[:, :2]).all()
    assert shares(shape.chosen(("first.left", "second.boundary")), 100) == [39, 61]


def test_sobol_and_latin_hypercubes_fill_a_square_more_evenly_than_chance() -> None:
    from populace.physics.sampling.cube import cube_points

    key = jax.random.key(3)
    counts = {}
    for method in ("uniform", "latin-hypercube", "sobol", "grid"):
        points = np.asarray(cube_points(method, 256, 2, key))
        assert points.shape == (256, 2)
        assert (points >= 0).all()
        assert (points <= 1).all()
        counts[method] = np.histogram2d(*points.T, bins=16, range=[[0, 1], [0, 1]])[0].std()
        one = np.histogram(points[:, 0], 256, (0, 1))[0]
        if method == "latin-hypercube":
            assert (one == 1).all()
    assert counts["grid"] == 0
    assert counts["sobol"] < 0.7 * counts["uniform"]


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: ph.Interval(1, 1), "each lower bound must be below the upper one"),
        (lambda: ph.Rectangle((0, 0), (1, 1, 1)), "need 2 bounds each"),
        (lambda: ph.Disc((0, 0), -1.0), "radius must be > 0"),
        (lambda: ph.Polygon([(0, 0), (1, 1)]), "at least 3 vertices"),
        (lambda: ph.Polygon([(0, 0), (1, 1), (2, 2)]), "has no area"),
        (lambda: ph.Interval(0, 1) | ph.Disc((0, 0), 1), "combined in the same coordinates"),
        (lambda: ph.Interval(0, 1) & ph.Interval(2, 3), "the two parts do not overlap"),
        (lambda: ph.Interval(0, 1, "t") * ph.Time(0, 1), "'t' is one of space already"),
        (lambda: ph.Interval(0, 1) * 3, "multiplied by a Time"),
        (lambda: ph.PointCloud(np.zeros(3), ("x", "y")), r"must be \(N, 2\), got \[3\]"),
        (lambda: ph.PointCloud(np.eye(2), ("x", "y"), np.eye(2)), "needs an outward normal"),
    ],
)
def test_impossible_geometries_are_refused(make, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        make()


def test_a_cloud_gives_its_own_points() -> None:
    rng = np.random.default_rng(0)
    cloud = ph.PointCloud(
        rng.normal(size=(40, 2)), ("x", "y"), rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    )
    drawn = np.asarray(interior(cloud, "latin-hypercube", 40, jax.random.key(0), "float32"))
    order = np.lexsort(drawn.T)
    assert np.allclose(drawn[order], cloud.points[np.lexsort(cloud.points.T)], atol=1e-6)
    points, normals = on_side(cloud.chosen("boundary")[0], "uniform", 20, jax.random.key(0), "float32")
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert points.shape == (20, 2)

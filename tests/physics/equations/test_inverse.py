import jax
import numpy as np
import pytest

import populace as pop
import populace.physics as ph
from populace.core.errors import UsageError
from tests.harness import trained
from tests.physics.problems import line

LEARNER = ph.PINN(
    equation=ph.InverseDiffusion(data_points=30),
    network=ph.MLP(hidden_sizes=(10,)),
    points=60,
    boundary_points=16,
    initial_points=16,
    condition_weight=30.0,
    randomized_data=True,
    resample_steps=20,
)


def test_a_coefficient_is_found_and_members_have_data_of_their_own() -> None:
    engine = trained(pop.sweep(LEARNER, seeds=4), 60, "vmap")
    state = engine.group_states[0].state()
    values = np.asarray(state.points["data u"].values)
    given = LEARNER.defined.terms[-1].values
    off = values - given
    assert 0.005 < off.std() < 0.015  # errors of 0.01, still there after points were drawn anew
    assert np.abs(np.corrcoef(off) - np.eye(4)).max() < 0.6
    found = engine.evaluate().metrics
    assert np.abs(found["C"] - 1).max() < 0.2
    assert np.ptp(found["C"]) > 1e-4
    assert np.allclose(found["C error"], np.abs(found["C"] - 1), atol=1e-5)


def test_data_are_settings_that_differ_in_one_program() -> None:
    population = pop.sweep(LEARNER, {"equation.data_seed": [0.0, 1.0]})
    assert len(population.groups) == 1
    one, other = (ph.InverseDiffusion(data_seed=s).define().terms[-1] for s in (0.0, 1.0))
    exact = np.exp(-one.points[:, 1]) * np.sin(np.pi * one.points[:, 0])
    for term in (one, other):
        assert 0.006 < np.std(term.values - exact) < 0.014
    assert not np.allclose(one.values, other.values)


def test_intervals_cover_as_often_as_they_say() -> None:
    """Estimates from other data scatter as the truth does around the estimate: by their own deviation."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        estimate = 1 + 0.1 * rng.normal()
        members = estimate + 0.1 * rng.normal(size=8)
        nothing = np.zeros((8, 1, 1))
        low, high = ph.Solution(
            np.zeros((1, 1)), ("u",), nothing, None, np.zeros(8), {"C": members}, [], 0, 1e-3
        ).interval("C")
        hits += low <= 1 <= high
    assert abs(hits / 2000 - 0.95) < 0.015
    empty = ph.Solution(
        np.zeros((1, 1)), ("u",), np.zeros((1, 1, 1)), None, np.zeros(1), {"C": np.ones(1)}, [], 0, 1.0
    )
    with pytest.raises(UsageError, match="at least 2 members, got 1"):
        empty.interval("C")
    with pytest.raises(UsageError, match="unknown coefficient 'D'"):
        empty.interval("D")


def test_randomized_data_need_a_known_noise() -> None:
    with pytest.raises(UsageError, match="needs data of known noise"):
        pop.sweep(ph.PINN(problem=line(), randomized_data=True))


def test_values_made_inside_a_program_are_those_outside() -> None:
    equation = ph.InverseDiffusion(data_points=5)
    inside = jax.jit(lambda e: e.define().terms[-1].values)(equation)
    assert np.allclose(inside, equation.define().terms[-1].values, atol=1e-6)


@pytest.mark.slow
def test_the_coefficients_of_lorenz_are_found() -> None:
    learner = ph.PINN(
        equation=ph.InverseLorenz(), network=ph.MLP(hidden_sizes=(40,)), points=150, condition_weight=100.0
    )
    found = trained(pop.sweep(learner, seeds=2), 500, "map").evaluate().metrics
    for name in ("s", "r", "b"):
        assert (found[f"{name} error"] < 5e-3).all(), found

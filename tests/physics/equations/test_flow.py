import numpy as np
import pytest

import populace as pop
import populace.physics as ph
from populace.physics.references.cavity import flow


@pytest.mark.slow
def test_the_center_lines_of_the_cavity_are_those_of_finite_differences() -> None:
    learner = ph.PINN(
        equation=ph.Cavity(), network=ph.MLP(hidden_sizes=(20, 20)), points=500, boundary_points=100,
        resample_steps=40,
    )  # fmt: skip
    run = pop.train(pop.sweep(learner), 160, checkpoint_selection="last")
    _, u, v = flow(100.0, 120)
    along, step = np.linspace(0, 1, 13), 1e-4
    upright = np.stack([np.full(13, 0.5), along], 1)
    level = upright[:, ::-1]

    def slope(at: np.ndarray, axis: int) -> np.ndarray:
        aside = step * np.eye(2)[axis]
        psi = [run.best().predict(at + sign * aside)[:, 0] for sign in (1, -1)]
        return (psi[0] - psi[1]) / (2 * step)

    assert np.abs(slope(upright, 1) - u[60, ::10]).max() < 1e-2
    assert np.abs(-slope(level, 0) - v[::10, 60]).max() < 1e-2

import jax
import numpy as np
from scipy.integrate import solve_ivp

from populace.physics.references.cole_hopf import burgers


def test_it_is_what_a_spectral_method_integrates() -> None:
    """Independent: u_t = -u u_x + nu u_xx on 512 points of [-1, 1), by Fourier derivatives and DOP853."""
    viscosity, count = 0.03, 512
    x = -1 + 2 * np.arange(count) / count
    waves = 1j * np.pi * np.fft.fftfreq(count, 1 / count)

    def rate(_: float, u: np.ndarray) -> np.ndarray:
        spectrum = np.fft.fft(u)
        first, second = (np.fft.ifft(waves**k * spectrum).real for k in (1, 2))
        return -u * first + viscosity * second

    times = np.asarray([0.2, 0.6])
    true = solve_ivp(rate, (0, 0.6), -np.sin(np.pi * x), "DOP853", times, rtol=1e-10, atol=1e-12).y
    with jax.enable_x64(True):
        at = np.tile(x, 2), np.repeat(times, count)
        found = np.asarray(jax.jit(burgers)(*at, viscosity)).reshape(2, count)
        start = np.asarray(burgers(jax.numpy.asarray(x), jax.numpy.zeros(count), 0.01 / np.pi))
    assert np.abs(found - true.T).max() < 1e-7
    assert np.allclose(start, -np.sin(np.pi * x), atol=1e-12)

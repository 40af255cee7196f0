"""What a network sees of coordinates: scaled, as random Fourier features, or as periodic functions."""

import math
from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError, unknown
from populace.core.settings import Settings, setting
from populace.nn.primitives.buffer import Buffer
from populace.physics.geometry.shape import Geometry


class Embedding(Settings):
    """How coordinates enter a network; one of your own is a subclass with a `kind`."""

    @abstractmethod
    def build(self, domain: Geometry, key: jax.Array, dtype: Any) -> tuple[Any, int]:
        """Return a module from points (d, n) to features (m, n), and m.

        Args:
            domain: what the points lie in.
            key: for what is random.
            dtype: of the numbers.

        """


class Scaled(eqx.Module):
    """Coordinates to [-1, 1], by the bounds of the domain."""

    center: tuple[float, ...] = eqx.field(static=True)
    half: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        self.center = tuple(((low + high) / 2).tolist())
        self.half = tuple(((high - low) / 2).tolist())

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return scaled coordinates, (d, n)."""
        center, half = (jnp.asarray(v, x.dtype)[:, None] for v in (self.center, self.half))
        return (x - center) / half


class Coordinates(Embedding):
    """The coordinates themselves, scaled to [-1, 1]."""

    kind: ClassVar[str] = "coordinates"

    def build(self, domain: Geometry, key: jax.Array, dtype: Any) -> tuple[Any, int]:
        """Return the scaling."""
        del key, dtype
        return Scaled(domain.low, domain.high), len(domain.names)


class _Waves(eqx.Module):
    scaled: Scaled
    directions: Buffer

    def __call__(self, x: jax.Array) -> jax.Array:
        phase = 2 * math.pi * (self.directions.value @ self.scaled(x))
        return jnp.concatenate([jnp.cos(phase), jnp.sin(phase)])


class FourierFeatures(Embedding):
    """Random Fourier features: cos(2 pi B x) and sin(2 pi B x), with x scaled to [-1, 1].

    The entries of B (m, d) are normal with standard deviation `scale`, drawn once and never trained. Networks
    find smooth parts first; a larger scale lets them see shorter waves, and too large a one only noise.

    Source: Tancik et al. 2020, "Fourier features let networks learn high frequency functions in low
    dimensional domains".
    """

    kind: ClassVar[str] = "fourier"

    waves: int = setting(32, low=1, help="random waves m; each gives a cosine and a sine")
    scale: float = setting(1.0, above=0, help="standard deviation of wave numbers, in waves per half domain")

    def build(self, domain: Geometry, key: jax.Array, dtype: Any) -> tuple[Any, int]:
        """Return the features."""
        drawn = self.scale * jax.random.normal(key, (self.waves, len(domain.names)), jnp.float32)
        return _Waves(Scaled(domain.low, domain.high), Buffer(drawn.astype(dtype))), 2 * self.waves


class _Harmonics(eqx.Module):
    scaled: Scaled
    axis: int = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        inside = self.scaled(x)
        order = jnp.arange(1, self.count + 1, dtype=jnp.int32).astype(x.dtype)
        # A period of the domain is one of length 2 after scaling.
        phase = math.pi * order[:, None] * inside[self.axis]
        rest = jnp.delete(inside, self.axis, axis=0)
        return jnp.concatenate([jnp.cos(phase), jnp.sin(phase), rest])


class PeriodicEmbedding(Embedding):
    """One coordinate by cos(k w x) and sin(k w x), k = 1 ... m; others scaled to [-1, 1].

    With w = 2 pi over the length of the domain along it, the field and all its derivatives are periodic
    whatever the weights are, so no condition is needed.

    Source: Dong and Ni 2021, "A method for representing periodic functions and enforcing exactly periodic
    boundary conditions with deep neural networks".

    Raises:
        UsageError: a coordinate that the domain lacks, or that is time.

    """

    kind: ClassVar[str] = "periodic"

    along: str = setting("x", help="coordinate that fields are periodic along")
    harmonics: int = setting(3, low=1, help="waves m per period, each a cosine and a sine")

    def build(self, domain: Geometry, key: jax.Array, dtype: Any) -> tuple[Any, int]:
        """Return the features."""
        del key, dtype
        if self.along == domain.time:
            raise UsageError(f"fields are periodic along space, and '{self.along}' is time")
        if self.along not in domain.names:
            raise unknown("coordinate", self.along, domain.names, where=" of a periodic embedding")
        axis = domain.names.index(self.along)
        width = 2 * self.harmonics + len(domain.names) - 1
        return _Harmonics(Scaled(domain.low, domain.high), axis, self.harmonics), width

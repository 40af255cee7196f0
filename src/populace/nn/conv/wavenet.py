"""WaveNet: a stack of causal convolutions whose dilations grow, so that few layers see far back.

Van den Oord et al. 2016, "WaveNet: a generative model for raw audio".
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from populace.core.errors import UsageError
from populace.core.outline import Step, chained
from populace.nn.conv.convolution import Conv1d
from populace.nn.conv.window import check_input


class Memory(NamedTuple):
    """What a WaveNet keeps of the past while it generates.

    Attributes:
        rings: for every block the last `(K - 1) dilation` entries that it was given, each at its time
            modulo that number.
        time: steps taken.

    """

    rings: tuple[jax.Array, ...]
    time: jax.Array


class Block(eqx.Module):
    """A gated, dilated causal convolution with a residual and a skip connection.

    `z = tanh(F * h) sigmoid(G * h); h' = h + R z; s = S z`, where F and G are causal convolutions, and
    R and S products at every time.
    """

    gate: Conv1d
    out: Conv1d

    def __init__(self, residual: int, skip: int, kernel_size: int, dilation: int, *, key: jax.Array) -> None:
        gate_key, out_key = jax.random.split(key)
        self.gate = Conv1d(
            residual, 2 * residual, kernel_size, padding="causal", dilation=dilation, key=gate_key
        )
        self.out = Conv1d(residual, residual + skip, 1, key=out_key)

    @property
    def reach(self) -> int:
        """How many entries before the present one it sees."""
        return self.gate.window.span[0] - 1

    def __call__(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Map (time, residual) to (time, residual) and (time, skip)."""
        return self._leave(h, self.gate(h))

    def step(self, ring: jax.Array, time: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Map one entry (residual,) to ring, residual and skip, by the `K - 1` entries that it sees."""
        dilation, taps = self.gate.window.dilation[0], self.gate.window.size[0]
        back = [ring[(time - j * dilation) % self.reach] for j in range(taps - 1, 0, -1)]
        seen = jnp.stack([*back, h])
        gates = jnp.einsum("kc,kco->o", seen, self.gate.weight)
        gates = gates if self.gate.bias is None else gates + self.gate.bias
        # The entry (K - 1) dilation ago has been read and is seen no more: its place is the present one's.
        ring = lax.dynamic_update_index_in_dim(ring, h, time % self.reach, 0)
        residual, skip = self._leave(h[None], gates[None])
        return ring, residual[0], skip[0]

    def _leave(self, h: jax.Array, gates: jax.Array) -> tuple[jax.Array, jax.Array]:
        filtered, gate = jnp.split(gates, 2, axis=-1)
        z = self.out(jnp.tanh(filtered) * jax.nn.sigmoid(gate))
        return h + z[:, : h.shape[-1]], z[:, h.shape[-1] :]


class WaveNet(eqx.Module):
    """Blocks one after the other, whose skip connections add up and are read by two products.

    `h_0 = E x; (h_{l+1}, s_l) = block_l(h_l); y = O relu(M relu(sum_l s_l))`. Output t depends on the
    inputs t - receptive_field + 1 to t and on no later one; to predict the next entry, shift the target.

    Cost `O(T L (K residual^2 + residual skip))` for L blocks; a step of generation is that at T = 1.
    Weights start as those of [`Conv`][populace.nn.Conv].

    Args:
        in_channels: channels of the input; one-hot classes, or the value itself.
        out_channels: channels of the output; logits of classes, or parameters of a distribution.
        residual: channels of the residual path.
        skip: channels of the skip path.
        dilations: one block each; the paper's are 1, 2, 4, ..., 512 some times over.
        kernel_size: taps of every block's convolution.
        key: randomness of the start.

    Raises:
        UsageError: no block, a kernel of one tap, a dilation below 1, or an input that is not
            (time, in_channels).

    References:
        Van den Oord et al. 2016, "WaveNet: a generative model for raw audio"; for generation Le Paine et
        al. 2016, "Fast WaveNet generation algorithm".

    """

    enter: Conv1d
    blocks: tuple[Block, ...]
    mix: Conv1d
    leave: Conv1d

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        residual: int = 32,
        skip: int = 32,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
        kernel_size: int = 2,
        *,
        key: jax.Array,
    ) -> None:
        if not dilations:
            raise UsageError("WaveNet: dilations is empty, expected one per block")
        if kernel_size < 2:
            raise UsageError(f"WaveNet: kernel_size must be at least 2 to see the past, got {kernel_size}")
        enter, mix, leave, *keys = jax.random.split(key, 3 + len(dilations))
        self.enter = Conv1d(in_channels, residual, 1, key=enter)
        self.blocks = tuple(
            Block(residual, skip, kernel_size, dilation, key=k) for dilation, k in zip(dilations, keys)
        )
        self.mix = Conv1d(skip, skip, 1, key=mix)
        self.leave = Conv1d(skip, out_channels, 1, key=leave)

    def wiring(self) -> list[Step]:
        """Return the parts: blocks one after the other, and all of them are read."""
        names = [f"blocks/{i}" for i in range(len(self.blocks))]
        steps = chained([("enter", self.enter), *zip(names, self.blocks)])
        return [*steps, ("mix", self.mix, tuple(names)), ("leave", self.leave, ("mix",))]

    @property
    def receptive_field(self) -> int:
        """Entries that an output sees, its own time included: `1 + sum (K - 1) dilation`."""
        return 1 + sum(block.reach for block in self.blocks)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (time, in_channels) to (time, out_channels)."""
        check_input("WaveNet", x.shape, 1, self.enter.weight.shape[1])
        h, skips = self.enter(x), []
        for block in self.blocks:
            h, skip = block(h)
            skips.append(skip)
        return self._read(sum(skips[1:], skips[0]))

    def memory(self) -> Memory:
        """Return the memory before the first step: zeros, as the causal padding."""
        width, dtype = self.enter.weight.shape[-1], self.enter.weight.dtype
        rings = tuple(jnp.zeros((block.reach, width), dtype) for block in self.blocks)
        return Memory(rings, jnp.int32(0))

    def step(self, memory: Memory, x: jax.Array) -> tuple[Memory, jax.Array]:
        """Take one entry (in_channels,) and return its output (out_channels,), in time that is O(1).

        The outputs of T steps are those of one call with T entries.
        """
        check_input("WaveNet.step", x.shape, 0, self.enter.weight.shape[1])
        h, rings, skips = self.enter(x[None])[0], [], []
        for block, ring in zip(self.blocks, memory.rings):
            ring, h, skip = block.step(ring, memory.time, h)
            rings.append(ring)
            skips.append(skip)
        return Memory(tuple(rings), memory.time + 1), self._read(sum(skips[1:], skips[0])[None])[0]

    def _read(self, skips: jax.Array) -> jax.Array:
        return self.leave(jax.nn.relu(self.mix(jax.nn.relu(skips))))

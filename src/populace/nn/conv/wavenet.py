"""WaveNet: causal convolutions with growing dilations, for a large receptive field in few layers.

Van den Oord et al. 2016, "WaveNet: a generative model for raw audio".
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from populace.core.errors import UsageError
from populace.core.model.outline import Step, chained
from populace.nn.conv.convolution import Conv1d
from populace.nn.conv.window import check_input


class Memory(NamedTuple):
    """The part of the past that a WaveNet keeps during generation.

    Attributes:
        rings: ring buffers, one per block, of its last `(K - 1) dilation` inputs; an input is stored at its
            time modulo that number.
        time: number of steps taken.

    """

    rings: tuple[jax.Array, ...]
    time: jax.Array


class Block(eqx.Module):
    """A gated, dilated causal convolution with a residual and a skip connection.

    `z = tanh(F * h) sigmoid(G * h); h' = h + R z; s = S z`, where F and G are causal convolutions, and
    R and S are 1x1 convolutions.
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
        """Number of entries before the current one in the receptive field."""
        return self.gate.window.span[0] - 1

    def __call__(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Map (time, residual) to (time, residual) and (time, skip)."""
        return self._leave(h, self.gate(h))

    def step(self, ring: jax.Array, time: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Map one entry (residual,) to the updated ring buffer, the residual and the skip output."""
        dilation, taps = self.gate.window.dilation[0], self.gate.window.size[0]
        back = [ring[(time - j * dilation) % self.reach] for j in range(taps - 1, 0, -1)]
        seen = jnp.stack([*back, h])
        gates = jnp.einsum("kc,kco->o", seen, self.gate.weight)
        gates = gates if self.gate.bias is None else gates + self.gate.bias
        # The entry (K - 1) dilation steps ago is not needed again: the current one takes its position.
        ring = lax.dynamic_update_index_in_dim(ring, h, time % self.reach, 0)
        residual, skip = self._leave(h[None], gates[None])
        return ring, residual[0], skip[0]

    def _leave(self, h: jax.Array, gates: jax.Array) -> tuple[jax.Array, jax.Array]:
        filtered, gate = jnp.split(gates, 2, axis=-1)
        z = self.out(jnp.tanh(filtered) * jax.nn.sigmoid(gate))
        return h + z[:, : h.shape[-1]], z[:, h.shape[-1] :]


class WaveNet(eqx.Module):
    """WaveNet: a sequence of blocks, whose summed skip connections pass through two 1x1 convolutions.

    `h_0 = E x; (h_{l+1}, s_l) = block_l(h_l); y = O relu(M relu(sum_l s_l))`. Output t depends only on the
    inputs t - receptive_field + 1 to t; to predict the next entry, shift the target by one.

    Cost `O(T L (K residual^2 + residual skip))` for L blocks; a generation step costs that with T = 1.
    Weights are initialized as in [`Conv`][populace.nn.Conv].

    Args:
        in_channels: channels of the input: one-hot classes, or the value itself.
        out_channels: channels of the output: logits of classes, or parameters of a distribution.
        residual: channels of the residual path.
        skip: channels of the skip path.
        dilations: dilation of each block; the paper repeats 1, 2, 4, ..., 512 several times.
        kernel_size: kernel size of the convolution in every block.
        key: PRNG key for the initial weights.

    Raises:
        UsageError: no block, a kernel size of 1, a dilation below 1, or an input that is not
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
        """Return the parts: a chain of blocks, all of which feed `mix`."""
        names = [f"blocks/{i}" for i in range(len(self.blocks))]
        steps = chained([("enter", self.enter), *zip(names, self.blocks)])
        return [*steps, ("mix", self.mix, tuple(names)), ("leave", self.leave, ("mix",))]

    @property
    def receptive_field(self) -> int:
        """Inputs that an output depends on, the current one included: `1 + sum (K - 1) dilation`."""
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
        """Return the memory before the first step: zeros, like the causal padding."""
        width, dtype = self.enter.weight.shape[-1], self.enter.weight.dtype
        rings = tuple(jnp.zeros((block.reach, width), dtype) for block in self.blocks)
        return Memory(rings, jnp.int32(0))

    def step(self, memory: Memory, x: jax.Array) -> tuple[Memory, jax.Array]:
        """Map one entry (in_channels,) to its output (out_channels,), at a cost independent of the time.

        T steps give the outputs of one call with T entries.
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

"""Spatially decomposed convolution: one input is split into parts, each computed by its own worker.

The outputs along one spatial axis are divided among P workers. Each receives exactly the input rows that its
outputs need: rows it owns, and a halo of rows that others own. Workers are the iterations of a loop in one
process, or the devices of a mesh, which exchange halos between neighbors.

N. Dryden et al. 2019, "Improving Strong-Scaling of CNN Training by Exploiting Finer-Grained Parallelism".
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from populace.core.errors import UsageError, unknown
from populace.nn.conv.convolution import convolve
from populace.nn.conv.window import Padding, Window, check_input
from populace.nn.parallel.halo import Ints, Part, blocks, choose, cut, joined, receive

Weights = tuple[jax.Array, jax.Array | None]


def convolve_decomposed(
    x: jax.Array, weight: jax.Array, bias: jax.Array | None = None, *, parts: int | Mesh, axis: int = 0,
    over: str | None = None, stride: Ints = 1, dilation: Ints = 1, groups: int = 1,
    padding: Padding = "valid", lowering: str = "auto",
) -> jax.Array:  # fmt: skip
    """Return [`convolve`][populace.nn.convolve] of the same arguments, computed in parts.

    In one process the parts are computed in a loop, with the working memory of one part, for the gradient
    too. On a mesh every device computes one part. A worker does 1/P of the arithmetic, rounded up to whole
    outputs, and receives the bytes that [`exchange`][populace.nn.exchange] reports. Call it inside `jax.jit`;
    outside, the program is compiled in every call.

    Args:
        x: (*spatial, Cin), one example.
        weight: (*kernel, Cin / groups, Cout).
        bias: (Cout,), or none.
        parts: number of parts in this process, or the mesh whose devices are the workers.
        axis: spatial axis to split.
        over: mesh axis of the workers; optional if the mesh has only one.
        stride: distance between output positions; one number, or one per axis.
        dilation: distance between the elements of the kernel; one number, or one per axis.
        groups: number of channel groups.
        padding: zeros around the input, as in `convolve`.
        lowering: implementation of a part, as in `convolve`.

    Returns:
        (*positions, Cout).

    Raises:
        UsageError: more parts than outputs, no such axis, or an error of `convolve`.

    """
    job = _Job.of(
        "convolve_decomposed", x, weight, parts=parts, axis=axis, over=over, stride=stride, dilation=dilation,
        groups=groups, padding=padding, lowering=lowering,
    )  # fmt: skip
    x, weights = jnp.moveaxis(x, axis, 0), (jnp.moveaxis(weight, axis, 0), bias)
    if job.mesh is None:
        done = job.in_turn(lambda window: job.convolve(window, weights), x)
        y = jnp.concatenate([outputs.reshape(-1, *outputs.shape[2:]) for _, outputs in done])
    else:

        def share(block: jax.Array, weights: Weights) -> jax.Array:
            weights = lax.pcast(weights, job.over, to="varying")
            return job.convolve(receive(block, job.parts, job.over), weights)

        own, same = PartitionSpec(job.over), PartitionSpec()
        program = jax.jit(jax.shard_map(share, mesh=job.mesh, in_specs=(own, same), out_specs=own))
        y = joined(program(blocks(x, len(job.parts)), weights), job.outputs, len(job.parts))
    return jnp.moveaxis(y, 0, axis)


def gradient_decomposed(
    loss: Callable[[jax.Array, jax.Array], jax.Array],
    x: jax.Array,
    target: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    **how: Any,
) -> tuple[jax.Array, Weights]:
    """Return the mean loss over all outputs and its gradient, averaged over the parts.

    Part p has n_p of the n outputs, and the mean loss L_p over them. Then

        L = sum_p (n_p / n) L_p        dL/dw = sum_p (n_p / n) dL_p/dw

    so a worker differentiates only its own part, and only a loss and a gradient of the size of the weights
    are summed over workers. The unweighted average would be wrong for parts of unequal size.

    Args:
        loss: (outputs, target) -> the loss of every output, such as `optax.squared_error`; an array
            with the split axis where the outputs have it.
        x: (*spatial, Cin), one example.
        target: targets of the outputs, with as many rows along the split axis.
        weight: (*kernel, Cin / groups, Cout).
        bias: (Cout,), or none.
        **how: `parts` and the other keyword arguments of
            [`convolve_decomposed`][populace.nn.convolve_decomposed].

    Returns:
        The loss, and its gradient with respect to (weight, bias).

    Raises:
        UsageError: a target of another length, or an error of `convolve_decomposed`.

    """
    axis = how.get("axis", 0)
    job = _Job.of("gradient_decomposed", x, weight, **how)
    if target.ndim <= axis or target.shape[axis] != job.outputs:
        raise UsageError(
            f"{job.name}: target has shape {target.shape}, expected {job.outputs} entries along axis {axis}"
        )
    x, target = jnp.moveaxis(x, axis, 0), jnp.moveaxis(target, axis, 0)
    weights = (jnp.moveaxis(weight, axis, 0), bias)

    @jax.value_and_grad
    def differentiate(weights: Weights, window: jax.Array, target: jax.Array, real: Any) -> jax.Array:
        outputs = job.convolve(window, weights)
        counted = jnp.arange(len(outputs)) < real
        # Surplus rows repeat the first, so that they add no non-finite loss.
        outputs, target = (choose(counted, rows, rows[:1]) for rows in (outputs, target))
        losses = jnp.moveaxis(loss(*(jnp.moveaxis(rows, 0, axis) for rows in (outputs, target))), axis, 0)
        return jnp.sum(choose(counted, losses, 0)) / (real * losses[0].size)

    def average(size: Any, each: Any) -> Any:
        return jax.tree.map(lambda a: a * jnp.asarray(size / job.outputs, a.dtype), each)

    if job.mesh is None:
        done = job.in_turn(
            lambda window, target: differentiate(weights, window, target, len(target)), x, target
        )
        sums = [average(size, jax.tree.map(lambda a: a.sum(0), each)) for size, each in done]
        value, (by_weight, by_bias) = jax.tree.map(lambda *a: sum(a), *sums)
    else:

        def work(block: jax.Array, target: jax.Array, weights: Weights) -> Any:
            sizes = jnp.asarray([stop - start for start, stop in (part.outputs for part in job.parts)])
            size = sizes[lax.axis_index(job.over)]
            # Weights of its own for every worker: else its gradient would be the sum over all at once.
            weights = lax.pcast(weights, job.over, to="varying")
            each = differentiate(weights, receive(block, job.parts, job.over), target, size)
            return lax.psum(average(size, each), job.over)

        own, same = PartitionSpec(job.over), PartitionSpec()
        program = jax.jit(jax.shard_map(work, mesh=job.mesh, in_specs=(own, own, same), out_specs=same))
        count = len(job.parts)
        value, (by_weight, by_bias) = program(blocks(x, count), blocks(target, count), weights)
    return value, (jnp.moveaxis(by_weight, 0, axis), by_bias)


class _Job(NamedTuple):
    """A convolution with the axis that is cut in front, and who computes what of it."""

    name: str
    parts: tuple[Part, ...]
    stride: int
    span: int
    pad: tuple[int, int]
    mesh: Mesh | None
    over: str
    settings: dict[str, Any]

    @classmethod
    def of(
        cls, name: str, x: jax.Array, weight: jax.Array, *, parts: int | Mesh, axis: int = 0,
        over: str | None = None, stride: Ints = 1, dilation: Ints = 1, groups: int = 1,
        padding: Padding = "valid", lowering: str = "auto",
    ) -> Self:  # fmt: skip
        """Return the job, or raise a `UsageError` for what cannot be."""
        spatial = weight.ndim - 2
        window = Window.of(name, spatial, weight.shape[: max(spatial, 0)], stride, dilation, padding)
        check_input(name, x.shape, spatial, weight.shape[-2] * groups)
        mesh, along = (parts, _axis(name, parts, over)) if isinstance(parts, Mesh) else (None, "")
        count = parts.shape[along] if isinstance(parts, Mesh) else parts
        found = cut(window, x.shape[:-1], count, axis)
        pads = window.pads(x.shape[:-1])

        def turned(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return (values[axis], *values[:axis], *values[axis + 1 :])

        settings = {
            "stride": turned(window.stride), "dilation": turned(window.dilation),
            "padding": ((0, 0), *turned(pads)[1:]), "groups": groups, "lowering": lowering, "layer": name,
        }  # fmt: skip
        return cls(name, found, window.stride[axis], window.span[axis], pads[axis], mesh, along, settings)

    @property
    def outputs(self) -> int:
        """How many outputs there are along the axis, over all parts."""
        return self.parts[-1].outputs[1]

    def convolve(self, window: jax.Array, weights: Weights) -> jax.Array:
        """Return the outputs of one part, from the rows that it reads."""
        return convolve(window, *weights, **self.settings)

    def in_turn(self, work: Callable[..., Any], x: jax.Array, *along: jax.Array) -> list[tuple[int, Any]]:
        """Return (outputs per part, results stacked) of work(window, *rows) on every part.

        Parts of one size share a loop; there are two sizes at most.
        """
        few, extra = divmod(self.outputs, len(self.parts))
        x = jnp.pad(x, (self.pad, *[(0, 0)] * (x.ndim - 1)))
        done, row = [], 0
        for count, size in ((extra, few + 1), (len(self.parts) - extra, few)):
            if count:
                length = (size - 1) * self.stride + self.span
                windows = _windows(x[row * self.stride :], count, size * self.stride, length)
                rows = [a[row : row + count * size].reshape(count, size, *a.shape[1:]) for a in along]
                done.append((size, lax.map(lambda each: work(*each), (windows, *rows))))
                row += count * size
        return done


def _windows(x: jax.Array, count: int, step: int, length: int) -> jax.Array:
    """Return (count, length, ...): window i is x[i * step : i * step + length].

    By shifted reshapes: their gradient is a sum of slices, where that of a gather would be a scatter.
    """
    shifts = -(-length // step)
    short = max(0, (count + shifts - 1) * step - len(x))
    x = jnp.pad(x, ((0, short), *[(0, 0)] * (x.ndim - 1)))
    shifted = [x[i * step : (i + count) * step].reshape(count, step, *x.shape[1:]) for i in range(shifts)]
    return jnp.concatenate(shifted, axis=1)[:, :length]


def _axis(name: str, mesh: Mesh, over: str | None) -> str:
    """Return the axis of the mesh that the workers lie along."""
    if over is None and len(mesh.axis_names) == 1:
        return mesh.axis_names[0]
    if over is None:
        raise UsageError(f"{name}: the mesh has the axes {', '.join(mesh.axis_names)}; say which with `over`")
    if over not in mesh.axis_names:
        raise unknown("mesh axis", over, mesh.axis_names, where=f" of {name}")
    return over

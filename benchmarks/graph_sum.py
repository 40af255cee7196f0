"""The sum over edges beside SciPy, PyTorch, PyTorch Geometric and a plain copy: a section of `graphs.py`.

20,000 nodes, 40,000 random undirected edges, 1,000 features, float32. Run by itself, with `native`, `xla`,
`scipy` or `dense`, it times one of them and prints one JSON line.
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from children import child

HERE = Path(__file__).resolve()
PEER = HERE.parent / "peers" / "pyg_graphs.py"
CALLS = 15


def standard() -> dict[str, np.ndarray]:
    """Return the standard case as arrays in rows (CSR)."""
    from populace.nn.graph.edges import EdgeIndex

    draws = np.random.default_rng(0)
    u, v = draws.integers(0, 20_000, (2, 40_000))
    edges, _ = EdgeIndex.of(np.concatenate([u, v]), np.concatenate([v, u]), (20_000, 20_000))
    x = draws.normal(size=(20_000, 1000)).astype(np.float32)
    weight = draws.normal(size=80_000).astype(np.float32)
    return {"sources": edges.sources, "targets": edges.targets, "offsets": edges.rows.offsets, "x": x,
            "weight": weight}  # fmt: skip


def timed(act: Callable[[], object], calls: int) -> float:
    """Return the median seconds of a call, after one that is not counted."""
    act()
    found = []
    for _ in range(calls):
        start = time.perf_counter()
        act()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def worker(backend: str, calls: int) -> dict[str, float]:
    """Return the seconds of populace, SciPy and plain copies on the standard case."""
    import jax
    import jax.numpy as jnp
    from scipy import sparse

    from populace.nn.graph.aggregate import aggregate
    from populace.nn.graph.edges import EdgeIndex

    arrays = standard()
    edges, _ = EdgeIndex.of(arrays["sources"], arrays["targets"], (20_000, 20_000))
    x, weight = jnp.asarray(arrays["x"]), jnp.asarray(arrays["weight"])
    if backend == "scipy":
        matrix = sparse.csr_array((arrays["weight"], arrays["sources"], arrays["offsets"]), (20_000, 20_000))
        back = matrix.T.tocsr()
        own = arrays["x"]
        return {
            "SciPy CSR": timed(lambda: matrix @ own, calls),
            "SciPy CSR, with gradient": timed(lambda: (matrix @ own, back @ own), calls),
            "copy of what must move (80 MB read, 80 MB written), 2 threads": timed(_copy(own), calls),
        }
    if backend == "dense":
        return {"dense, BLAS, 1 of 4 runs": _dense(arrays)}
    forward = jax.jit(lambda x, w: aggregate(edges, x, "sum", w, backend))

    def both(x: jax.Array, w: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        y, back = jax.vjp(lambda x: aggregate(edges, x, "sum", w, backend), x)
        return y, back(cotangent)[0]

    gradient = jax.jit(both)
    name = "populace" if backend == "native" else "populace, XLA only"
    few = calls if backend == "native" else 3
    found = {
        name: timed(lambda: jax.block_until_ready(forward(x, weight)), few),
        f"{name}, with gradient": timed(lambda: jax.block_until_ready(gradient(x, weight, x)), few),
    }
    if backend == "native":
        found["populace, into memory that is there already"] = timed(
            _again(aggregate, edges, x, weight), calls
        )
    return found


def _again(aggregate: Callable[..., Any], edges: Any, x: Any, weight: Any) -> Callable[[], object]:
    """Return a sum whose result takes the place of the one before, as in a compiled loop."""
    import jax

    sum_into = jax.jit(
        lambda out, x, w: aggregate(edges, x, "sum", w, "native"), donate_argnums=0, keep_unused=True
    )
    out = jax.block_until_ready(x + 0)

    def act() -> None:
        nonlocal out
        out = jax.block_until_ready(sum_into(out, x, weight))

    return act


def _dense(arrays: dict[str, np.ndarray]) -> float:
    """Return the seconds of the dense product, from a quarter of its rows, times 4."""
    rows = 5_000
    matrix = np.zeros((rows, 20_000), np.float32)
    here = arrays["targets"] < rows
    np.add.at(matrix, (arrays["targets"][here], arrays["sources"][here]), arrays["weight"][here])
    return 4 * timed(lambda: matrix @ arrays["x"], 1)


def _copy(x: np.ndarray) -> Callable[[], object]:
    """Return a copy into memory that is there already, by two threads."""
    out = np.ones_like(x)
    half = len(x) // 2

    def act() -> None:
        parts = [slice(0, half), slice(half, None)]
        threads = [threading.Thread(target=np.copyto, args=(out[p], x[p])) for p in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return act


def table(pyg: str | None, repeats: int) -> str:
    """Return the table of the standard case, ms."""

    def me(backend: str) -> dict[str, float]:
        return child(sys.executable, str(HERE), backend)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "standard.npz"
        np.savez(file, allow_pickle=False, **standard())
        rounds: dict[str, list[float]] = {}
        for _ in range(repeats):
            parts = [me("native"), me("scipy")]
            if pyg:
                parts.append(child(pyg, str(PEER), "sum", str(file)))
            for name, value in (pair for part in parts for pair in part.items()):
                rounds.setdefault(name, []).append(1e3 * value)
        for backend in ("xla", "dense"):
            for name, value in me(backend).items():
                rounds[name] = [1e3 * value]
    lines = ["| | ms (median) | range | times populace |", "|---|---|---|---|"]
    for name, times in rounds.items():
        ours = rounds["populace, with gradient" if "gradient" in name else "populace"]
        value = statistics.median(times)
        lines.append(
            f"| {name} | {value:.1f} | {min(times):.1f} to {max(times):.1f} "
            f"| {value / statistics.median(ours):.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(worker(sys.argv[1], CALLS)))

"""The command doctor: what the installation has, and what it lacks."""

import importlib.util
import shutil

from rich.table import Table

from populace.cli.output import Terminal


def doctor(as_json: bool) -> None:
    """Print a diagnosis of the installation."""
    import jax

    from populace.core import native
    from populace.core.files import cache_dir, to_json
    from populace.engine.placement import setup
    from populace.runs import provenance

    setup()
    cache = cache_dir()
    size = sum(f.stat().st_size for f in cache.rglob("*") if f.is_file()) if cache.exists() else 0
    missing = []
    if importlib.util.find_spec("pygame") is None:
        missing.append(
            "pygame: no videos of classic-control agents; pip install 'gymnasium[classic-control]'"
        )
    if importlib.util.find_spec("tensorboard") is None:
        missing.append("tensorboard: logs are written anyway; pip install tensorboard to view them")
    if jax.default_backend() == "cpu" and shutil.which("nvidia-smi"):
        missing.append("an NVIDIA GPU is here, but JAX does not use it; pip install 'jax[cuda13]'")
    if reason := native.missing():
        missing.append(
            "native kernels: graph layers and convolutions use XLA instead, which is slower on CPU; "
            f"{reason}; {native.ADVICE}"
        )
    found = provenance.describe()
    found |= {"cache": str(cache), "cache_mb": round(size / 1e6, 1), "missing": missing}
    found["kernels"] = native.kind() or None
    if as_json:
        print(to_json(found))
        return
    console = Terminal()
    table = Table.grid(padding=(0, 3))
    for key in ("populace", "python", "platform", "cpu", "cores", "backend"):
        table.add_row(f"[bold]{key}[/]", str(found[key]))
    table.add_row("[bold]devices[/]", "\n".join(found["devices"]))
    table.add_row("[bold]packages[/]", "\n".join(f"{k} {v}" for k, v in found["packages"].items()))
    table.add_row("[bold]kernels[/]", found["kernels"] or "none")
    table.add_row("[bold]cache[/]", f"{cache} ({found['cache_mb']} MB; safe to delete)")
    table.add_row("[bold]missing[/]", "\n".join(missing) or "nothing")
    console.print(table, highlight=False)

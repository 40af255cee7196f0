"""The command verify."""

from pathlib import Path

from populace.cli.output import Terminal, fail
from populace.core.errors import UsageError
from populace.runs.folder import check_format
from populace.runs.integrity import checkpoint_files, manifest, sittings, verify


def verify_run(folder: Path) -> None:
    """Print what was checked and who trained the run; end with code 1 where something is damaged."""
    if not (folder / "recipe.toml").is_file():
        raise UsageError(f"'{folder}' is not a run folder: it has no recipe.toml")
    check_format(folder)
    console = Terminal(soft_wrap=True, highlight=False, markup=False)
    found = verify.damages(folder)
    for line in found:
        console.print(line)
    if found:
        fail(f"'{folder}' has {len(found)} fault{'' if len(found) == 1 else 's'}", 1)
    for one in sittings.read(folder):
        last = "killed" if one["last_step"] is None else f"to step {one['last_step']:,}"
        jax = one["packages"].get("jax", "absent")
        where = f"populace {one['populace']}, JAX {jax}, {', '.join(one['devices'])}"
        console.print(f"trained from step {one['first_step']:,} {last}: {one['started']}, {where}")
    parts = manifest.read(folder / "metrics") or []
    steps = checkpoint_files.steps(folder / "checkpoints")
    console.print(
        f"'{folder}' is as it was written: {len(parts)} parts of metric tables with "
        f"{sum(p.rows for p in parts):,} rows, checkpoints of step {', '.join(map(str, steps)) or 'none'}"
    )

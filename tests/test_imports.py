"""Imports go down only, as docs/architecture.md says: whoever is below knows nothing of what is above."""

import ast
from pathlib import Path

import pytest

import populace

HOUSE = Path(populace.__file__).parent
DOMAINS = ("rl", "graphs", "images", "supervised", "analysis")  # in order: every test worker collects alike
ABOVE = {
    "core": {"nn", "report", "cli", *DOMAINS},
    "report": {"nn", "cli", *DOMAINS},
    "nn": {"report", "cli", *DOMAINS},
} | {
    domain: {"report", "cli", *DOMAINS}
    - {domain, *(("supervised",) if domain in ("images", "graphs") else ())}
    for domain in DOMAINS
}
OF_THE_CORE = {"nn": {"errors", "outline"}, "report": {"errors", "folder", "learner", "statistics"}}
"""Who takes no more of the core than this."""


def modules() -> dict[str, list[Path]]:
    """Return the files of each floor; the package's own `__init__` only fetches names when they are used."""
    files: dict[str, list[Path]] = {floor: sorted((HOUSE / floor).rglob("*.py")) for floor in ABOVE}
    files["core"] = [p for p in sorted(HOUSE.glob("*.py")) if not p.name.startswith("__")]
    return files


def imported(file: Path) -> set[str]:
    """Return the rooms of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        if isinstance(node, ast.ImportFrom) and node.module == "populace":
            names = [f"populace.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("populace.")}
    return found


@pytest.mark.parametrize("floor", ABOVE)
def test_nobody_imports_what_is_above(floor: str) -> None:
    files = modules()[floor]
    assert files
    core = {file.stem for file in modules()["core"]}
    for file in files:
        rooms = imported(file)
        assert not rooms & ABOVE[floor], f"{file.relative_to(HOUSE)} imports {rooms & ABOVE[floor]}"
        if floor in OF_THE_CORE:
            more = rooms & core - OF_THE_CORE[floor]
            assert not more, f"{file.relative_to(HOUSE)} imports {more} of the core"

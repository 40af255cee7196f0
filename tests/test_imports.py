"""Imports go down only, as docs/architecture.md says, and never in a circle."""

import ast
import graphlib
from pathlib import Path

import pytest

import populace

HOUSE = Path(populace.__file__).parent

FLOORS = (
    ("core",),
    ("nn",),
    ("optim", "metrics", "statistics", "data"),
    ("engine",),
    ("runs",),
    ("supervised",),
    ("analysis", "forecasting", "graphs", "images", "physics", "rl", "text"),
    ("report", "recipes", "tuning"),
    ("cli",),
)
"""Rooms from the bottom up. A room imports rooms of lower floors; beside it, only what `BESIDE` lists."""
BESIDE: dict[str, set[str]] = {}
ONLY = {
    "nn": {"core.errors", "core.native", "core.model.outline"},
    "optim": {"core", "nn.primitives.buffer"},
    "metrics": {"core"},
    "statistics": set(),
    "data": {"core"},
    "report": {"core.errors", "core.files", "core.media", "core.system", "core.untrusted", "statistics"},
    "recipes": {"core.errors"},
}
"""Who takes no more than this of what lies below."""


def modules() -> dict[str, Path]:
    """Return the files of the package by module name, its own `__init__` and `__main__` left out."""
    found = {}
    for file in sorted(HOUSE.rglob("*.py")):
        name = ".".join(file.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")
        if not name.startswith("__"):
            found[name] = file
    return found


MODULES = modules()


def imported(name: str, *, lazily: bool = True) -> set[str]:
    """Return the modules of the package that one imports; with `lazily` also those inside its functions."""
    tree = ast.parse(MODULES[name].read_text())
    if not lazily:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = []
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "populace":
            base = (node.module or "").removeprefix("populace").removeprefix(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}".removeprefix(".")
                found.add(whole if whole in MODULES else base)
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("populace.") for a in node.names if a.name.startswith("populace.")}
    return found - {name, ""}


def floor_of(room: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if room in rooms)


def test_every_room_has_a_floor() -> None:
    assert {name.partition(".")[0] for name in MODULES} == {room for rooms in FLOORS for room in rooms}


@pytest.mark.parametrize("room", [room for rooms in FLOORS for room in rooms])
def test_nobody_imports_what_is_above_or_beside(room: str) -> None:
    for name in (n for n in MODULES if n.partition(".")[0] == room):
        for other in imported(name):
            there = other.partition(".")[0]
            if there == room or there in BESIDE.get(room, set()):
                continue
            assert floor_of(there) < floor_of(room), f"{name} imports {other}, which is not below it"
            if room in ONLY:
                known = any(other == only or other.startswith(f"{only}.") for only in ONLY[room])
                assert known, f"{name} imports {other}; of what is below, {room} takes {ONLY[room]}"


def test_no_file_imports_itself_by_way_of_others() -> None:
    graph = {name: imported(name) - lazy_by_design(name) for name in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def lazy_by_design(name: str) -> set[str]:
    """A package that fetches names on demand imports them in `TYPE_CHECKING` and `__getattr__` only."""
    return imported(name) - imported(name, lazily=False) if MODULES[name].name == "__init__.py" else set()


@pytest.mark.parametrize("folder", sorted({file.parent for file in MODULES.values()}), ids=lambda f: f.name)
def test_a_room_has_a_dozen_files_or_so(folder: Path) -> None:
    files = [p for p in folder.glob("*.py") if p.name != "__init__.py"]
    assert len(files) <= 14, f"{folder.relative_to(HOUSE)} has {len(files)} files; divide it by idea"

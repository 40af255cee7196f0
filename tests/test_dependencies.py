"""That the versions in .ci are those that pyproject.toml asks for."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
KNOWN_TO_BREAK: dict[str, str] = {}
"""Package to its upper bound, which needs a reason beside it in pyproject.toml."""
NO_TESTS = {"ruff", "pyright"}  # they check the code, and nothing runs on them


def asked() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    every = [Requirement(r) for r in [*project["dependencies"], *project["optional-dependencies"]["test"]]]
    return [r for r in every if r.marker is None or r.marker.evaluate()]


def pinned(name: str) -> dict[str, Version]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / ".ci" / name).read_text().splitlines())
    found = [Requirement(line) for line in lines if line]
    return {canonicalize_name(r.name): Version(next(iter(r.specifier)).version) for r in found}


def test_the_oldest_versions_are_the_lower_bounds():
    bounds = {
        canonicalize_name(r.name): Version(s.version)
        for r in asked() for s in r.specifier if s.operator == ">=" and r.name not in NO_TESTS
    }  # fmt: skip
    oldest = pinned("oldest.txt")
    assert set(oldest) == set(bounds)
    for name, bound in bounds.items():
        tested = oldest[name]
        assert tested >= bound, f"{name} {tested} is tested, but {bound} is allowed"
        # A bound of 2.3 is tested by the first release of 2.3, which is not always called 2.3.0.
        assert tested.release[: len(bound.release)] == bound.release, (
            f"{name} {tested} is tested, not {bound}"
        )


def test_there_are_no_upper_bounds_but_of_what_breaks():
    upper = {r.name: str(r.specifier) for r in asked() if any(s.operator != ">=" for s in r.specifier)}
    assert upper == KNOWN_TO_BREAK


@pytest.mark.parametrize("requirement", asked(), ids=str)
def test_the_lock_holds_every_dependency(requirement):
    assert requirement.specifier.contains(pinned("lock.txt")[canonicalize_name(requirement.name)])

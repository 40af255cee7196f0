"""Every sitting is recorded, and another machine or version is told."""

import json

import pytest

from populace.core.errors import RunError
from populace.runs import provenance
from populace.runs.integrity import sealed, sittings
from populace.runs.run import Run


def test_every_sitting_is_recorded(trained):
    first, second = Run.load(trained).sittings
    assert (first["first_step"], first["last_step"]) == (0, 20)
    assert (second["first_step"], second["last_step"]) == (20, 40)
    for one in (first, second):
        assert one["strategy"] == ["vmap"]
        assert one["packages"]["jax"] == provenance.package_version("jax")
        assert len(one["devices"]) == 2


def test_other_versions_are_told_and_go_on(half, monkeypatch):
    described, said = provenance.describe(), []
    packages = described["packages"] | {"jax": "99.0"}
    monkeypatch.setattr(provenance, "describe", lambda: described | {"packages": packages, "cpu": "abacus"})
    Run.load(half).resume(log=said.append)
    (line,) = [line for line in said if "other conditions" in line]
    assert f"jax 99.0, before {provenance.package_version('jax')}" in line
    assert "cpu abacus, before" in line
    assert Run.load(half).sittings[-1]["packages"]["jax"] == "99.0"


def test_another_strategy_is_told(half):
    recipe, said = half / "recipe.toml", []
    recipe.write_text(recipe.read_text().replace('strategy = "vmap"', 'strategy = "map"'))
    Run.load(half, trust=True).resume(log=said.append)  # a changed recipe is asked about again
    assert any("strategy map, before vmap" in line for line in said)


def test_the_same_conditions_are_not_told(half):
    said: list[str] = []
    Run.load(half).resume(log=said.append)
    assert not any("conditions" in line for line in said)


def test_a_changed_record_is_refused(copy):
    path = copy / sittings.FILE
    path.write_text(path.read_text().replace("vmap", "map"))
    with pytest.raises(RunError, match=r"sittings.json' cannot be trusted"):
        _ = Run.load(copy).sittings
    path.write_text(sealed.seal(json.dumps({"sittings": []}, indent=1)))
    assert Run.load(copy).sittings == []

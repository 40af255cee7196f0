"""Files of a run that are JSON, and yet not what a run holds."""

import json

import pytest
from pydantic import BaseModel

from populace import report
from populace.core.errors import RunError
from populace.engine import strategy
from populace.report.media import media_items
from populace.runs.folder import FORMAT
from populace.runs.integrity import sealed, status
from populace.runs.integrity.schemas import json_files
from populace.runs.integrity.schemas.results import Results
from populace.runs.run import Run


def without(key):
    return lambda found: {k: v for k, v in found.items() if k != key}


RESULTS = {
    "nothing": (lambda found: {"a": 1}, "field required"),
    "no settings": (lambda found: found | {"settings": []}, "settings: list should have at least 1"),
    "a score in words": (
        lambda found: found | {"score": found["score"] | {"mode": "higher"}},
        "score.mode: string should match",
    ),
    "no members": (without("members"), "members: field required"),
    "a setting that is not there": (
        lambda found: found | {"best": found["best"] | {"setting": 10**6}},
        "best names a setting",
    ),
    "a member that is not there": (
        lambda found: found | {"best": found["best"] | {"member": 99}},
        "best names a setting or a member",
    ),
    "members in another order": (
        lambda found: found | {"members": found["members"][::-1]},
        "members.0 names a member",
    ),
    "two scores for one member": (
        lambda found: (
            found
            | {
                "settings": [
                    s | {"validation": s["validation"] | {"scores": [1.0]}} for s in found["settings"]
                ]
            }
        ),
        "settings.0 has 1 scores",
    ),
    "a metric in words": (
        lambda found: (
            found | {"members": [m | {"test": m["test"] | {"metrics": 0.5}} for m in found["members"]]}
        ),
        "members.0.test.metrics: input should be a valid dict",
    ),
    "units of a setting in words": (
        lambda found: found | {"settings": [s | {"units_per_step": "[/]"} for s in found["settings"]]},
        "settings.0.units_per_step: input should be a valid integer",
    ),
    "a decision about nobody": (
        lambda found: found | {"decisions": [{"step": 1, "copy": [[3]]}]},
        "decisions.0.copy.0: list should have at least 2",
    ),
    "a count below nothing": (lambda found: found | {"steps": -1}, "steps: input should be greater"),
    "a count of 5,000 digits": (lambda found: found | {"steps": 10**4000}, "steps: input should be a"),
}


@pytest.mark.parametrize(("change", "said"), RESULTS.values(), ids=RESULTS)
def test_results_of_another_shape_are_one_line(finished_copy, change, said):
    file = finished_copy / "results.json"
    found = sealed.opened(file.read_text())
    file.write_text(sealed.seal(json.dumps(change(found), indent=1)))
    with pytest.raises(RunError, match=r"cannot read '.*results.json'") as told:
        report.write([Run.load(finished_copy)])
    assert said in str(told.value)
    assert status.status(finished_copy).state == "interrupted", "a listing goes on"


def test_what_is_no_text_or_nested_without_end_is_one_line(finished_copy):
    for content in (b"\xff\xfe{", b"[" * 200_000, b"", b"\x00"):
        (finished_copy / "results.json").write_bytes(content)
        with pytest.raises(RunError, match=r"cannot read '.*results.json'"):
            Run.load(finished_copy).results()
        (finished_copy / "environment.json").write_bytes(content)
        with pytest.raises(RunError, match=r"cannot read '.*environment.json'"):
            Run.load(finished_copy).environment()


def test_a_media_index_of_another_shape_is_one_line(tmp_path):
    media = tmp_path / "media"
    media.mkdir()
    (media / "a.png").write_bytes(b"")
    for content in ("{}", "[1]", '[{"file": 3}]', "[" * 10_000, '[{"kind": "image"}]', "[null]"):
        (media / "index.json").write_text(content)
        with pytest.raises(RunError, match="is no index of media"):
            media_items(tmp_path)
    for name in ("../recipe.toml", "a" * 10_000, "a\\u0000b", "."):
        (media / "index.json").write_text(f'[{{"file": "{name}"}}, {{"file": "a.png"}}]')
        assert [item.title for item in media_items(tmp_path)] == ["a"]


def test_a_memory_of_strategies_of_another_shape_is_forgotten(tmp_path):
    memory = tmp_path / "strategies.json"
    for content in ("[]", '{"a": 1}', '{"a": {"strategy": "map", "width": -1}}', "[" * 100_000):
        memory.write_text(content)
        assert strategy._recall(memory) == {}
    choice = strategy.BatchingChoice("map", 1, "as measured", {"map": 0.5})
    strategy._remember(memory, {"a": choice})
    assert strategy._recall(memory) == {"a": choice}


def test_every_run_is_of_its_schema(finished):
    assert json_files.read(finished / "results.json", sealed=True)["status"] == "finished"
    assert json_files.read(finished / "environment.json", sealed=True)["format"] == FORMAT
    # Every field that is written is one that the schema looks at.
    written = Results.model_validate(Run.load(finished).results())
    assert list(unnamed(written)) == []
    more = Run.load(finished).results() | {"another": 1}
    assert list(unnamed(Results.model_validate(more))) == ["another"]


def test_of_many_members_each_is_checked_and_named(finished_copy, monkeypatch):
    found = Run.load(finished_copy).results()
    many = [found["members"][0] | {"member": i, "seed": i} for i in range(25)]
    one = found["settings"][0] | {"members": list(range(25))}
    one |= {k: one[k] and one[k] | {"scores": [0.0] * 25} for k in ("validation", "test", "external")}
    whole = found | {"members": many, "settings": [one], "best_by_task": [0], "costs": None}
    whole["best"] = whole["best"] | {"setting": 0, "rival": None}
    file = finished_copy / "results.json"
    for together in (10, 1000):
        monkeypatch.setattr(json_files, "_TOGETHER", together)
        file.write_text(sealed.seal(json.dumps(whole, indent=1)))
        assert json_files.read(file, sealed=True) == whole
        for place in (9, 10, 24):
            for change, said in (({"seed": "x"}, "seed: input should be"), ({"member": 0}, "names a member")):
                bad = whole | {"members": [m | change if m["member"] == place else m for m in many]}
                file.write_text(sealed.seal(json.dumps(bad, indent=1)))
                with pytest.raises(ValueError, match=rf"^members\.{place}[. ]{said}"):
                    json_files.read(file, sealed=True)


def unnamed(part, where=""):
    """Yield the fields that no schema names."""
    if isinstance(part, BaseModel):
        yield from (f"{where}{name}" for name in part.model_extra or ())
        for name in type(part).model_fields:
            yield from unnamed(getattr(part, name), f"{where}{name}.")
    for one in part if isinstance(part, list) else ():
        yield from unnamed(one, where)

"""`populace profile`: the list, the table, what is written, and what a person mistypes."""

import contextlib
import io
import json

import numpy as np
import pytest
from rich.console import Console

from populace.analysis import cost
from populace.analysis.compiled import Counts
from populace.analysis.cost import Cost, Profile
from populace.analysis.profile_cases import PROFILE_CASES, names
from populace.cli.commands.profile import _show
from tests.conftest import Outcome, call

SIZES = "8,16,32,64"


@pytest.fixture(scope="module")
def done(tmp_path_factory, module_cli):
    out = tmp_path_factory.mktemp("profile") / "here"
    return module_cli("profile", "linear", "layer-norm", "--sizes", SIZES, "--repeats", 2, "--out", out), out


@pytest.fixture(scope="module")
def module_cli():
    """The command line at 80 columns, for the one profile that several tests look at."""

    def run(*words):
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setenv("COLUMNS", "80")
            code = call(*words)
        return Outcome(code, out.getvalue(), err.getvalue())

    return run


def test_without_names_the_layers_are_listed(cli):
    found = cli("profile")
    assert found.code == 0
    for name in names():
        assert name in found.out
    assert "O(n² d)" in found.out


def test_table_fits_80_columns(done):
    found, out = done
    assert found.code == 0, found.err
    assert found.err == ""
    lines = found.out.splitlines()
    assert max(map(len, lines)) <= max(80, len(f"profile  {out}"))
    assert "…" not in found.out
    for word in ("linear", "layer-norm", "O(n²)", "exponent", "± 95 %", "theory", "64"):
        assert word in found.out


def test_files_are_written(done):
    import imageio.v3 as iio

    _, out = done
    assert sorted(p.name for p in out.iterdir()) == [
        "layer-norm.png", "linear.png", "profile.json", "profile.png",
    ]  # fmt: skip
    for picture in out.glob("*.png"):
        assert iio.imread(picture).shape[2] == 3
    kept = json.loads((out / "profile.json").read_text())
    assert kept["repeats"] == 2
    assert {"populace", "cpu", "backend", "command"} <= set(kept)
    linear, norm = kept["layers"]
    assert (linear["name"], norm["name"]) == ("linear", "layer-norm")
    assert linear["sizes"] == [8, 16, 32, 64]
    assert linear["documented"]["order"] == 2
    np.testing.assert_allclose(linear["forward"]["flops"], [2 * n * n for n in (8, 16, 32, 64)], rtol=0.2)
    value, low, high = linear["forward"]["exponents"]["flops"]
    assert low <= value <= high
    assert value == pytest.approx(2, abs=0.1)
    for which in ("forward", "gradient"):
        assert [len(times) for times in linear[which]["times"]] == [2] * 4


def test_json_is_all_that_is_printed(cli, tmp_path):
    found = cli("profile", "dense", "linear", "--sizes", SIZES, "--repeats", 1, "--out", tmp_path, "--json")
    assert found.code == 0
    assert [layer["name"] for layer in found.json["layers"]] == ["linear"]
    assert found.json == json.loads((tmp_path / "profile.json").read_text())


def test_interrupted_keeps_what_was_measured(cli, tmp_path, monkeypatch):
    real = cost.profiled

    def interrupted(*args, **options):
        grown = real(*args, **options)
        yield next(grown)
        yield next(grown)
        raise KeyboardInterrupt

    monkeypatch.setattr(cost, "profiled", interrupted)
    found = cli("profile", "linear", "--sizes", SIZES, "--repeats", 1, "--out", tmp_path)
    line = found.refused(130)
    assert "interrupted" in line
    assert "2 sizes" in line
    kept = json.loads((tmp_path / "profile.json").read_text())
    assert kept["layers"][0]["sizes"] == [8, 16]


def test_a_size_that_does_not_fit_is_said(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "memory_here", lambda: 10_000)
    found = cli("profile", "linear", "--sizes", SIZES, "--repeats", 1, "--out", tmp_path)
    assert found.code == 0
    assert "skipped  size 64 needs" in found.out


def test_what_the_counts_leave_out_is_said(cli, tmp_path):
    words = ("low-rank-attention", "projected-attention", "--sizes", "16,20,24", "--repeats", 1)
    found = cli("profile", *words, "--out", tmp_path)
    assert found.code == 0
    assert "FLOPs and bytes do not include lapack" in found.out
    lines = found.out.splitlines()
    summary = {line.split()[0]: line.rstrip() for line in lines if "±" in line and "O(" in line}
    assert summary["low-rank-attention"].endswith(" *")
    assert not summary["projected-attention"].endswith(" *")


BAD = {
    "unknown layer": (["conv2"], ["unknown layer 'conv2'", "'conv2d'"]),
    "far from all": (["zzzzzz"], ["unknown layer 'zzzzzz'", "known", "lstm"]),
    "two sizes": (["linear", "--sizes", "4,8"], ["--sizes", "at least 3", "'4,8'"]),
    "the same size": (["linear", "--sizes", "4,4,4"], ["--sizes", "at least 3"]),
    "size 0": (["linear", "--sizes", "0,4,8"], ["--sizes", "positive"]),
    "text for a size": (["linear", "--sizes", "4,8,big"], ["--sizes", "positive integers", "'4,8,big'"]),
    "fraction": (["linear", "--sizes", "4,8,1.5"], ["--sizes", "positive integers"]),
    "no sizes": (["linear", "--sizes", ""], ["--sizes", "at least 3"]),
    "no repeats": (["linear", "--repeats", "0"], ["--repeats", "1"]),
    "no such option": (["linear", "--sise", "3"], ["--sise"]),
    "what the layer refuses": (
        ["low-rank-attention", "--sizes", "4,8,32"],
        ["rank is 16", "expected 1 to 4"],
    ),
    "fewer nodes than edges into each": (
        ["gcn", "--sizes", "4,16,32"],
        ["graph layers", "8 edges", "got 4"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(cli, tmp_path, case):
    words, said = BAD[case]
    line = cli("profile", *words, "--out", tmp_path / "out").refused(2)
    for word in said:
        assert word in line


def test_out_that_is_a_file(cli, tmp_path):
    (tmp_path / "file").write_text("")
    assert "is a file" in cli("profile", "linear", "--out", tmp_path / "file").refused(2)
    assert "cannot write" in cli("profile", "linear", "--out", tmp_path / "file" / "in").refused(1)


@pytest.mark.parametrize(
    ("seconds", "row", "note"),
    [
        ([1e-3, 2e-3, 4e-3], ["1.00", "1.00"], ""),
        ([1e-3, 9e-3, 1e-4], ["?", "?"], "the fit is useless: up to ± "),
        ([1e-3, 2e-3], ["-", "-"], "no exponents: a fit needs 3 sizes, and 2 are measured"),
    ],
)
def test_a_useless_fit_is_called_one(seconds, row, note):
    costs = tuple(Cost((s,), Counts(0.0, 0.0, 0)) for s in seconds)
    found = Profile("conv1d", tuple(2 ** (i + 3) for i in range(len(costs))), costs, costs)
    out = io.StringIO()
    _show(Console(file=out, width=120), PROFILE_CASES["conv1d"], found)
    (exponents,) = (line.split() for line in out.getvalue().splitlines() if line.startswith("exponent"))
    assert exponents[1:3] == row
    assert note in out.getvalue()
    assert ("the fit is useless" in out.getvalue()) == ("useless" in note)


def test_two_sizes_are_refused_with_the_reason(cli):
    line = cli("profile", "linear", "--sizes", "64,128").refused(2)
    assert "at least 3 different positive integers" in line
    assert "every power law fits two" in line

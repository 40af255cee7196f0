"""The tables of a run: the score before all else, ties as ties, and nothing that is the same in every row."""

from fake_run import fake_run

from populace.report import number_format
from populace.report.runs import Reading
from populace.report.text import run_tables
from populace.report.text.tables import Cell, Column, Row, Table

ONE_AXIS = {"learning_rate": [3e-4, 1e-3, 3e-3]}


def reading(path, **more) -> Reading:
    return Reading.of(fake_run(path, media=False, axes=ONE_AXIS, seeds=5, diverged=(), **more))


def tie(run: Reading, values: list[float]) -> None:
    """Give the settings these interquartile means by every score but the validation score."""
    for entry, value in zip(run.settings, values):
        for kind in ("test", "external"):
            entry[kind] = entry[kind] | {"iqm": [value, value - 1, value + 1]}


def test_the_score_stands_beside_the_rank_and_constant_columns_are_a_sentence(tmp_path):
    table = run_tables.settings_table(reading(tmp_path))
    titles = [column.title for column in table.columns]
    assert titles[:3] == ["rank", "external", "learning_rate"]
    assert not {"members", "diverged", "success"} & set(titles)
    assert table.notes[-1] == "The same in every row: members 5, diverged 0, success 100 %."
    members = run_tables.members_table(reading(tmp_path))
    assert [column.title for column in members.columns][:2] == ["member", "external"]
    assert members.notes == ["The same in every row: state finite."]


def test_equal_scores_share_a_rank_and_the_selected_setting_leads_them(tmp_path):
    run = reading(tmp_path)
    best = run.results["best"]["setting"]
    tie(run, [480.0, 480.0 + 1e-11, 480.0])
    assert run.ranked[0]["setting"] == best
    table = run_tables.settings_table(run)
    assert [row.cells[0].text for row in table.rows] == ["1=", "1=", "1="]
    assert "Settings with equal scores share a rank (=)." in table.notes


def test_a_selected_setting_below_others_says_why(tmp_path):
    run = reading(tmp_path)
    best = run.results["best"]["setting"]
    tie(run, [400.0 if entry["setting"] == best else 490.0 for entry in run.settings])
    table = run_tables.settings_table(run)
    assert [row.cells[0].text for row in table.rows] == ["1=", "1=", "3"]
    assert table.rows[2].chosen
    assert "by the external score, which was measured afterwards, 2 settings rank above it" in table.notes[0]


def test_a_confirmed_score_has_a_column(tmp_path):
    run = reading(tmp_path)
    winner = run.winner
    run.results["confirmation"] = {"settings": [winner | {"test": winner["test"] | {"iqm": [450, 440, 460]}}]}
    table = run_tables.settings_table(run)
    at = [column.title for column in table.columns].index("confirmation")
    shown = {row.chosen: row.cells[at] for row in table.rows}
    assert (shown[True].text, shown[True].detail) == ("450", "(440 to 460)")
    assert shown[False].text == number_format.MISSING


def test_a_table_of_one_row_keeps_its_columns():
    table = Table("t", "", [Column("a"), Column("b")], [Row([Cell("1"), Cell("2")])])
    assert len(table.condensed().columns) == 2
    table.rows.append(Row([Cell("1"), Cell("3")]))
    assert [column.title for column in table.condensed().columns] == ["b"]
    assert table.condensed().notes == ["The same in every row: a 1."]


def test_numbers_of_a_column_have_the_same_decimals():
    assert number_format.column([0.72, 0.765, None, 1.0]) == ["0.720", "0.765", "–", "1.000"]
    assert number_format.column([499.97, 12.0]) == ["500", "12"]
    assert number_format.column([5.0, 12.0]) == ["5", "12"]
    assert number_format.column([3e-7, 1e-5]) == ["3e−7", "1e−5"]

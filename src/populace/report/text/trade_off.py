"""The trade-offs in words: the smallest setting that is as good as the winner, the front, what is missing."""

from populace.core.errors import article
from populace.report import number_format
from populace.report.text.full_tables import SETTINGS
from populace.report.text.tables import Cell, Column, Row, Table, interval_cell
from populace.report.trade_off import COSTS, SettingCosts, TradeOff


def smallest(found: TradeOff) -> str:
    """Return in a sentence which is the smallest setting whose score is within the winner's interval."""
    reading, winner = found.reading, found.winner
    sizes = {one.of["parameters"] for one in found.settings}
    if len(sizes) == 1:
        return f"All settings have {_parameters(winner)}: none is smaller than another."
    chosen, best = found.smallest, f"{reading.label(winner.entry)} ({_parameters(winner)})"
    if chosen is None:
        return (
            f"The winner, {best}, has no interval, so it is not known which smaller settings are as good; "
            "train more seeds."
        )
    bounds = f"{number_format.bounds_of(winner.score)}"
    name = number_format.bounds_name([len(winner.entry["members"])])
    if chosen is winner:
        score = article(reading.score)
        return f"No smaller setting has {score} within the {name} of the winner, {best}: {bounds}."
    share = 100 * (chosen.of["parameters"] or 0) / (winner.of["parameters"] or 1)
    return (
        f"The smallest setting whose {reading.score} is within the winner's {name}, {bounds}, is "
        f"{reading.label(chosen.entry)}: {number_format.value_of(chosen.score)} with {_parameters(chosen)}, "
        f"{number_format.rough(share)} % of those of the winner, {best}."
    )


def _parameters(one: SettingCosts) -> str:
    return number_format.count(int(one.of["parameters"] or 0), "parameter")


def front(found: TradeOff) -> str:
    """Return in a sentence how many settings nothing dominates, and in what."""
    names = [found.reading.score, *(cost.name for cost in found.differing)]
    if len(names) == 1:
        winner = found.winner.of
        costs = ", ".join(f"{cost.name} {cost.write(winner[cost.key])}" for cost in found.costs)
        return f"All settings cost the same ({costs}), so the score alone decides."
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return (
        f"{number_format.whole(len(found.front))} of {number_format.count(len(found.settings), 'setting')} "
        f"are on the front: of {listed}, no other setting is better in one and worse in none."
    )


def missing(found: TradeOff) -> list[str]:
    """Return a line for each thing that is not known of every setting, with the reason."""
    said = []
    known = {cost.key for cost in found.costs}
    if "train_s" not in known:
        said.append("Training time of each setting: its program could not be timed by itself.")
    if "seconds" not in known:
        said.append("Time and memory of a prediction: this learner makes no single predictions.")
    if not found.judges_over_fitting:
        said.append("Over-fitting: there is no score on what was trained on beside one on what was held out.")
    return [f"Not measured. {line}" for line in said]


def table(found: TradeOff) -> Table:
    """Return a table of the settings with score, costs and over-fitting; those on the front come first."""
    reading = found.reading
    on = {id(one) for one in found.front}
    rows = sorted(found.settings, key=lambda one: id(one) not in on)
    columns = [
        Column("setting", identifies=True),
        Column("front", hint="whether no other setting is better in something and worse in nothing"),
        Column(reading.score, numeric=True, score=True, hint=f"{reading.statistic}, {reading.measured}"),
        *(Column(cost.name, numeric=True) for cost in COSTS),
        Column("in training", numeric=True, hint="mean score on what was trained on"),
        Column("over-fitting", numeric=True, hint="how much worse the score is held out than in training"),
    ]
    made = Table("trade-off-table", "Score and costs of each setting", columns)
    if len(rows) > SETTINGS:
        made.cut = f"{SETTINGS} of {number_format.whole(len(rows))} settings are listed, the front first.", ""
    for one in rows[:SETTINGS]:
        label, front = reading.label(one.entry), "yes" if id(one) in on else "no"
        costs = [Cell(cost.write(one.of[cost.key]), one.of[cost.key]) for cost in COSTS]
        cells = [
            Cell(label, label, reading.color(one.entry)), Cell(front, front), interval_cell(one.score),
            *costs, Cell(number_format.number(one.training), one.training), interval_cell(one.over_fitting),
        ]  # fmt: skip
        made.rows.append(Row(cells, chosen=one.entry is reading.winner))
    return made.condensed()

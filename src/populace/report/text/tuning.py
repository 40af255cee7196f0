"""What a controller did to the members, and what their scores can say therefore."""

from populace.report import number_format
from populace.report.entries import interval_of
from populace.report.runs import Reading


def sentences(reading: Reading) -> list[str]:
    """Return what is to be said of members that were stopped, copied or changed."""
    return [note for note in (_stopped(reading), _copied(reading)) if note]


def _stopped(reading: Reading) -> str:
    ended = [m["stopped_at"] for m in reading.members if m.get("stopped_at") is not None]
    if not ended:
        return ""
    if not reading.results.get("eliminated"):
        return f"A controller stopped {number_format.count(len(ended), 'member')} before the end."
    on = {m["setting"] for m in reading.members if m.get("stopped_at") is None}
    total = len(reading.settings)
    return (
        f"{number_format.whole(total - len(on))} of {number_format.count(total, 'setting')} were stopped "
        f"before the end, from step {number_format.whole(min(ended))} on, for their scores at that moment. "
        "What they would have reached is not known; they rank behind those that trained longer."
    )


def _copied(reading: Reading) -> str:
    copied = sum(bool(m.get("lineage")) for m in reading.members)
    populations = reading.results.get("populations")
    if not copied:
        return ""
    whose = f"The state of {number_format.count(copied, 'member')} was copied from another member."
    if not populations:
        return whose
    whose += " Settings are listed as they were at the start."
    if populations["of"] == "all":
        return (
            f"{whose} All members exchanged with one another, so they are one experiment: no interval over "
            "seeds says what another one would reach."
        )
    found = interval_of(populations["test"] or populations["validation"])
    if found is None:
        return whose
    count = len(populations["best"])
    how = "measured afresh" if populations["test"] else "by the evaluations that chose them"
    return (
        f"{whose} Each seed is a population of its own, and the best member of each counts once: "
        f"{reading.score} {number_format.interval(found, named=True)} over "
        f"{number_format.count(count, 'population')}, {how}."
    )

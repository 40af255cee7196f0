"""The words of the report, explained to somebody who meets them for the first time."""

from populace.report.runs import Reading

MEMBER = "one network or agent that was trained: one setting with one random seed"
SEED = "the number from which all randomness of a member follows; other seeds give other results"
IQM = "the mean of the middle half of the seeds, in which single failures and lucky runs weigh less"
INTERVAL = "such bounds contain the true value in about 95 of 100 experiments"
RANGE = "the worst and the best seed: there are too few for an interval"
VALIDATION = "evaluations during training, by which models and settings are selected"
TEST = "evaluation of the saved models after selection"
CONFIRMATION = "the selected setting trained again on new seeds, which took no part in selecting it"
SIGNIFICANT = "so large that chance alone would rarely produce it: 5 % level, for all settings together"
BEST = "how often a setting is the best when the seeds are resampled"
DIVERGED = "the numbers became infinite or undefined, so the member was stopped"


def glossary(reading: Reading) -> list[tuple[str, str]]:
    """Return the words that the report of this run uses, each with its meaning."""
    several = any(len(entry["members"]) > 1 for entry in reading.settings)
    swept, tested = len(reading.settings) > 1, reading.comparison is not None and reading.comparison.testable
    words = [
        ("member", MEMBER, True),
        ("seed", SEED, True),
        ("setting", f"the values of what was varied ({', '.join(reading.axes)})", swept),
        ("interquartile mean", IQM, several and not reading.folded),
        ("95 % interval", INTERVAL, "95 %" in reading.bounds),
        ("range of seeds", RANGE, "range" in reading.bounds),
        ("validation score", VALIDATION, True),
        ("test score", TEST, True),
        ("confirmation", CONFIRMATION, bool(reading.confirmed)),
        ("significant", SIGNIFICANT, tested),
        ("P(best)", BEST, tested),
        ("diverged", DIVERGED, any(m.get("diverged_at") is not None for m in reading.members)),
    ]
    return [(word, meaning) for word, meaning, used in words if used]

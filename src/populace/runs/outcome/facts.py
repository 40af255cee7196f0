"""Facts: what a run says of its results in a few lines."""

from typing import Any

from populace.core.formatting import count, format_value


def facts(results: dict[str, Any]) -> dict[str, str]:
    """Return what `results.json` says in a few words: who was trained, the best setting, and its score."""
    best, score, settings = results["best"], results["score"]["name"], results["settings"]
    diverged = sum(member["diverged_at"] is not None for member in results["members"])
    every = f"{len(results['members']):,}: {count(len(settings), 'setting')}"
    if best is None:
        return {"members": every, "diverged": "all of them, so there is no best"}
    chosen = settings[best["setting"]]
    seeds = count(len(chosen["members"]), "seed")
    found = {"members": f"{every} with {seeds} each"}
    if chosen["values"]:
        values = (f"{path} {format_value(value)}" for path, value in chosen["values"].items())
        found["best setting"] = ", ".join(values)
    independent = results.get("independent_test", True)
    for kind in ("validation", "test", "external"):
        summary = best[kind] or {}
        headline = summary.get("headline", "iqm")
        value, low, high = summary.get(headline) or [None] * 3
        if value is None or (kind == "test" and independent is False):
            continue  # not measured, or what members were selected by, measured again
        label = "score" if independent is None else kind
        what = "interquartile mean" if headline == "iqm" else headline
        found[label] = f"{score} {value:.4g} ({low:.4g} to {high:.4g}), {what} of {seeds}"
    return found | ({"diverged": count(diverged, "member")} if diverged else {})

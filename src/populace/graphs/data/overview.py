"""What graphs and sets of graphs say of themselves in a notebook or a terminal."""

from typing import Any

from populace.core.formatting import count, shortened


def said_of(data: Any) -> dict[str, object]:
    """Return the facts that graphs and sets of graphs share: features, what is predicted, and the split."""
    parts = ((name, getattr(data, name)) for name in ("train", "validation", "test"))
    split = ", ".join(f"{len(part):,} {name}" for name, part in parts if part is not None)
    y = data.y
    targets = "" if y is None or y.dtype.kind in "iu" else count(1 if y.ndim == 1 else y.shape[1], "number")
    return {
        "features": "none" if data.x is None else f"{data.x.shape[1]:,}",
        "classes": shortened(data.names) or (data.classes if y is not None and not targets else ""),
        "targets": targets,
        "split": split or "none",
    }

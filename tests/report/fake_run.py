"""Builds runs that look like real ones, without training anything: the folder the report reads."""

import itertools
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw

from populace.statistics import summarize

FLOOR = {"max": 0.0, "min": 500.0}
AXES = {"learning_rate": [3e-4, 1e-3, 3e-3, 1e-2], "exploration.decay": [0.9, 0.99, 0.995, 0.999]}


@dataclass
class FakeRun:
    """A run held in memory, with the methods that the report asks for."""

    path: Path
    content: dict[str, Any]
    tables: dict[str, pa.Table]
    surroundings: dict[str, Any]
    recipe: str = ""
    asked: list[str] = field(default_factory=list)

    def results(self) -> dict[str, Any]:
        return self.content

    def metrics(self, kind: str = "train") -> pa.Table:
        self.asked.append(kind)
        return self.tables[kind]

    def environment(self) -> dict[str, Any]:
        return self.surroundings

    def recipe_text(self) -> str:
        return self.recipe


def fake_run(
    path: Path,
    *,
    name: str = "cart on a rail",
    axes: dict[str, list[Any]] | None = None,
    seeds: int = 4,
    diverged: tuple[int, ...] = (13, 62),
    lower: bool = False,
    external: bool = True,
    test: bool = True,
    status: str = "finished",
    solved: float | None = 475.0,
    empty: bool = False,
    media: bool = True,
    skill: float = 1.0,
    seed: int = 0,
) -> FakeRun:
    """Make a run of every combination of `axes` times `seeds`; `skill` scales what it reaches."""
    axes = AXES if axes is None else axes
    rng = np.random.default_rng(seed)
    combinations = [dict(zip(axes, values)) for values in itertools.product(*axes.values())]
    members = [(s, k) for s in range(len(combinations)) for k in range(seeds)]
    ended = {m: int(rng.integers(3_000, 15_000)) // 500 * 500 for m in diverged if m < len(members)}
    steps = np.arange(500, (20_000 if status == "finished" else 6_000) + 1, 500)
    curves = np.stack([_curve(rng, combinations[s], steps, skill) for s, _ in members])
    if lower:
        curves = 500 - curves
    for member, at in ended.items():
        curves[member, steps >= at] = np.nan

    pick, mode = (np.nanmin, "min") if lower else (np.nanmax, "max")
    entries = []
    for m, (s, k) in enumerate(members):
        seen, dead = curves[m], m in ended
        last = None if dead else float(seen[-1])
        true = None if dead else float(np.clip(np.mean(seen[-8:]) + rng.normal(0, 4), 0, 500))
        real = None if true is None else float(np.clip(true + rng.normal(0, 3), 0, 500))
        best = float(pick(seen)) if np.isfinite(seen).any() else None
        when = None if best is None else int(steps[np.nanargmin(abs(seen - best))])
        entries.append(
            {
                "member": m,
                "setting": s,
                "seed": k,
                "diverged_at": ended.get(m),
                "validation": {"score": best, "step": when},
                "last": {"score": last},
                "test": {"score": true, "size": 200} if test else None,
                "external": {"score": real, "size": 200, "backend": "gymnasium"} if external else None,
            }
        )
    summaries = {
        kind: _summaries(entries, kind, len(combinations), mode) if there else None
        for kind, there in (("validation", True), ("test", test), ("external", external))
    }
    settings = [
        {
            "setting": s,
            "values": values,
            "members": [m for m, e in enumerate(entries) if e["setting"] == s],
            "diverged": sum(e["diverged_at"] is not None for e in entries if e["setting"] == s),
            "floor": {"return": FLOOR[mode]},
            "task": {"name": "cart", "identity": "cart"},
            **{kind: found[s] if found else None for kind, found in summaries.items()},
        }
        for s, values in enumerate(combinations)
    ]
    sign = 1 if lower else -1
    scored = [e for e in settings if (e["validation"] or {}).get("iqm", [None])[0] is not None]
    best = min(scored, key=lambda e: sign * e["validation"]["iqm"][0], default=None)
    content = {
        "format": 1,
        "populace": "0.1.0",
        "name": name,
        "about": "Value learning with a decaying exploration, four settings of each of two knobs.",
        "status": status,
        "command": f"populace run {name.split()[0]} --seeds {seeds} --out runs/{path.name}",
        "learner": "somewhere.learners:Learner",
        "unit": "frames",
        "evaluation_unit": "episodes",
        "units_per_step": 4,
        "steps": int(steps[-1]),
        "steps_total": 20_000,
        "score": {
            "name": "return",
            "mode": mode,
            "score_threshold": solved,
            "floor": "the lowest return possible",
        },
        "axes": axes,
        "settings": settings,
        "members": entries,
        "best": best
        and {
            "setting": best["setting"],
            "member": best["members"][0],
            "median_member": best["members"][-1],
            **{kind: best[kind] for kind in ("validation", "test", "external")},
        },
        "strategy": [
            {
                "members": len(members),
                "strategy": "vmap",
                "why": "small networks: 1.9 ms a step against 7.4 ms one by one",
                "seconds_per_step": 0.0019,
            }
        ],
        "timing": {"wall_s": 134.2, "train_s": 118.9, "units_per_s": 148_312.4, "resumed": 0},
    }
    path.mkdir(parents=True, exist_ok=True)
    if media:
        write_media(path)
    evaluation = _table(members, steps, {"return": curves})
    loss = np.exp(-steps / 4000) * np.exp(rng.normal(0, 0.3, curves.shape)) * 3
    windows = {
        "return": curves * 0.9,
        "loss": np.where(np.isnan(curves), np.nan, loss),
        "q_mean": curves / 5 + rng.normal(0, 2, curves.shape),
        "epsilon": np.broadcast_to(np.maximum(0.02, 1 - steps / 8000), curves.shape),
        "unmeasured": np.full(curves.shape, np.nan),
    }
    train = _table(members, steps, windows)
    if empty:
        evaluation = evaluation.slice(0, 0)
    recipe = f'[recipe]\nname = "{name}"\nlearner = "learner"\n\n[run]\nsteps = 20000\nseeds = {seeds}\n'
    return FakeRun(path, content, {"train": train, "evaluation": evaluation}, _environment(), recipe)


def _curve(rng: np.random.Generator, values: dict[str, Any], steps: np.ndarray, skill: float) -> np.ndarray:
    numbers = [v for v in values.values() if isinstance(v, int | float) and v > 0]
    miss = sum(abs(math.log10(v / t)) for v, t in zip(numbers, (1e-3, 0.99, 64)))
    top = 505 * skill * math.exp(-0.45 * miss) * (1 - 0.05 * abs(rng.normal()))
    rise = top / (1 + np.exp(-(steps - 5_000 * (1 + 0.4 * miss)) / 1_500))
    return np.clip(rise + rng.normal(0, 5 + 0.05 * rise * (1 - rise / 520)), 5, 500)


def _summaries(entries: list[dict[str, Any]], kind: str, settings: int, mode: str) -> list[dict[str, Any]]:
    scores = [math.nan if (s := e[kind]["score"]) is None else s for e in entries]
    found = []
    for s in range(settings):
        rows = [m for m, e in enumerate(entries) if e["setting"] == s]
        dead = np.array([entries[m]["diverged_at"] is not None for m in rows])
        summary = summarize([scores[m] for m in rows], dead, worst=FLOOR[mode], mode=mode)
        success = np.mean([not d and math.isfinite(scores[m]) for m, d in zip(rows, dead)])
        found.append(summary.as_dict() | {"success_rate": [float(success), 0.0, 1.0]})
    return found


def _table(members: list[tuple[int, int]], steps: np.ndarray, metrics: dict[str, Any]) -> pa.Table:
    count, times = len(members), len(steps)
    columns: dict[str, Any] = {
        "step": np.tile(steps, count),
        "units": np.tile(steps * 4.0, count),
        "member": np.repeat(np.arange(count), times),
        "setting": np.repeat([s for s, _ in members], times),
        "seed": np.repeat([k for _, k in members], times),
    }
    columns |= {name: np.asarray(values).ravel() for name, values in metrics.items()}
    return pa.table({name: pa.array(v, from_pandas=True) for name, v in columns.items()})


def _environment() -> dict[str, Any]:
    return {
        "populace": "0.1.0",
        "python": "3.11.7",
        "platform": "Linux-6.1-x86_64",
        "cpu": "a processor with two cores",
        "cores": 2,
        "backend": "cpu",
        "devices": ["TFRT_CPU_0", "TFRT_CPU_1"],
        "packages": {"jax": "0.10.2", "equinox": "0.13.2", "optax": "0.2.6"},
        "commit": None,
        "started": "2026-01-05T14:03:22+00:00",
    }


def write_media(path: Path) -> None:
    """Write a short video of a swinging line, a picture, and their index."""
    media = path / "media"
    media.mkdir(exist_ok=True)
    size = (320, 192)
    writer = imageio_ffmpeg.write_frames(str(media / "best.mp4"), size, fps=30, macro_block_size=16)
    writer.send(None)
    for frame in range(60):
        writer.send(np.asarray(_frame(size, frame), dtype=np.uint8).tobytes())
    writer.close()
    _frame(size, 20).save(media / "worst.png")
    index = [
        {
            "file": "best.mp4",
            "kind": "video",
            "title": "The best member plays",
            "member": 4,
            "caption": "One greedy episode, 500 frames.",
        },
        {
            "file": "worst.png",
            "kind": "image",
            "title": "Where it fails",
            "member": 13,
            "caption": "The last frame of the shortest episode.",
        },
        {"file": "gone.png", "kind": "image", "title": "Gone", "member": 1, "caption": ""},
        {"file": "../secret.png", "kind": "image", "title": "Out", "member": 1, "caption": ""},
    ]
    (media / "index.json").write_text(json.dumps(index), encoding="utf-8")
    Image.new("RGB", (4, 4)).save(path / "secret.png")


def _frame(size: tuple[int, int], frame: int) -> Image.Image:
    image = Image.new("RGB", size, (250, 250, 248))
    draw = ImageDraw.Draw(image)
    x = size[0] / 2 + 40 * math.sin(frame / 10)
    tip = (x + 60 * math.sin(frame / 7), 60)
    draw.line([(20, 140), (size[0] - 20, 140)], fill=(120, 120, 120), width=2)
    draw.rectangle([x - 24, 126, x + 24, 146], fill=(0, 114, 178))
    draw.line([(x, 128), tip], fill=(213, 94, 0), width=6)
    return image

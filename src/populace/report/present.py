"""Films and pictures of the best and the median member, and the report around them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from populace.core.errors import PopulaceError
from populace.core.media import Exhibit, Picture, Video
from populace.report.page import write
from populace.report.runs import RunLike


class Exhibitor(Protocol):
    """A trained member that can show pictures and films of itself."""

    @property
    def member(self) -> Any:
        """Who it is; has a `seed`."""
        ...

    def exhibits(self) -> dict[str, Exhibit]:
        """Return pictures and films."""
        ...


class ShowableRun(RunLike, Protocol):
    """A run whose members can be asked for exhibits."""

    def member(self, index: int) -> Exhibitor:
        """Return one trained member."""
        ...


def present(run: ShowableRun, say: Callable[[str], None] = lambda line: None) -> Path:
    """Draw the best and the median member of a run, then write its report; return the report's path.

    It is what the command line does at the end of a run. A film that cannot be made (a renderer or
    an encoder that is missing) is told by `say`, and costs the film alone.
    """
    try:
        make(run, say)
    except (PopulaceError, OSError, RuntimeError, ImportError) as error:
        # The numbers are safe on disk; a missing renderer or encoder costs the film alone.
        say(f"no film: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    say("writing the report")
    return write([run])


def make(run: ShowableRun, say: Callable[[str], None]) -> None:
    """Write the exhibits of the best and the median member of the best setting to `media/`."""
    best = run.results()["best"]
    folder = run.path / "media"
    folder.mkdir(exist_ok=True)
    index = []
    wanted = {"best": best["member"], "median": best["median_member"]}
    for role, number in wanted.items():
        if role == "median" and number == best["member"]:
            continue
        trained = run.member(number)
        say(f"drawing the {role} member, number {number}")
        for name, exhibit in trained.exhibits().items():
            file = _save(folder, f"{role}-{name}", exhibit)
            title = f"The {role} member (number {number}, seed {trained.member.seed})"
            kind = "video" if isinstance(exhibit, Video) else "picture"
            index.append(
                {
                    "file": file,
                    "kind": kind,
                    "title": title,
                    "member": number,
                    "caption": exhibit.caption,
                }
            )
    (folder / "index.json").write_text(json.dumps(index, indent=1))


def _save(folder: Path, name: str, exhibit: Exhibit) -> str:
    import imageio.v3 as iio

    if isinstance(exhibit, Picture):
        iio.imwrite(folder / f"{name}.png", exhibit.image)
        return f"{name}.png"
    import imageio

    # yuv420p and the index in front: every browser plays it, also from a data URI.
    options = ["-movflags", "+faststart", "-preset", "veryfast", "-crf", "28"]
    with imageio.get_writer(
        folder / f"{name}.mp4", format="FFMPEG", fps=exhibit.fps, codec="libx264",  # pyright: ignore[reportArgumentType]
        pixelformat="yuv420p", macro_block_size=2, ffmpeg_params=options, ffmpeg_log_level="error",
    ) as film:  # fmt: skip
        for frame in exhibit.frames:
            film.append_data(frame)  # pyright: ignore[reportAttributeAccessIssue]
    return f"{name}.mp4"

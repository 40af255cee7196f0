"""Figures and videos of the best and the median member, and the report that shows them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from populace.core.errors import PopulaceError
from populace.core.files import component, sweep, to_json, whole
from populace.core.files import write as write_whole
from populace.core.media import Image, Video, Visualization
from populace.report.page import write
from populace.report.runs import RunLike


class VisualizableMember(Protocol):
    """A trained member that can make figures and videos of itself."""

    @property
    def member(self) -> Any:
        """Identity of the member; has a `seed`."""
        ...

    def visualize(self) -> dict[str, Visualization]:
        """Return figures and videos by name."""
        ...


class VisualizableRun(RunLike, Protocol):
    """A run whose trained members can make figures and videos."""

    def member(self, index: int) -> VisualizableMember:
        """Return one trained member."""
        ...


def present(run: VisualizableRun, log: Callable[[str], None] = lambda line: None) -> Path:
    """Make figures and videos of the best and the median member, then write the report; return its path.

    The command line calls this at the end of a run. If a video cannot be made, for want of a renderer or an
    encoder, `log` receives the reason and the report is written without it.
    """
    try:
        make(run, log)
    except (PopulaceError, OSError, RuntimeError, ImportError) as error:
        # The results are safe on disk: a missing renderer or encoder must cost no more than the video.
        log(f"no video: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    log("writing the report")
    return write([run])


def make(run: VisualizableRun, log: Callable[[str], None]) -> None:
    """Write figures and videos of the best and the median member of the best setting to `media/`.

    None are written where all members diverged.
    """
    if (best := run.results()["best"]) is None:
        return
    folder = run.path / "media"
    folder.mkdir(exist_ok=True)
    sweep(folder)
    index = []
    wanted = {"best": best["member"], "median": best["median_member"]}
    for role, number in wanted.items():
        if role == "median" and number == best["member"]:
            continue
        trained = run.member(number)
        log(f"making figures of the {role} member, number {number}")
        for name, shown in trained.visualize().items():
            file = _save(folder, component(f"{role}-{name}", "the name of a visualization"), shown)
            title = f"The {role} member (seed {trained.member.seed})"
            kind = "video" if isinstance(shown, Video) else "image"
            index.append(
                {
                    "file": file,
                    "kind": kind,
                    "title": title,
                    "member": number,
                    "caption": shown.caption,
                }
            )
    write_whole(folder / "index.json", to_json(index))


def _save(folder: Path, name: str, shown: Visualization) -> str:
    import imageio.v3 as iio

    if isinstance(shown, Image):
        with whole(folder / f"{name}.png") as aside:
            iio.imwrite(aside, shown.image)
        return f"{name}.png"
    import imageio

    # Every browser plays yuv420p with the index in front, also from a data URI.
    options = ["-movflags", "+faststart", "-preset", "veryfast", "-crf", "28"]
    with whole(folder / f"{name}.mp4") as aside, imageio.get_writer(
        aside, format="FFMPEG", fps=shown.fps, codec="libx264",  # pyright: ignore[reportArgumentType]
        pixelformat="yuv420p", macro_block_size=2, ffmpeg_params=options, ffmpeg_log_level="error",
    ) as video:  # fmt: skip
        for frame in shown.frames:
            video.append_data(frame)  # pyright: ignore[reportAttributeAccessIssue]
    return f"{name}.mp4"

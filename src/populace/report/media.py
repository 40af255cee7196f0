"""Images and videos embedded in the page, so that the report is a single file that can be shared."""

import base64
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, TypeAdapter

from populace.core.errors import RunError

# Browsers are slow to open pages with more base64 than this; larger files are linked instead.
LARGEST = 24 * 2**20


@dataclass(frozen=True)
class MediaItem:
    """An image or video with title and caption; `source` is a data URI, or a link to a very large file."""

    kind: str
    title: str
    caption: str
    member: int | None
    source: str
    inside: bool


class _Entry(BaseModel):
    file: str
    kind: str = "image"
    title: str = ""
    caption: str = ""
    member: Annotated[int, Field(ge=0, lt=2**31)] | None = None


_INDEX = TypeAdapter(list[_Entry])


def media_items(folder: Path) -> list[MediaItem]:
    """Return the files that `media/index.json` of a run lists, skipping those that do not exist.

    Only files inside the media folder are read: a name that leads out of it is skipped.

    Raises:
        RunError: the index is damaged.

    """
    media = folder / "media"
    index = media / "index.json"
    if not index.is_file():
        return []
    try:
        entries = _INDEX.validate_json(index.read_bytes())
    except (OSError, ValueError):
        raise RunError(f"'{index}' is no index of media; remove it, and the report has none") from None
    found = []
    for entry in entries:
        path = media / entry.file
        try:
            is_inside = path.is_file() and path.resolve().is_relative_to(media.resolve())
        except (OSError, ValueError):  # a name that no file has
            is_inside = False
        if not is_inside:
            continue
        video = entry.kind == "video"
        inside = path.stat().st_size <= LARGEST
        found.append(
            MediaItem(
                kind="video" if video else "image",
                title=entry.title or path.stem,
                caption=entry.caption,
                member=entry.member,
                source=_data(path, video) if inside else f"media/{path.name}",
                inside=inside,
            )
        )
    return found


def _data(path: Path, video: bool) -> str:
    kind = mimetypes.guess_type(path.name)[0] or ("video/mp4" if video else "image/png")
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"

"""Images and videos embedded in the page, so that the report is a single file that can be shared."""

import base64
import json
import mimetypes
from dataclasses import dataclass
from pathlib import Path

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


def media_items(folder: Path) -> list[MediaItem]:
    """Return the files that `media/index.json` of a run lists, skipping those that do not exist.

    Only files inside the media folder are read: a name that leads out of it is skipped.
    """
    media = folder / "media"
    index = media / "index.json"
    if not index.is_file():
        return []
    found = []
    for entry in json.loads(index.read_text(encoding="utf-8")):
        path = media / str(entry.get("file", ""))
        if not path.is_file() or not path.resolve().is_relative_to(media.resolve()):
            continue
        video = entry.get("kind") == "video"
        inside = path.stat().st_size <= LARGEST
        found.append(
            MediaItem(
                kind="video" if video else "image",
                title=str(entry.get("title") or path.stem),
                caption=str(entry.get("caption") or ""),
                member=entry.get("member"),
                source=_data(path, video) if inside else f"media/{path.name}",
                inside=inside,
            )
        )
    return found


def _data(path: Path, video: bool) -> str:
    kind = mimetypes.guess_type(path.name)[0] or ("video/mp4" if video else "image/png")
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"

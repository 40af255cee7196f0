"""Videos and pictures, put into the page itself so that the one file can be sent to anybody."""

import base64
import json
import mimetypes
from dataclasses import dataclass
from pathlib import Path

# Base64 of much more makes a page that browsers open slowly; larger files stay beside the page.
LARGEST = 24 * 2**20


@dataclass(frozen=True)
class Exhibit:
    """A video or a picture with its words; `source` is a data URI, or a link if it is too large."""

    kind: str
    title: str
    caption: str
    member: int | None
    source: str
    inside: bool


def exhibits(folder: Path) -> list[Exhibit]:
    """Read what `media/index.json` of a run names, leaving out what is not there.

    A file is only taken from the media folder itself: a name that leads out of it is left out.
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
            Exhibit(
                kind="video" if video else "picture",
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

"""Where data lies, and how it comes there: found on disk, else downloaded once, checked, and kept.

A data set is looked for in the folder that `POPULACE_DATA` names, then in the user's cache. What is
missing is downloaded into the cache: written aside, compared with its checksum, and only then given
its name, so that a file under its own name is whole, whoever else downloads it at the same time.
"""

import hashlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from populace.core.errors import RunError, UsageError
from populace.core.files import cache_dir, component

VARIABLE = "POPULACE_DATA"
TIMEOUT = 10.0  # seconds without a byte
ROUNDS = 2  # over all mirrors
PAUSE = 1.0  # seconds between rounds
_ABANDONED = 24 * 3600.0  # seconds after which a half-written download is nobody's
_BLOCK = 2**18

_log = logging.getLogger("populace")


@dataclass(frozen=True)
class Remote:
    """A file that can be downloaded.

    Args:
        name: what it is called in the folder of its data set.
        urls: where it is, in the order to try.
        sha256: checksum of the file as it is downloaded, in hexadecimal.
        size: its bytes; a mirror that sends more is cut off there.
        aliases: other names under which it is welcome on disk, such as the unpacked file's.

    """

    name: str
    urls: tuple[str, ...]
    sha256: str
    size: int
    aliases: tuple[str, ...] = ()


def data_dir() -> Path:
    """Return the folder where downloads are kept: `data` in `populace.core.files.cache_dir()`."""
    return cache_dir() / "data"


def places(dataset: str, *others: str) -> list[Path]:
    """Return the folders a data set is looked for in, first the ones to prefer.

    They are `$POPULACE_DATA/<dataset>`, the same for each other name, `$POPULACE_DATA` itself, and
    `data_dir()/<dataset>`.

    Raises:
        UsageError: `POPULACE_DATA` is set and names no folder.

    """
    component(dataset, "the name of a data set")
    kept = [data_dir() / dataset]
    if not (given := os.environ.get(VARIABLE)):
        return kept
    folder = Path(given).expanduser()
    if not os.path.isdir(folder):  # not is_dir(): a folder one may not look into is no traceback
        raise UsageError(f"{VARIABLE} names '{given}', which is no folder; correct it, or unset it")
    return [*(folder / name for name in (dataset, *others)), folder, *kept]


def find(dataset: str, *names: str, others: Sequence[str] = ()) -> Path | None:
    """Return the first file of a data set that has one of the names, or None; `others` as for `places`."""
    candidates = (place / name for place in places(dataset, *others) for name in names)
    return next((path.resolve() for path in candidates if os.path.isfile(path)), None)


def fetch(dataset: str, files: Sequence[Remote], others: Sequence[str] = ()) -> tuple[Path, ...]:
    """Return where the files of a data set lie, having downloaded those that are not on disk.

    What is found on disk is taken as it is: its reader checks it. A download is compared with its
    checksum; the mirrors are tried in turn, twice, but one that says "no such file" or does not
    answer is asked once.

    Args:
        dataset: name of the data set, and of its folder.
        files: what is needed.
        others: folders below `$POPULACE_DATA` where it may lie as well.

    Raises:
        RunError: a file is missing and no mirror gave it whole, or it cannot be written.
        UsageError: `POPULACE_DATA` is set and names no folder.

    """
    found = {file: find(dataset, file.name, *file.aliases, others=others) for file in files}
    missing = [file.name for file, path in found.items() if path is None]
    looked = ", ".join(str(place) for place in places(dataset, *others))
    return tuple(path or _download(dataset, file, missing, looked) for file, path in found.items())


def damaged(path: Path | str, what: str) -> RunError:
    """Return the error for a file whose content is not what its name promises.

    Args:
        path: the file.
        what: what was found and what was expected, such as `"ends after 3 bytes, expected 16"`.

    """
    return RunError(f"'{path}' {what}; replace it, or delete it to have it looked for elsewhere")


class _UnavailableError(Exception):
    """A mirror did not give the file; `again` tells whether it is worth asking once more."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


def _download(dataset: str, file: Remote, missing: list[str], looked: str) -> Path:
    """Download one file into the cache and return where it lies; `looked` says where all was looked for."""
    folder = data_dir() / dataset
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder, file.name)
        failures: dict[str, _UnavailableError] = {}
        for attempt in range(ROUNDS):
            for url in file.urls:
                if url in failures and not failures[url].again:
                    continue
                try:
                    return _take(url, file, folder)
                except _UnavailableError as why:
                    failures[url] = why
                    _log.debug("%s: %s", url, why)
            if attempt + 1 < ROUNDS and any(why.again for why in failures.values()):
                time.sleep(PAUSE)
    except OSError as error:
        raise RunError(
            f"{dataset}: cannot write to '{folder}' ({error.strerror}); "
            f"make room, or set POPULACE_CACHE to a folder that can be written"
        ) from None
    raise RunError(
        f"{dataset}: no {', '.join(missing)} in {looked}, and no download: "
        + "; ".join(f"{url} {why}" for url, why in failures.items())
        + f"; put what is missing into a folder and set {VARIABLE} to that folder"
    )


def _take(url: str, file: Remote, folder: Path) -> Path:
    """Download from one mirror: aside, checked, renamed."""
    digest = hashlib.sha256()
    aside = folder / f".{file.name}.{uuid.uuid4().hex}"
    try:
        with aside.open("xb") as out:
            for block in _blocks(url, file.size):
                digest.update(block)
                out.write(block)
        if digest.hexdigest() != file.sha256.lower():
            raise _UnavailableError(
                f"is damaged (SHA-256 {digest.hexdigest()}, expected {file.sha256.lower()})", again=True
            )
        aside.replace(folder / file.name)
    finally:
        aside.unlink(missing_ok=True)
    _log.info("downloaded %s to %s", url, folder / file.name)
    return (folder / file.name).resolve()


def _blocks(url: str, size: int) -> Iterator[bytes]:
    """Yield what a URL answers, `size` bytes at most; whatever goes wrong is `_UnavailableError`."""
    request = urllib.request.Request(url, headers={"User-Agent": "populace"})
    received = 0
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            length = answer.headers.get("Content-Length", "")
            _log.info("downloading %s (%s bytes)", url, length or "unknown number of")
            while block := answer.read(_BLOCK):
                received += len(block)
                if received > size or (length.isdecimal() and int(length) > size):
                    raise _UnavailableError(f"sends more than the {size:,} bytes of the file", again=False)
                yield block
    except urllib.error.HTTPError as error:
        error.close()
        raise _UnavailableError(f"says {error.code} {error.reason}", again=error.code >= 500) from None
    except urllib.error.URLError as error:
        raise _UnavailableError(f"cannot be reached ({_reason(error.reason)})", again=False) from None
    except TimeoutError:
        raise _UnavailableError(f"said nothing for {TIMEOUT:g} s", again=False) from None
    except (OSError, http.client.HTTPException) as error:
        raise _UnavailableError(
            f"broke off after {received:,} bytes ({_reason(error)})", again=True
        ) from None
    if length.isdecimal() and received != int(length):
        raise _UnavailableError(f"is cut off: {received:,} of {int(length):,} bytes", again=True)


def _reason(error: BaseException | str) -> str:
    """Return in a few words why a connection failed."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0]


def _sweep(folder: Path, name: str) -> None:
    """Remove what killed downloads of this file left half written."""
    for aside in folder.glob(f".{name}.*"):
        try:
            if time.time() - aside.stat().st_mtime > _ABANDONED:
                aside.unlink()
        except OSError:  # somebody else swept first
            continue

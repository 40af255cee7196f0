"""Where data is looked for, and that a download is whole under its name or not there at all."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from populace.core.errors import RunError, UsageError
from populace.data import download
from populace.data.download import Remote, fetch, find, places
from populace.graphs.datasets import planetoid
from populace.images.datasets import cifar, registry
from tests.web import Answer, Web, serving

BODY = bytes(range(256)) * 40
NOWHERE = "http://127.0.0.1:9/thing.bin"  # a port where nothing listens


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, no data given, no proxy, and no patience; return the folder of the data set."""
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("POPULACE_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "PAUSE", 0.0)
    return tmp_path / "cache" / "data" / "set"


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        yield web


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that POPULACE_DATA names."""
    folder = tmp_path / "given"
    folder.mkdir()
    monkeypatch.setenv("POPULACE_DATA", str(folder))
    return folder


def remote(*urls: str, name: str = "thing.bin", body: bytes = BODY, aliases: tuple[str, ...] = ()) -> Remote:
    return Remote(name, urls, hashlib.sha256(body).hexdigest(), len(body), aliases)


def put(path: Path, content: bytes = b"found") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def kept(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


def refused(*files: Remote) -> str:
    """Return the one line that a person gets when the files cannot be had."""
    with pytest.raises(RunError) as caught:
        fetch("set", files)
    assert caught.value.exit_code == 1
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith("set: ")
    return message


# -- found on disk -------------------------------------------------------------------------------------


def test_places_are_the_given_folder_then_the_cache(given: Path, cache: Path) -> None:
    assert places("set", "other") == [given / "set", given / "other", given, cache]


def test_without_the_variable_only_the_cache_is_a_place(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert places("set", "other") == [cache]
    monkeypatch.setenv("POPULACE_DATA", "")
    assert places("set") == [cache]


def test_found_in_each_place_the_first_wins(given: Path, cache: Path) -> None:
    assert find("set", "thing.bin") is None
    for folder in (cache, given, given / "set"):  # the last place first
        path = put(folder / "thing.bin")
        assert find("set", "thing.bin") == path
        assert fetch("set", [remote(NOWHERE)]) == (path,)


def test_another_name_is_welcome_and_the_own_name_preferred(given: Path) -> None:
    thing = remote(NOWHERE, aliases=("thing", "thing.raw"))
    raw = put(given / "thing.raw")
    assert fetch("set", [thing]) == (raw,)
    own = put(given / "thing.bin")
    assert fetch("set", [thing]) == (own,)


def test_a_folder_of_that_name_is_not_the_file(given: Path) -> None:
    (given / "thing.bin").mkdir()
    assert find("set", "thing.bin") is None


def test_a_variable_that_names_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match=r"^POPULACE_DATA names '.*gone', which is no folder; correct it"):
        fetch("set", [remote(NOWHERE)])


# -- downloaded ----------------------------------------------------------------------------------------


def test_a_download_is_kept_and_not_repeated(web: Web, cache: Path) -> None:
    thing = remote(web.serve("thing", Answer(BODY)))
    for _ in range(2):
        (path,) = fetch("set", [thing])
        assert path == cache / "thing.bin"
        assert path.read_bytes() == BODY
    assert kept(cache) == ["thing.bin"]
    assert web.requests == ["/thing"]


def test_only_what_is_missing_is_downloaded_and_the_order_stays(web: Web, given: Path, cache: Path) -> None:
    first = put(given / "first.bin")
    files = [
        remote(web.serve("a", Answer(BODY)), name="a.bin"),
        remote(web.serve("first", Answer(BODY)), name="first.bin"),
        remote(web.serve("b", Answer(BODY)), name="b.bin"),
    ]
    assert fetch("set", files) == (cache / "a.bin", first, cache / "b.bin")
    assert web.requests == ["/a", "/b"]


def test_a_damaged_download_is_refused_by_name_and_not_kept(web: Web, cache: Path) -> None:
    damaged = b"x" + BODY[1:]
    message = refused(remote(url := web.serve("thing", Answer(damaged))))
    found, expected = hashlib.sha256(damaged).hexdigest(), hashlib.sha256(BODY).hexdigest()
    assert f"no thing.bin in {cache}" in message
    assert f"{url} is damaged (SHA-256 {found}, expected {expected})" in message
    assert kept(cache) == []


def test_a_download_that_is_cut_off_is_refused_and_not_kept(web: Web, cache: Path) -> None:
    url = web.serve("thing", Answer(BODY[:5000], length=len(BODY)))
    assert f"{url} is cut off: 5,000 of 10,240 bytes" in refused(remote(url))
    assert kept(cache) == []


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
def test_a_mirror_that_sends_without_end_is_left_at_the_size_of_the_file(
    told: bool, web: Web, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_BLOCK", 4096)
    gate = threading.Event()  # the second half of what is sent never comes
    url = web.serve("thing", Answer(BODY * 4, gate=gate, length=None if told else 10**12))
    assert f"{url} sends more than the 10,240 bytes of the file" in refused(remote(url))
    gate.set()
    assert web.requests == ["/thing"]
    assert kept(cache) == []


def test_every_file_that_is_downloaded_has_a_sha256_and_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Remote] = []

    def fetching(dataset: str, files: Any) -> None:
        asked.extend(files)
        raise RunError(dataset)

    for module, load in ((registry, registry.mnist), (cifar, cifar.cifar), (planetoid, planetoid.planetoid)):
        monkeypatch.setattr(module, "fetch", fetching)
        with pytest.raises(RunError):
            load()
    assert len(asked) == 4 + 1 + 8
    assert all(len(file.sha256) == 64 and 0 < file.size < 2 * 10**8 for file in asked)


def test_a_missing_file_is_asked_for_once(web: Web, cache: Path) -> None:
    url = f"{web.url}gone"
    assert f"{url} says 404 Not Found" in refused(remote(url))
    assert web.requests == ["/gone"]
    assert kept(cache) == []


@pytest.mark.parametrize(
    "first",
    [
        Answer(status=503),
        Answer(BODY[:100], length=len(BODY)),
        Answer(BODY[::-1]),
        Answer(hang_up=True),
    ],
    ids=["unavailable", "cut off", "damaged", "hung up"],
)
def test_what_may_pass_is_tried_again(first: Answer, web: Web, cache: Path) -> None:
    (path,) = fetch("set", [remote(web.serve("thing", first, Answer(BODY)))])
    assert path.read_bytes() == BODY
    assert web.requests == ["/thing"] * 2
    assert kept(cache) == ["thing.bin"]


@pytest.mark.parametrize("trouble", ["missing", "damaged", "cut off", "unreachable", "unknown host"])
def test_the_next_mirror_is_asked(trouble: str, web: Web, cache: Path) -> None:
    first = {
        "missing": f"{web.url}gone",
        "damaged": web.serve("damaged", Answer(BODY[1:])),
        "cut off": web.serve("cut", Answer(BODY[:1], length=len(BODY))),
        "unreachable": NOWHERE,
        "unknown host": "http://host.invalid/thing.bin",
    }[trouble]
    (path,) = fetch("set", [remote(first, web.serve("thing", Answer(BODY)))])
    assert path.read_bytes() == BODY
    assert web.requests.count("/thing") == 1
    assert kept(cache) == ["thing.bin"]


def test_every_mirror_that_failed_is_named(web: Web) -> None:
    damaged = web.serve("damaged", Answer(b"nothing"))
    message = refused(remote(f"{web.url}gone", damaged, NOWHERE))
    assert f"{web.url}gone says 404" in message
    assert f"{damaged} is damaged" in message
    assert f"{NOWHERE} cannot be reached (Connection refused)" in message


def test_offline_the_message_says_what_is_missing_where_and_what_to_do(given: Path, cache: Path) -> None:
    url = "http://host.invalid/thing.bin"
    put(given / "second.bin")
    files = [remote(url), remote(url, name="second.bin"), remote(url, name="third.bin")]
    message = refused(*files)
    assert f"no thing.bin, third.bin in {given / 'set'}, {given}, {cache}" in message
    assert f"{url} cannot be reached" in message
    assert message.endswith("put what is missing into a folder and set POPULACE_DATA to that folder")
    assert kept(cache) == []


def test_a_server_that_says_nothing_is_given_up(
    web: Web, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    gate = threading.Event()
    url = web.serve("thing", Answer(BODY, gate=gate))
    assert f"{url} said nothing for 0.2 s" in refused(remote(url))
    gate.set()
    assert web.requests == ["/thing"]
    assert kept(cache) == []


def test_a_cache_that_cannot_be_written_is_named(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POPULACE_CACHE", str(put(tmp_path / "file")))
    message = refused(remote(web.serve("thing", Answer(BODY))))
    assert message.startswith(f"set: cannot write to '{tmp_path / 'file' / 'data' / 'set'}' (")
    assert "POPULACE_CACHE" in message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_not_taken_for_a_broken_connection(
    web: Web, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(path: Path, *args: Any, **more: Any) -> Any:
        return (
            opened(Path("/dev/full"), "wb") if path.name.startswith(".thing") else opened(path, *args, **more)
        )

    monkeypatch.setattr(Path, "open", full)
    message = refused(remote(web.serve("thing", Answer(BODY * 100)), body=BODY * 100))
    assert f"cannot write to '{cache}' (No space left on device)" in message
    assert web.requests == ["/thing"]


# -- nobody sees half a file ---------------------------------------------------------------------------


def test_a_file_has_its_name_only_when_it_is_whole(web: Web, cache: Path) -> None:
    gate = threading.Event()
    thing = remote(web.serve("thing", Answer(BODY, gate=gate)))
    download = threading.Thread(target=fetch, args=("set", [thing]))
    download.start()
    assert web.wait_for(1)
    while not kept(cache):
        time.sleep(0.01)
    assert find("set", "thing.bin") is None
    gate.set()
    download.join(60)
    assert find("set", "thing.bin") == cache / "thing.bin"
    assert kept(cache) == ["thing.bin"]


def test_processes_that_download_at_the_same_time_do_no_harm(web: Web, cache: Path) -> None:
    gate = threading.Event()
    thing = remote(web.serve("thing", Answer(BODY, gate=gate)))
    program = f"from populace.data.download import *; print(fetch('set', [{thing!r}])[0])"
    several = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert web.wait_for(2)  # both of them are in the middle of it
    gate.set()
    said = [process.communicate(timeout=60)[0].strip() for process in several]
    assert said == [str(cache / "thing.bin")] * 2
    assert [process.returncode for process in several] == [0] * 2
    assert kept(cache) == ["thing.bin"]
    assert (cache / "thing.bin").read_bytes() == BODY


def test_what_a_kill_left_is_swept_when_it_is_old(web: Web, cache: Path) -> None:
    old, fresh = put(cache / ".thing.bin.old"), put(cache / ".thing.bin.fresh")
    other = put(cache / ".else.bin.old")
    for path in (old, other):
        os.utime(path, (0, time.time() - 2 * 86400))
    fetch("set", [remote(web.serve("thing", Answer(BODY)))])
    assert kept(cache) == sorted([other.name, fresh.name, "thing.bin"])

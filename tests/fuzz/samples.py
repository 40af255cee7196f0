"""Sound files of every kind that is read, small, and what reads them."""

import gzip
import json
import pickle
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from populace.data import safe_pickle, tables
from populace.data.example_files import open_array
from populace.graphs.data.formats import convert
from populace.graphs.datasets import ogb, planetoid, tudataset
from populace.images.datasets import cifar_batch, idx
from populace.runs import fingerprint
from populace.runs.integrity import lock, record, status, verify
from populace.runs.weights import saved_member, start

Read = Callable[[Path], Any]
"""Reads the file at a path, whose folder holds the others of its kind."""


def loaders(folder: Path) -> dict[str, tuple[Path, Read]]:
    """Write sound files into a folder; return name, file and reader of each."""
    found: dict[str, tuple[Path, Read]] = {}

    def add(name: str, content: bytes | str, read: Read) -> None:
        path = folder / name.replace(" ", "-") / name.rpartition(" ")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        found[name] = path, read

    rng = np.random.default_rng(0)
    matrix = sparse.csr_matrix((rng.random((9, 5)) < 0.4).astype(np.float32))
    one_hot = np.eye(3, dtype=np.int32)[rng.integers(0, 3, 9)]
    add("pickle matrix", pickle.dumps(matrix, 2), safe_pickle.matrix)
    add("pickle array", pickle.dumps(one_hot, 2), safe_pickle.array)
    lists = defaultdict(list, {i: [(i + 1) % 9, (i + 3) % 9] for i in range(9)})
    add("pickle neighbors", pickle.dumps(lists, 2), safe_pickle.neighbors)
    batch = {"data": np.zeros((4, 3072), np.uint8), "labels": [0, 1, 2, 3]}

    def read_batch(path: Path) -> Any:
        before, cifar_batch._BATCH = cifar_batch._BATCH, 4  # of 10,000, thirty megabytes
        try:
            return cifar_batch.parse_python(path.read_bytes(), str(path))
        finally:
            cifar_batch._BATCH = before

    add("pickle batch", pickle.dumps(batch, 2), read_batch)
    text = "\n".join(f"{i},{i / 3:.3f},{-i}" for i in range(12))
    add("text table.csv", text, tables.table)
    add("text gaps.csv", text.replace("0.", ""), lambda p: tables.table(p, gaps=True))
    add("text packed.csv.gz", gzip.compress(text.encode()), tables.table)
    edges = "\n".join(f"{i} {(i * 7 + 1) % 12} {i + 0.5}" for i in range(12))
    add("text edges.txt", edges, convert.from_csv)
    file = folder / "a.npy"
    np.save(file, rng.normal(size=(6, 4)).astype(np.float32))
    add("npy x.npy", file.read_bytes(), lambda p: np.asarray(open_array("x", p)).sum())
    add("npy mapped.npy", file.read_bytes(), lambda p: np.asarray(open_array("x", p, mapped=True)).sum())
    content = idx.header((3, 4)) + bytes(12)
    add("idx images", content, lambda p: idx.read(p, (3, 4)))
    add("idx packed.gz", gzip.compress(content), lambda p: idx.read(p, (3, 4)))
    _sets(add, matrix, one_hot, lists)
    return found


def _sets(add: Callable[..., None], matrix: Any, one_hot: np.ndarray, lists: Any) -> None:
    parts: dict[str, bytes] = {
        "x": pickle.dumps(matrix[:3], 2),
        "allx": pickle.dumps(matrix[:6], 2),
        "tx": pickle.dumps(matrix[6:], 2),
        "y": pickle.dumps(one_hot[:3], 2),
        "ally": pickle.dumps(one_hot[:6], 2),
        "ty": pickle.dumps(one_hot[6:], 2),
        "graph": pickle.dumps(lists, 2),
        "test.index": b"7\n6\n8\n",
    }

    def read_planetoid(path: Path) -> Any:
        for part, content in parts.items():
            if part != path.name:
                (path.parent / part).write_bytes(content)
        paths = tuple(path.parent / part for part in planetoid._PARTS)
        return planetoid._read.__wrapped__("tiny", paths, True, self_loops=False, duplicates=False)

    for part, content in parts.items():
        add(f"planetoid {part}", content, read_planetoid)
    texts = {
        "A": "1, 2\n2, 1\n3, 4\n4, 3\n",
        "graph_indicator": "1\n1\n2\n2\n",
        "graph_labels": "1\n-1\n",
        "node_labels": "0\n1\n0\n2\n",
        "node_attributes": "0.5, 1\n1, 2\n2, 3\n0, 0\n",
        "edge_labels": "0\n0\n1\n1\n",
    }

    def read_tudataset(path: Path) -> Any:
        for part, content in texts.items():
            if f"T_{part}.txt" != path.name:
                (path.parent / f"T_{part}.txt").write_text(content)
        return tudataset._read.__wrapped__("T", path.parent, False, False)

    for part, content in texts.items():
        add(f"tudataset T_{part}.txt", content, read_tudataset)
    packed = {
        "raw/edge": "0,1\n1,2\n2,0\n", "raw/num-node-list": "3\n", "raw/num-edge-list": "3\n",
        "raw/node-feat": "0.5,1\n1,2\n2,3\n", "raw/node-label": "0\n1\n2\n",
        "split/time/train": "0\n", "split/time/valid": "1\n", "split/time/test": "2\n",
    }  # fmt: skip

    def read_ogb(part: str) -> Read:
        def read(path: Path) -> Any:
            inside = path.parent / "set"
            for other, content in packed.items():
                file = inside / f"{other}.csv.gz"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(path.read_bytes() if other == part else gzip.compress(content.encode()))
            before, ogb.places = ogb.places, lambda *_: [inside]
            try:
                return ogb.ogb("ogbn-arxiv")
            finally:
                ogb.places = before

        return read

    for part, content in packed.items():
        add(f"ogb {part.replace('/', '-')}.gz", gzip.compress(content.encode()), read_ogb(part))


def members(folder: Path, member: Path) -> dict[str, tuple[Path, Read]]:
    """Return the files of a saved member, and of start weights, with their readers."""
    from populace.runs.trained_member import load_trained

    content = (member / saved_member.WEIGHTS).read_bytes()

    def resealed(path: Path) -> Any:
        """Give a changed note the digest that it needs to be read at all."""
        note = json.loads(path.read_text("utf-8"))
        if isinstance(note, dict):
            note.pop("sha256", None)
            path.write_text(json.dumps(note | {"sha256": saved_member._digest(note)}))
        return load_trained(path.parent)

    def sealed(path: Path) -> Any:
        try:
            return resealed(path)
        except (ValueError, RecursionError):
            return load_trained(path.parent)

    found: dict[str, tuple[Path, Read]] = {}
    for name, file, read in (
        ("member note", saved_member.SETTINGS, sealed),
        ("member weights", saved_member.WEIGHTS, lambda p: load_trained(p.parent)),
    ):
        shutil.copytree(member, folder / name.replace(" ", "-"))
        found[name] = folder / name.replace(" ", "-") / file, read
    for name, read in (
        ("start kept", lambda p: start.read(p.parent)), ("start given", lambda p: start._tensors(p)),
    ):  # fmt: skip
        path = folder / name.replace(" ", "-") / start.FILE
        path.parent.mkdir()
        path.write_bytes(content)
        found[name] = path, read
    return found


def run_files(run: Path) -> list[str]:
    """Return the files of a run folder that are mutated."""
    kinds = ("recipe.toml", "*.json", "media/*.json", "metrics/*.parquet", "confirmation/*")
    return sorted(str(p.relative_to(run)) for kind in kinds for p in run.glob(kind) if p.is_file())


def looked_at(run: Path) -> None:
    """Do what reads a run folder and trains nothing."""
    from populace import report
    from populace.runs.run import Run

    status.status(run)
    lock.owner(run)
    fingerprint.noted(run)
    record.is_trusted(run, "")
    verify.damages(run)
    opened = Run.load(run)
    opened.results()
    opened.environment()
    report.write([opened])

"""Text that does not fit in memory: read document by document, and kept as a file of tokens.

The file lies in the cache folder under what it was made of, so that another run of the same text begins at
once; whoever deletes it has it made again.
"""

import hashlib
import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from populace.core.errors import RunError, UsageError
from populace.core.files import cache_dir, whole, write
from populace.data.arrays import BLOCK
from populace.text.data.read import files_of, is_table, iterate_documents
from populace.text.data.split import PARTS, Division, check_parts, division
from populace.text.data.text_data import COUNTED, TextData, encoded_pieces, offsets_of
from populace.text.data.token_file import TokenFile
from populace.text.tokenizers import kept
from populace.text.tokenizers.tokenizer import TokenizerConfig

_FORMAT = 1
_TOKENS, _ARRAYS, _NOTE = "tokens.npy", "documents.npz", "note.json"


def stream_text(
    path: str, column: str, documents: str, tokenizer: TokenizerConfig, ends: bool, split: str,
    validation: float, test: float, seed: int, memory: int,
) -> TextData:  # fmt: skip
    """Return the text of a path as `TextData.of` returns it, with tokens that stay in a file.

    The text is read three times: to divide it, to train the tokenizer, and to encode it. In memory are one
    document at a time, and some twenty bytes of each.

    Args:
        path: of a text, a table or a folder; see `read_documents`.
        column: of a table.
        documents: what of a text is a document.
        tokenizer: how one is trained.
        ends: whether documents begin and end with `[END]`.
        split: `documents` or `contiguous`.
        validation: share of the validation part.
        test: share of the test part.
        seed: of the split.
        memory: bytes of windows that may be held in memory at once.

    Raises:
        UsageError: what `read_documents` and `TextData.of` refuse, or a file that is one document and larger
            than the memory.
        RunError: the tokens cannot be written.

    """
    files = files_of(path)
    for file in files:
        size = file.stat().st_size
        if documents == "file" and not is_table(file) and size > memory:
            raise UsageError(
                f"'{file}' is one document of {size:,} bytes, and memory is {memory:,}; divide it with "
                'documents = "lines" or "paragraphs", or raise memory'
            )

    stamps = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    made_of = (_FORMAT, stamps, column, documents, repr(tokenizer), ends, split, validation, test, seed)
    folder = cache_dir() / "texts" / hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]
    if not (folder / _NOTE).is_file():
        texts = lambda: (t for t in iterate_documents(path, column, documents) if t.strip())  # noqa: E731
        lengths = np.fromiter(map(len, texts()), np.int64)
        if not len(lengths):
            raise UsageError(f"'{path}' is empty: it has no text but white space")
        divided = division(lengths, split=split, validation=validation, test=test, seed=seed)
        whole_text = (text for _, text in divided.pieces(texts()))
        training = (text for part, text in divided.pieces(texts()) if part == 0)
        trained = tokenizer.train(whole_text if tokenizer.whole_text else training, ends=ends)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with whole(folder) as aside:
                aside.mkdir()
                have = _encode(aside, divided, texts(), trained, ends=ends)
                check_parts(have, validation, test)
        except OSError as error:
            if not (folder / _NOTE).is_file():  # another process may have been quicker
                raise RunError(
                    f"cannot write tokens to '{folder}': {error.strerror or error}; make room, or set "
                    "POPULACE_CACHE to a folder that can be written"
                ) from None
    return _opened(folder, memory)


def _encode(
    folder: Path, divided: Division, texts: Iterator[str], tokenizer: Any, *, ends: bool
) -> list[bool]:
    """Write the tokens of documents, and what `TextData` knows of them; return which parts have any."""
    lengths, digests = ([array(kind) for _ in PARTS] for kind in "qQ")
    counts, kind = np.zeros((len(PARTS), len(COUNTED))), np.dtype(np.uint8)
    raw = [folder / f"{name}.raw" for name in PARTS]
    files = [path.open("wb") for path in raw]
    try:
        for part, text, own, counted in encoded_pieces(divided.pieces(texts), tokenizer, ends=ends):
            files[part].write(own.tobytes())
            lengths[part].append(len(own))
            digests[part].append(_digest(text))
            counts[part] += counted
            kind = own.dtype
    finally:
        for file in files:
            file.close()
    offsets = offsets_of([np.asarray(part, np.int64) for part in lengths])
    tokens = np.lib.format.open_memmap(folder / _TOKENS, "w+", kind, (int(offsets[2][-1]),))
    place = 0
    for path in raw:
        with path.open("rb") as file:
            while len(some := np.frombuffer(file.read(BLOCK * kind.itemsize), kind)):
                tokens[place : place + len(some)] = some
                place += len(some)
        path.unlink()
    tokens.flush()
    one, two, three = (np.asarray(part) for part in digests)
    copies = [int(np.isin(part, one).sum()) for part in (two, three)]
    named = {f"offsets_{name}": part for name, part in zip(PARTS, offsets)}
    np.savez(folder / _ARRAYS, **named, counts=counts.astype(np.float32))  # pyright: ignore[reportArgumentType]
    write(folder / _NOTE, json.dumps({"tokenizer": kept.dump(tokenizer), "copies": copies}))
    return [bool(part) for part in lengths]


def _opened(folder: Path, memory: int) -> TextData:
    damaged = RunError(
        f"the tokens in '{folder}' were changed or damaged; delete that folder to make them anew"
    )
    try:
        note = json.loads((folder / _NOTE).read_text("utf-8"))
        tokenizer, copies = kept.load(note["tokenizer"]), tuple(note["copies"])
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            one, two, three = (arrays[f"offsets_{name}"] for name in PARTS)
            counts = arrays["counts"]
        tokens = np.load(folder / _TOKENS, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError, UsageError):
        raise damaged from None
    if len(tokens) != three[-1]:
        raise damaged
    return TextData(TokenFile(tokens, memory), (one, two, three), counts, tokenizer, copies)


def _digest(text: str) -> int:
    """Return 64 bits by which copies are found: among a billion documents hardly one is taken for another."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())

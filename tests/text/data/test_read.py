"""Documents of files: what is read as what, and one line for what is none."""

import json
from pathlib import Path

import pytest

from populace.core.errors import UsageError
from populace.text.data.read import read_documents


def test_texts_are_divided_as_asked(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n\r\n\r\nthree\n")
    assert read_documents(path) == ["one\ntwo\n\n\nthree\n"]
    assert read_documents(path, documents="lines") == ["one", "two", "three"]
    assert read_documents(path, documents="paragraphs") == ["one\ntwo", "three"]


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.md").write_text("third")
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "a.png").write_bytes(b"\0")
    (tmp_path / "empty.txt").write_text(" \n")
    assert read_documents(tmp_path) == ["first", "third"]


def test_a_column_of_json_lines_or_csv(tmp_path: Path):
    rows = [{"text": "one", "n": 1}, {"text": ["two", "lines"]}, {"text": None}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    assert read_documents(tmp_path / "a.jsonl") == ["one", "two\nlines"]
    (tmp_path / "a.csv").write_text('id,body\n1,"a, b\nc"\n2,d\n')
    assert read_documents(tmp_path / "a.csv", column="body") == ["a, b\nc", "d"]


@pytest.mark.parametrize(("name", "content", "options", "message"), [
    ("a.txt", b" \n", {}, "is empty: it has no text but white space"),
    ("a.txt", b"ab\0c", {}, "is no text: byte 2 is 0"),
    ("a.txt", b"ab\xff", {}, "is no UTF-8 text: byte 2 is 0xff"),
    ("a.txt", b"a", {"documents": "line"}, "unknown division into documents 'line'; did you mean 'lines'"),
    ("a.jsonl", b'{"text": "a"}\n{"txt": "a"}', {}, "unknown column 'text' in line 2 of"),
    ("a.jsonl", b'{"text": 3}', {}, "'text' in line 1 of .* is 3; expected text"),
    ("a.jsonl", b"[]", {}, "is a list; expected an object"),
    ("a.jsonl", b"{", {}, "line 1 of .* is no JSON"),
    ("a.csv", b"a,b\n1,2\n", {}, "unknown column 'text'"),
])  # fmt: skip
def test_bad_files(tmp_path: Path, name: str, content: bytes, options: dict, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_documents(tmp_path / name, **options)


def test_nothing_there(tmp_path: Path):
    with pytest.raises(UsageError, match="there is no such file or folder"):
        read_documents(tmp_path / "none")
    with pytest.raises(UsageError, match=r"has no .txt or .md file"):
        read_documents(tmp_path)

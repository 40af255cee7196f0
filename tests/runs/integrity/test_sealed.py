"""A sealed file is what was written, or is refused."""

import hashlib
import json

import pytest

from populace.runs.integrity import sealed


def test_what_was_sealed_comes_back():
    note = {"step": 3, "values": [1.5, None, {"a": "b"}], "infinite": float("inf")}
    assert sealed.opened(sealed.seal(json.dumps(note, indent=1))) == note


def test_a_text_in_pieces_has_the_seal_of_the_whole():
    text = json.dumps({"a": 1, "b": ["é" * 3]}, indent=1, ensure_ascii=False)
    whole = sealed.seal(text)
    for at in range(1, len(text)):
        pieces = [text[:at], text[at:-2], text[-2:]] if at < len(text) - 2 else [text]
        assert "".join(sealed.sealing(pieces)) == whole
    assert json.loads(whole)["sha256"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"sha256": 1}', '{"step": 3}'])
def test_what_was_not_sealed_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        sealed.opened(text)


def test_every_flipped_bit_is_noticed():
    note = {"step": 38, "name": "run", "rate": 0.25}
    content = sealed.seal(json.dumps(note, indent=1)).encode()
    for place in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            with pytest.raises(ValueError, match=r"checksum|decode"):
                sealed.opened(flipped.decode())

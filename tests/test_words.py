"""Words of a validation split: the same for every tokenizer that hides nothing, refused for one that does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cortex import words as module
from cortex.data import prepare
from cortex.graph import Node
from cortex.store import Prepared
from cortex.words import FILE, Words, known_words, quick_words, words

LINES = [f"  the {colour} cat  sat, on the {place} .\n" for colour in ("red", "blue", "grün") for place in ("mat", "日本")] * 30


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "cats.txt"
    path.write_text("".join(LINES), encoding="utf-8")
    return path


def prepared(text: Path, **params: Any) -> Prepared:
    node = Node("data", "CustomData", {"path": str(text), "validation": 0.2, "min_frequency": 1, **params})
    return prepare(node, text.parent / "store")


def test_word_character_and_bpe_tokens_have_the_same_words(text: Path) -> None:
    found = [prepared(text, tokenizer=kind) for kind in ("word", "character", "bpe")]
    counted = [words(each) for each in found]
    assert counted[0] == counted[1] == counted[2]
    start = sum(map(len, (line.encode() for line in LINES)))
    held_out = found[1].tokenizer().decode(found[1].tokens("validation")[1:].tolist())
    assert start and counted[0].count == len(held_out.split())


def test_words_counted_in_pieces_are_the_same(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = prepared(text, tokenizer="bpe")
    whole = module.count_words(found)
    monkeypatch.setattr(module, "_PIECE", 5)
    assert module.count_words(found) == whole


def test_another_text_is_another_text(text: Path) -> None:
    one = words(prepared(text))
    text.write_text("".join(LINES).replace("on", "in"), encoding="utf-8")
    other = words(prepared(text))
    assert one.count == other.count and one.text != other.text


def test_words_behind_unk_are_not_counted(text: Path) -> None:
    found = words(prepared(text, vocab_size=6))
    assert found.count is None and "<unk>, which hides what they cost" in found.why_not


def test_tokens_that_do_not_say_where_a_word_ends_are_refused(text: Path) -> None:
    text.write_text("“ the cat ” sat , on the mat .\n" * 90, encoding="utf-8")
    assert words(prepared(text, pre_tokenizer="punctuation")) == Words(None, None, "its tokens do not say where a word ends")


def test_a_long_validation_text_is_counted_when_somebody_asks(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = prepared(text)
    (found.path / FILE).unlink()  # as in a set that an earlier version prepared
    monkeypatch.setattr(module, "QUICK", 10)
    assert "not counted yet" in quick_words(found).why_not
    assert known_words(found) is None
    assert words(found) == quick_words(found) == known_words(found)
    (found.path / FILE).write_text('{"version": 1, "strange": 1}')
    assert known_words(found) is None

"""A text cut into its tokens: nothing is lost, and the tokens are those that a model reads."""

from __future__ import annotations

import pytest

from cortex.preview import Span, spans_of_ids, spans_of_text
from cortex.tokenizer import Tokenizer
from cortex.tokenizer_training import train_tokenizer

LINES = ["the cat sat , on the mat .\n", "a naïve 日本 cat 🙂\n"] * 30
TEXTS = ["the cat  sat\non the 日本 mat\n", "unseen zebra\n\n\tthe 🙂🙂", "", " ", "é"]


def made(kind: str) -> Tokenizer:
    return train_tokenizer(kind, LINES, vocab_size=300 if kind == "bpe" else None)


@pytest.mark.parametrize("kind", ["word", "character", "bpe"])
@pytest.mark.parametrize("text", TEXTS)
def test_the_pieces_are_the_text_and_the_tokens_those_of_the_model(kind: str, text: str) -> None:
    tokenizer = made(kind)
    spans = spans_of_text(tokenizer, text)
    assert "".join(span.text for span in spans) == text
    assert [token for span in spans for token in span.ids] == list(tokenizer.encode(text))


def test_a_word_without_a_token_is_marked_as_it_was_written() -> None:
    assert [span.text for span in spans_of_text(made("word"), "the zebra sat") if span.unknown] == ["zebra"]
    assert [span.text for span in spans_of_text(made("character"), "the zebra") if span.unknown] == ["z", "b", "r"]


def test_the_tokens_of_one_character_are_one_piece() -> None:
    spans = spans_of_text(train_tokenizer("bpe", ["the cat\n"] * 9, vocab_size=260), "日")
    assert [(span.text, len(span.ids)) for span in spans] == [("日", 3)]


def test_stored_words_are_shown_with_spaces_between_and_their_line_end() -> None:
    tokenizer = made("word")
    spans = spans_of_ids(tokenizer, tokenizer.encode("the zebra\n"))
    assert [span.text for span in spans] == ["the", " ", "<unk>", " ", "\n"]
    assert spans[2].unknown and spans[1] == Span(" ")


def test_stored_pieces_of_words_are_shown_as_their_text() -> None:
    tokenizer = made("bpe")
    assert "".join(span.text for span in spans_of_ids(tokenizer, tokenizer.encode("the 日本 cat\n"))) == "the 日本 cat\n"

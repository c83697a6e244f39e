"""Words, characters and byte pairs: what goes in comes out, and what has no token is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tokenizers

from cortex.tokenizer import EOS, TRAINED, UNK, Tokenizer, TokenizerError
from cortex.tokenizer_training import BPE_VOCABULARY, train_tokenizer

LINES = [
    "The cat's mat, the dog.\n",
    "敏捷的棕色狐狸 jumps\n",
    "smile 🙂 and 👩‍👩‍👧!\n",
    "\n",
    "  spaced\tout  \n",
    "naïve e\u0301\n",
]
TEXT = "".join(LINES)


@pytest.mark.parametrize("kind", ["character", "bpe"])
def test_characters_and_byte_pairs_give_every_text_back_letter_for_letter(kind: str) -> None:
    tokenizer = train_tokenizer(kind, LINES)
    ids = np.concatenate(list(tokenizer.encode_blocks(LINES))).tolist()
    assert tokenizer.decode(ids) == TEXT
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT
    assert tokenizer.encode(TEXT) == ids


@pytest.mark.parametrize(
    "text", ["unseen 汉字 🦉\r\nwith\x0bodd\u2028ends", "\x00\x7f", "<eos>", " <eos> <unk>", "\r\n\r\n", ""]
)
def test_byte_pairs_give_back_also_what_they_never_saw(text: str) -> None:
    tokenizer = train_tokenizer("bpe", LINES)
    assert tokenizer.decode(tokenizer.encode(text)) == text and tokenizer.unk is None and tokenizer.unknown(text) == []


def test_windows_line_ends_go_round_as_characters() -> None:
    tokenizer = train_tokenizer("character", ["a\r\n", "b\n"])
    assert tokenizer.decode(tokenizer.encode("a\r\nb\nb")) == "a\r\nb\nb"


def test_words_at_white_space_go_round_with_eos_for_the_line_end() -> None:
    lines = ["the cat , the dog .\n", "the end\n"]
    tokenizer = train_tokenizer("word", lines)
    (ids,) = tokenizer.encode_blocks(["".join(lines)])
    assert tokenizer.decode(ids.tolist()) == "".join(lines)
    assert [tokenizer.backend.id_to_token(i) for i in ids[-3:]] == ["the", "end", EOS]
    assert tokenizer.encode("the cat\nthe") == [*tokenizer.encode("the cat"), tokenizer.eos, *tokenizer.encode("the")]


def test_words_with_marks_apart_are_cut_as_a_reader_would() -> None:
    tokenizer = train_tokenizer("word", ["Don't stop, O mother-in-law (yet)!\n"], pre_tokenizer="punctuation")
    words = [tokenizer.backend.id_to_token(i) for i in tokenizer.encode("Don't stop, O mother-in-law (yet)!")]
    assert words == ["Don't", "stop", ",", "O", "mother-in-law", "(", "yet", ")", "!"]
    assert tokenizer.decode(tokenizer.encode("Don't stop, O mother-in-law (yet)!")) == "Don't stop, O mother-in-law (yet)!"
    plain = train_tokenizer("word", ["stop, now\n"])
    assert [plain.backend.id_to_token(i) for i in plain.encode("stop, now")] == ["stop,", "now"]


def test_the_most_frequent_come_first_after_eos_and_unk_and_ties_in_order() -> None:
    tokenizer = train_tokenizer("word", ["b b b a a d c\n"])
    tokens = [tokenizer.backend.id_to_token(i) for i in range(tokenizer.vocab_size)]
    assert tokens == [EOS, UNK, "b", "a", "c", "d"] and (tokenizer.eos, tokenizer.unk) == (0, 1)


def test_rare_words_and_words_past_the_limit_become_unk() -> None:
    lines = ["b b b a a d c\n"]
    rare = train_tokenizer("word", lines, min_frequency=2)
    assert rare.vocab_size == 4 and rare.encode("a b c d e") == [3, 2, 1, 1, 1]
    small = train_tokenizer("word", lines, vocab_size=3)
    assert small.vocab_size == 3 and small.encode("a b") == [1, 2]
    letters = train_tokenizer("character", lines, vocab_size=4)
    assert letters.vocab_size == 4 and letters.encode("zz") == [1, 1]


def test_unk_in_the_text_itself_is_the_same_token() -> None:
    tokenizer = train_tokenizer("word", ["a <unk> b <eos>\n"])
    assert tokenizer.vocab_size == 4 and tokenizer.encode("<unk> never") == [tokenizer.unk] * 2


def test_a_vocabulary_of_byte_pairs_is_as_large_as_asked_and_begins_with_all_bytes() -> None:
    lines = [f"{number} bottles of beer on the wall {number * 7919}\n" for number in range(500)]
    assert train_tokenizer("bpe", lines, vocab_size=300).vocab_size == 300
    assert train_tokenizer("bpe", ["a\n"], vocab_size=300).vocab_size == 257
    assert len(train_tokenizer("bpe", lines, vocab_size=257).encode("ab🙂")) == 6  # no merges: one token a byte
    assert BPE_VOCABULARY == 8192


@pytest.mark.parametrize("kind", TRAINED)
def test_a_saved_tokenizer_is_the_same_again(kind: str, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(kind, LINES, pre_tokenizer="punctuation")
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    for name in ("kind", "pre_tokenizer", "eos", "unk", "vocab_size"):
        assert getattr(again, name) == getattr(tokenizer, name), name
    ids = tokenizer.encode(TEXT)
    assert again.kind == kind and again.encode(TEXT) == ids and again.decode(ids) == tokenizer.decode(ids)


@pytest.mark.parametrize("kind", TRAINED)
def test_the_same_text_gives_the_same_tokenizer_twice(kind: str) -> None:
    first, second = (train_tokenizer(kind, LINES).backend.to_str() for _ in range(2))
    assert first == second


def test_the_parts_of_a_prompt_that_have_no_token_are_told_once_in_order() -> None:
    words = train_tokenizer("word", ["the cat sat\n"])
    assert words.unknown("the zebra saw the zebra and cat") == ["zebra", "saw", "and"]
    letters = train_tokenizer("character", ["abc \n"])
    assert letters.unknown("cab 🙂d🙂") == ["🙂", "d"]


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("cut", ["whitespace", "punctuation"])
@pytest.mark.parametrize("text", ["the zebra, the zeb", "🙂 cat\n(zebra) ", "", "cat", "a.b*c [x] zebra"])
def test_the_pieces_of_a_prompt_are_the_prompt_again_with_the_unknown_marked(kind: str, cut: str, text: str) -> None:
    tokenizer = train_tokenizer(kind, ["the cat, (sat) .\n"], pre_tokenizer=cut)
    pieces = tokenizer.pieces(text)
    assert "".join(piece for piece, _ in pieces) == text
    marked = {piece for piece, lacking in pieces if lacking}
    assert marked == set(tokenizer.unknown(text))


def test_no_words_are_joined_over_blocks() -> None:
    lines = [f"{number % 7}\n" for number in range(10_000)]
    blocks = ["".join(lines[start : start + 4096]) for start in range(0, len(lines), 4096)]
    found = list(train_tokenizer("word", lines).encode_blocks(blocks))
    assert len(found) == 3 and sum(map(len, found)) == 20_000


def test_a_tokenizer_of_a_kind_that_is_not_ours_is_not_taken_for_one() -> None:
    with pytest.raises(TokenizerError, match="no token for the end of a text; expected one of <eos>, "):
        Tokenizer(tokenizers.Tokenizer(tokenizers.models.Unigram()))

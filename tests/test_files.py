"""Texts of one's own: files, folders and tables, of which no line and no row stands in two splits."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import disk_with_room_for

from cortex.corpus import SPLITS, CorpusError, in_blocks
from cortex.data import prepare
from cortex.fingerprints import fingerprint
from cortex.graph import Node
from cortex.graph_source import outside, source_of

ROWS = [f"row {number} has {'x' * (number % 7)}" for number in range(200)]


def node(path: Path | str, **params: Any) -> Node:
    return Node("data", "CustomData", {"path": str(path), **params})


def parts(path: Path | str, **params: Any) -> dict[str, str]:
    source = source_of(node(path, **params))
    return {split: "".join(source.blocks(split)) for split in SPLITS}


def write_table(path: Path, rows: list[str], column: str = "text") -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"id": 1, column: row}) + "\n" for row in rows))
    elif path.suffix == ".csv":
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([["id", column], *(["1", row] for row in rows)])
    else:
        pq.write_table(pa.table({"id": [1] * len(rows), column: rows}), path)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_every_row_of_a_table_stands_in_exactly_one_split_in_order(tmp_path: Path, suffix: str) -> None:
    path = write_table(tmp_path / f"t{suffix}", ROWS, "body")
    found = parts(path, text_column="body", validation=0.2, test=0.1)
    assert "".join(found.values()) == "".join(row + "\n" for row in ROWS)
    assert [len(found[split].splitlines()) for split in SPLITS] == pytest.approx([140, 40, 20], abs=4)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, suffix: str) -> None:
    path = write_table(tmp_path / f"t{suffix}", ROWS, "body")
    with pytest.raises(CorpusError, match=r"text_column: .* has no column 'text'.*; it has id, body"):
        parts(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_row_of_several_lines_stays_together(tmp_path: Path, suffix: str) -> None:
    rows = [f"{number} begins\r\nand, \"goes\" on\n" for number in range(50)]  # fmt: skip
    found = parts(write_table(tmp_path / f"t{suffix}", rows), validation=0.3)
    assert "".join(found.values()) == "".join(row.replace("\r\n", "\n") for row in rows)
    assert all(part.count("begins") == part.count("goes") for part in found.values())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b'{"text": "x"}\nnot json\n', "has no JSON object in line 2"),
        ("a.jsonl", b'{"text": 5}\n', "has '5' in row 1, expected a text"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', "half of a character"),
        ("a.csv", b'text\n"open\n', "is not CSV"),
        ("a.csv", "text\nl\xe4uft\n".encode("latin-1"), "is not UTF-8"),
        ("a.parquet", b"no parquet at all", "is not a parquet file, or damaged"),
    ],
)
def test_a_table_that_is_none_is_told_in_one_line(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=says) as told:
        parts(tmp_path / name)
    assert "\n" not in str(told.value)


def test_a_folder_is_read_in_the_order_of_its_names_and_files_do_not_run_together(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("second\n")
    (tmp_path / "a.txt").write_text("first without an end")
    (tmp_path / "sub").mkdir()
    write_table(tmp_path / "sub" / "c.jsonl", ["third"])
    (tmp_path / "notes.pdf").write_bytes(b"\0")
    assert "".join(parts(tmp_path).values()).split() == ["first", "without", "an", "end", "second", "third"]
    several = f"{tmp_path / 'b.md'};{tmp_path / 'a.txt'}"
    assert "".join(parts(several).values()).split()[0] == "second"
    assert fingerprint(node(several)) != fingerprint(node(tmp_path))


def test_files_of_their_own_validate_and_test_and_are_not_trained_on(tmp_path: Path) -> None:
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text(f"{name}\n")
    files = dict(split="files", validation_file="valid.txt", test_file="test.txt")
    assert parts(tmp_path, **files) == {"train": "train\n", "validation": "valid\n", "test": "test\n"}
    assert parts(tmp_path / "train.txt", **files)["validation"] == "valid\n"
    with pytest.raises(CorpusError, match="validates as well"):
        parts(tmp_path, **{**files, "test_file": "valid.txt"})
    with pytest.raises(CorpusError, match="no file besides those that validate"):
        parts(tmp_path / "valid.txt", **files)


def test_no_way_of_naming_a_file_leads_out_of_the_folders(tmp_path: Path) -> None:
    inside, secret = tmp_path / "in", tmp_path / "secret.txt"
    inside.mkdir()
    secret.write_text("secret\n")
    (inside / "a.txt").write_text("a\n")
    assert outside(node(inside), [inside]) is None
    for fault in (
        node(f"{inside / 'a.txt'};{secret}"),
        node(inside, split="files", validation_file=str(secret)),
        node(inside, split="files", validation_file="../secret.txt"),
        node(inside, split="files", validation_file="a.txt", test_file=str(secret)),
        node(inside, tokenizer="file", tokenizer_file=str(secret)),
        node(tmp_path),
    ):
        assert "outside the folders" in (outside(fault, [inside]) or "")
    (inside / "link.txt").symlink_to(secret)
    assert "outside the folders" in (outside(node(inside), [inside]) or "")


def test_blocks_end_where_lines_end_and_long_lines_before_a_space() -> None:
    text = "".join(f"line {number}\r\n" for number in range(500)) + "word " * 900 + "x" * 3000
    found = list(in_blocks((text[at : at + 7] for at in range(0, len(text), 7)), 100))
    assert "".join(found) == text.replace("\r\n", "\n")
    assert all(len(block) <= 107 for block in found)
    assert all(block.endswith("\n") for block in found[:40])
    assert [word for block in found for word in block.split() if "x" not in word] == text.replace("x", "").split()


@pytest.mark.parametrize("room", [100, 300, 60_000], ids=["tokenizer", "meta", "tokens"])
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path: Path, room: int) -> None:
    path, store = tmp_path / "text.txt", tmp_path / "store"
    path.write_text("the cat sat on the mat .\n" * 20_000)
    with (
        disk_with_room_for(room),
        pytest.raises(CorpusError, match="the disk is full: the prepared text has no room in") as told,
    ):
        prepare(node(path), store)
    assert str(store) in str(told.value) and "\n" not in str(told.value) and list(store.iterdir()) == []
    assert prepare(node(path), store)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", "text\nfirst\ncafé\n".encode("latin-1"), "is not UTF-8 at byte 14 (line 3): 0xe9; convert it"),
        ("a.csv", "text\ncafé\n".encode("utf-16"), "is UTF-16, expected UTF-8; convert it: iconv -f UTF-16"),
        ("a.jsonl", '{"text": "a"}\n{"text": "é"}\n'.encode("latin-1"), "is not UTF-8 at byte 24 (line 2): 0xe9"),
        ("a.txt", "café\n".encode("utf-32"), "is UTF-32, expected UTF-8; convert it: iconv -f UTF-32"),
    ],
)
def test_another_encoding_is_told_with_its_place_in_tables_too(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError) as told:
        prepare(node(tmp_path / name), tmp_path / "store")
    assert says in str(told.value)


def test_one_endless_line_is_refused_before_anything_is_learned_of_it(tmp_path: Path) -> None:
    (tmp_path / "line.txt").write_text("word " * 1000)
    said: list[str] = []
    with pytest.raises(CorpusError, match=r"no line of its own; .*, or a file of its own for it"):
        prepare(node(tmp_path / "line.txt"), tmp_path / "store", lambda what, share: said.append(what))
    assert said == []

"""Reading and splitting texts, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortex.corpus import HELD_OUT, SPLITS, CorpusError, shakespeare_lines
from cortex.files import files_of, share_blocks, text_hash


def text_lines(path: Path, split: str, validation: float, test: float) -> list[str]:
    marks = [0.0, 1 - validation - test, 1 - test, 1.0]
    at = SPLITS.index(split)
    text = "".join(share_blocks(files_of(str(path)), marks[at], marks[at + 1], "text"))
    return [line + "\n" for line in text.split("\n")[:-1]] + ([text.split("\n")[-1]] if text[-1:] not in ("\n", "") else [])


def split(path: Path, validation: float = 0.25, test: float = 0.25) -> dict[str, str]:
    return {name: "".join(text_lines(path, name, validation, test)) for name in SPLITS}


def test_a_text_is_split_in_order_and_no_line_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"aaa\nbbb\nccc\nddd\n")
    assert split(path) == {"train": "aaa\nbbb\n", "validation": "ccc\n", "test": "ddd\n"}
    path.write_bytes(b"aaaaaaaaaaaaaaaaaaaa\nb\nc\nd\n")  # a line belongs to the split in which it starts
    assert split(path) == {"train": "aaaaaaaaaaaaaaaaaaaa\n", "validation": "", "test": "b\nc\nd\n"}


@pytest.mark.parametrize(("validation", "test"), [(0.05, 0.05), (0.001, 0.0), (0.3, 0.6), (0.9, 0.0), (0.1, 0.2)])
def test_every_line_stands_in_exactly_one_split(tmp_path: Path, validation: float, test: float) -> None:
    path = tmp_path / "text.txt"
    lines = [f"{number} {'x' * (number * 7 % 40)}\n" for number in range(500)]
    path.write_text("".join(lines))
    parts = split(path, validation, test)
    assert "".join(parts.values()) == "".join(lines)
    assert all(part.endswith("\n") for part in parts.values() if part) and parts["train"]
    assert bool(parts["test"]) == (test > 0)


def test_windows_line_ends_become_line_ends_and_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffgrün\r\nred\rstill red\r\nlast".encode())
    assert "".join(text_lines(path, "train", 0.0, 0.0)) == "grün\nred\rstill red\nlast"


def test_letters_that_end_lines_elsewhere_do_not_cut_a_line(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a\u2028b\x0bc\x0cd\x85e\n" * 4, encoding="utf-8")
    assert len(list(text_lines(path, "train", 0.0, 0.0))) == 4


def test_a_text_that_is_not_utf8_is_refused_with_the_byte_and_line(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"good\n" * 3 + "bes\u00f6".encode("latin-1") + b"\n")
    with pytest.raises(CorpusError, match=r"text.txt is not UTF-8 at byte 18 \(line 4\): 0xf6; .*iconv -f ISO-8859-1"):
        list(text_lines(path, "train", 0.0, 0.0))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_texts_of_wide_characters_are_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("hello there\n".encode(encoding) * 5)
    with pytest.raises(CorpusError, match=r"is UTF-(16|32), expected UTF-8|zero byte at byte 1|zero byte at byte 0"):
        list(text_lines(path, "train", 0.0, 0.0))


def test_a_file_that_is_none_is_refused_by_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name, says in (("empty", "is empty"), (".", "is a folder"), ("none", "does not exist")):
        with pytest.raises(CorpusError, match=says):
            files_of(str(tmp_path / name))
    with pytest.raises(CorpusError, match="no text file is named"):
        files_of("")


def test_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"abc")
    assert text_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_text_in_another_alphabet_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("敏捷的棕色狐狸\n🙂👩‍👩‍👧\nжук\n", encoding="utf-8")
    assert "".join(text_lines(path, "train", 0.0, 0.0)) == path.read_text(encoding="utf-8")


def test_shakespeares_held_out_plays_are_of_two_kinds_each_and_have_no_markdown_left() -> None:
    assert {name: len(plays) for name, plays in HELD_OUT.items()} == {"validation": 2, "test": 2}
    lines = list(shakespeare_lines("validation"))
    assert len(lines) > 1000 and all(line.endswith("\n") for line in lines)
    text = "".join(lines)
    assert not any(mark in text for mark in ("**", "_", "\\", "\n# "))
    assert "If music be the food of love, play on" in text

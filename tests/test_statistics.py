"""Sizes, frequencies, line lengths and duplicates of a prepared data set, counted again in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import made_lines

from cortex import line_hashes
from cortex import statistics as module
from cortex.data import prepare
from cortex.graph import Node
from cortex.statistics import FILE, known_statistics, statistics
from cortex.store import Prepared

PTB = Path(__file__).parents[2] / "shared" / "data" / "ptb"
LONG = "a line that is long enough to be noticed when it comes twice"

Make = Callable[..., Prepared]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function that prepares these lines; the splits are those of the lines that are given for each."""

    def made(train: list[str], validation: list[str], test: list[str], **params: Any) -> Prepared:
        path = tmp_path / "text.txt"
        parts = ["".join(f"{line}\n" for line in lines) for lines in (train, validation, test)]
        path.write_text("".join(parts), encoding="utf-8")
        sizes = [len(part.encode()) for part in parts]
        # Half a byte more than the test text takes, so that rounding leaves no line on the wrong side.
        shares = {"validation": sizes[1] / sum(sizes), "test": (sizes[2] + 0.5) / sum(sizes)}
        node = Node("data", "CustomData", {"path": str(path), "min_frequency": 1, **shares, **params})
        return prepare(node, tmp_path / "store")

    return made


def test_sizes_and_frequencies_are_those_of_the_text(make: Make) -> None:
    train, validation, test = made_lines(400, seed=1), made_lines(60, seed=2), made_lines(50, seed=3)
    found = statistics(make(train, validation, test))
    assert [found["splits"][split]["lines"] for split in ("train", "validation", "test")] == [400, 60, 50]
    counts = Counter(word for line in train for word in [*line.split(), "<eos>"])
    assert {word: times for _, word, times in found["frequent"]} == dict(counts)
    assert [times for *_, times in found["frequent"]] == sorted(counts.values(), reverse=True)
    assert [times for *_, times in found["rarest"]] == sorted(counts.values())
    assert [times for _, times in found["ranks"]] == sorted(counts.values(), reverse=True)
    vocabulary = found["vocabulary"]
    assert (vocabulary["size"], vocabulary["seen"]) == (len(counts) + 1, len(counts))  # <unk> never occurs
    ordered, half = sorted(counts.values(), reverse=True), found["vocabulary"]["covering"][0]
    assert half[0] == 0.5 and sum(ordered[: half[1]]) >= sum(ordered) / 2 > sum(ordered[: half[1] - 1])


def test_the_histogram_has_every_line_once_and_counts_the_line_end(make: Make) -> None:
    train = [" ".join(["word"] * length) for length in (0, 1, 1, 5, 9)] * 20
    found = statistics(make(train, made_lines(9), made_lines(9)))["splits"]["train"]
    assert found["lines"] == 100 and found["median_length"] == 2
    assert {low: lines for low, _, lines in found["histogram"] if lines} == {1: 20, 2: 40, 6: 20, 10: 20}


def test_coverage_is_the_share_of_validation_tokens_that_the_vocabulary_has(make: Make) -> None:
    found = statistics(make(["the cat sat ."] * 90, ["the zebra sat ."] * 5, ["the cat sat ."] * 5))
    assert found["vocabulary"]["coverage"] == pytest.approx(0.8)  # 1 of 4 words and an <eos>


@pytest.mark.parametrize("tokenizer", ["word", "character", "bpe"])
def test_a_long_line_in_two_splits_is_found_and_a_short_one_is_not(tokenizer: str, make: Make) -> None:
    numbered = [f"{'one ' * n}line stands here and nowhere else in this whole text" for n in range(60)]
    train, validation, test = numbered[:40], [*numbered[40:50], LONG, "Exit."], [*numbered[50:], "Exit.", f"one {LONG}"]
    train += [LONG, "Exit."]
    prepared = make(train, validation, test, tokenizer=tokenizer, **({"vocab_size": 400} if tokenizer == "bpe" else {}))
    by_pair = {(row["split"], row["of"]): row for row in statistics(prepared)["duplicates"]}
    row = by_pair["validation", "train"]
    assert (row["compared"], row["repeated"], row["examples"]) == (11, 1, [LONG])
    assert row["tokens"] >= line_hashes.least_tokens(tokenizer)
    assert by_pair["test", "train"]["repeated"] == by_pair["test", "validation"]["repeated"] == 0


def test_lines_that_differ_in_unknown_words_alone_are_the_same_tokens(make: Make) -> None:
    lines = ["the white cat sat on the mat and slept there", "the black cat sat on the mat and slept there"]
    prepared = make([*made_lines(90), *lines[:1] * 2], [*made_lines(9), lines[1]], made_lines(9), vocab_size=10)
    assert statistics(prepared)["duplicates"][0]["repeated"] == 1


def test_lines_hash_alike_wherever_the_pieces_are_cut(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = [*made_lines(300, seed=1), LONG], [LONG, *made_lines(40, seed=2), LONG]
    prepared = make(train, validation, made_lines(40, seed=3), tokenizer="character")
    whole = module.compute(prepared)
    assert whole["duplicates"][0]["repeated"] == 2 and len(whole["duplicates"][0]["examples"]) == 1
    for piece in (7, 64, 1001):
        monkeypatch.setattr(line_hashes, "PIECE", piece)
        monkeypatch.setattr(module, "PIECE", piece)
        assert module.compute(prepared) == whole


def test_a_text_in_one_single_line_is_one_line(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_hashes, "PIECE", 64)
    monkeypatch.setattr(module, "PIECE", 64)
    found = statistics(make(["word " * 3000], made_lines(9), made_lines(9), tokenizer="character"))["splits"]["train"]
    assert found["lines"] == sum(lines for *_, lines in found["histogram"]) == 1


def test_an_empty_test_split_has_no_lines(make: Make) -> None:
    found = statistics(make(made_lines(90), made_lines(9), []))
    assert found["splits"]["test"] == {
        "tokens": 0, "bytes": 0, "unknown": 0, "lossless": True, "lines": 0, "median_length": None, "histogram": [],
    }  # fmt: skip
    assert found["duplicates"][1]["compared"] == 0


def test_part_of_a_character_is_listed_by_its_name(make: Make) -> None:
    prepared = make(["日本語の文"] * 60, ["日本語の文"] * 5, ["日本語"] * 5, tokenizer="bpe", vocab_size=262)
    listed = statistics(prepared)["frequent"]
    assert all(text and "\ufffd" not in text for _, text, _ in listed)


def test_statistics_are_computed_once(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    assert known_statistics(prepared) is None
    said: list[tuple[str, float]] = []
    found = statistics(prepared, lambda what, share: said.append((what, share)))
    assert said[-1] == ("looking for duplicates", 1.0)
    monkeypatch.setattr(module, "compute", lambda *_: pytest.fail("computed again"))
    assert statistics(prepared) == found == known_statistics(prepared)
    (prepared.path / FILE).write_text("{")
    assert known_statistics(prepared) is None


@pytest.mark.skipif(not PTB.is_dir(), reason="no Penn Treebank in ../shared/data")
def test_penn_treebank_has_its_published_counts(make: Make) -> None:
    names = ("train", "valid", "test")
    found = statistics(make(*((PTB / f"ptb.{name}.txt").read_text().splitlines() for name in names)))
    assert {split: (part["lines"], part["tokens"]) for split, part in found["splits"].items()} == {
        "train": (42_068, 929_589),
        "validation": (3_370, 73_760),
        "test": (3_761, 82_430),
    }
    assert found["vocabulary"]["size"] == 10_000
    lines = {split: (PTB / f"ptb.{split}.txt").read_text().splitlines() for split in names}
    seen = {tuple(line.split()) for line in lines["train"]}
    repeated = sum(tuple(line.split()) in seen for line in lines["valid"] if len(line.split()) >= 8)
    assert found["duplicates"][0]["repeated"] == repeated

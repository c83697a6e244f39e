"""Writes the small data sets of the examples, whose right answers are known because this script makes them.

python examples/data/make_data.py

reviews.csv      text, label     positive or negative; "not" turns it round, so single words do not give it away
places.conll     word, tag       people and places; the same name is either, and what stands around it says which
reversed.jsonl   source, target  the target has the words of the source from last to first
counting.txt     running text    each line counts by steps that it names, so that every number but the first is certain
"""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

GOOD = ("good", "great", "lovely", "bright", "clever", "warm")
BAD = ("bad", "dull", "awful", "cold", "clumsy", "boring")
THINGS = ("film", "book", "song", "meal", "play", "story", "show", "place")
HOW = ("very", "really", "quite", "so", "rather")

NAMES = ("Paris", "Jordan", "Virginia", "Austin", "Chelsea", "Sydney", "Florence", "Lincoln")
SECOND = {"PER": ("Baker", "Carter", "Mason", "Cooper"), "LOC": ("Hills", "Lake", "Harbour", "Bay")}
WITH = {"PER": ("asked", "told", "thanked", "married"), "LOC": ("left", "reached", "crossed", "entered")}

LETTERS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")

NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
)  # fmt: skip

Row = tuple[str, str]


def reviews(count: int, seed: int = 1) -> list[Row]:
    """Sentences and whether they praise or blame: a good word praises and a bad one blames, unless "not" stands before it."""
    draw, rows = random.Random(seed), {}
    while len(rows) < count:  # no sentence twice, so that none stands in two splits
        good, turned = draw.random() < 0.5, draw.random() < 0.5
        words = ["the", draw.choice(THINGS), "was", *(["not"] if turned else [])]
        words += [draw.choice(HOW)] if draw.random() < 0.5 else []
        rows[" ".join([*words, draw.choice(GOOD if good else BAD)])] = "positive" if good != turned else "negative"
    return list(rows.items())


def places(count: int, seed: int = 1) -> list[list[Row]]:
    """Sentences of words with their tags. The verb before a name says whether a person or a place is meant."""
    draw, sentences = random.Random(seed), {}
    while len(sentences) < count:
        sentence = [("they", "O")] if draw.random() < 0.5 else [("the", "O"), (draw.choice(("guests", "girls", "others")), "O")]
        for part in range(draw.choice((1, 2))):
            kind = draw.choice(("PER", "LOC"))
            sentence += [("and", "O")] if part else []
            sentence += [(draw.choice(WITH[kind]), "O"), (draw.choice(NAMES), f"B-{kind}")]
            sentence += [(draw.choice(SECOND[kind]), f"I-{kind}")] if draw.random() < 0.3 else []
        sentences[" ".join(word for word, _ in sentence)] = [*sentence, (".", "O")]
    return list(sentences.values())


def reversals(count: int, seed: int = 1, longest: int = 5) -> list[Row]:
    """Some words and the same words from last to first."""
    draw, rows = random.Random(seed), {}
    while len(rows) < count:
        words = [draw.choice(LETTERS) for _ in range(draw.randint(2, longest))]
        rows[" ".join(words)] = " ".join(reversed(words))
    return list(rows.items())


def counting(count: int, seed: int = 1) -> list[str]:
    """Lines that count on from a number by four steps one after the other, beginning anew after eleven.

    There are 7,500 different ones.
    """
    draw, lines = random.Random(seed), {}
    while len(lines) < count:  # no line twice, so that none stands in two splits
        at, said = draw.randrange(len(NUMBERS)), []
        for _ in range(4):
            step = draw.randint(1, 5)
            said += ["by", NUMBERS[step], ":"]
            for _ in range(4):
                said.append(NUMBERS[at])
                at = (at + step) % len(NUMBERS)
        lines[" ".join(said)] = None
    return list(lines)


def write_reviews(path: Path, rows: list[Row]) -> None:
    """A table of texts and labels."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("text", "label"), *rows])


def write_places(path: Path, sentences: list[list[Row]]) -> None:
    """Columns of words and tags, a blank line after each sentence."""
    lines = ["".join(f"{word}\t{tag}\n" for word, tag in sentence) for sentence in sentences]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_pairs(path: Path, rows: list[Row]) -> None:
    """JSON lines of sources and targets."""
    lines = [json.dumps({"source": source, "target": target}) for source, target in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_lines(path: Path, lines: list[str]) -> None:
    """Running text."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(folder: Path) -> None:
    """Write all four."""
    write_reviews(folder / "reviews.csv", reviews(900))
    write_places(folder / "places.conll", places(600))
    write_pairs(folder / "reversed.jsonl", reversals(3000))
    write_lines(folder / "counting.txt", counting(2000))


if __name__ == "__main__":
    main(Path(__file__).parent)

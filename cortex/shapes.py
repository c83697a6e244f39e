"""Shapes in named dimensions: B batch, T time, S time of the source side, C width, V scores."""

from __future__ import annotations

from dataclasses import dataclass, field

TIMES = ("T", "S")


@dataclass(frozen=True)
class Dim:
    """One dimension of a value: its letter and its size, None while the data is not prepared. Two sequences one after the other
    have both their letters: T+S. `of` says what an unknown size will be: vocabulary, labels, vocabulary + 128."""

    letter: str
    size: int | None
    of: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.letter if self.letter == "B" or self.is_time or self.size is None else f"{self.size:,}"

    @property
    def is_time(self) -> bool:
        """Whether it counts positions of a sequence."""
        return all(part in TIMES for part in self.letter.split("+"))


Shape = tuple[Dim, ...]


def shape_text(shape: Shape) -> str:
    """`B×T×128`"""
    return "×".join(map(str, shape))


def is_tokens(shape: Shape) -> bool:
    """Whether a value is token numbers, and not vectors."""
    return bool(shape) and shape[-1].is_time


def agree(one: Dim, other: Dim) -> bool:
    """Whether two dimensions are the same: sequences by their letters, all else by size, which may not be known yet."""
    if one.is_time or other.is_time or "B" in (one.letter, other.letter):
        return one.letter == other.letter
    return one.size == other.size or None in (one.size, other.size)

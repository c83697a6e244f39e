"""The lines of a split of token ids: their hashes and lengths, by which those that stand in another split too are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cortex.store import let_go

PIECE = 2**21  # tokens read at once
LONGEST = 4096  # tokens; longer lines are counted together


@dataclass(frozen=True)
class Lines:
    """The lines of a piece of a split: a 64-bit hash, the length in tokens, and the place of the first token of each."""

    hashes: np.ndarray
    lengths: np.ndarray
    starts: np.ndarray


def least_tokens(kind: str) -> int:
    """Length in tokens from which on a line that stands in two splits counts as a duplicate: about eight words."""
    return 40 if kind == "character" else 9


def line_from(tokens: np.ndarray, ends: np.ndarray, place: int, least: int, most: int) -> np.ndarray:
    """The ids of a line of a split (1 + N,): the first of at least `least` tokens that starts at `place` or later, from the
    start again where there is none; at most `most` of them. Without any such line, the tokens from `place` on."""
    for low in (max(1, min(place, len(tokens) - 1)), 1):
        piece = np.asarray(tokens[low - 1 : low + 200 * most])
        starts = np.flatnonzero(ends[piece]) + 1
        starts = starts[starts < len(piece)]
        sizes = np.diff(np.append(starts, len(piece)))
        long = starts[sizes >= least]
        if len(long):
            start = int(long[0])
            return piece[start : start + min(int(sizes[sizes >= least][0]), most)]
    return np.asarray(tokens[place : place + most])


def lines_of(tokens: np.ndarray, ends: np.ndarray) -> Iterator[tuple[Lines, float]]:
    """The lines of a split (1 + N,), whose first id is only context, in pieces, each with the share of the split read so far.

    A line's hash is the sum over its tokens of random(token) * B^place modulo 2^64, so that it can be carried from one
    piece to the next however long the line is.
    """
    values = np.random.default_rng(20_021).integers(0, 2**64, len(ends), np.uint64)
    base = 0x9E3779B97F4A7C15
    powers = _powers(base, PIECE)
    carried, length, begun = 0, 0, 1  # hash and length of the line that is not at its end yet, and where it started
    for low in range(1, len(tokens), PIECE):
        piece = np.array(tokens[low : low + PIECE])
        let_go(tokens)
        stops = np.flatnonzero(ends[piece])
        starts = np.concatenate([[0], stops + 1])
        last = low + len(piece) >= len(tokens)
        if starts[-1] == len(piece):
            starts = starts[:-1]
        sizes = np.diff(np.append(starts, len(piece)))
        places = np.arange(len(piece)) - np.repeat(starts, sizes)
        hashes = np.add.reduceat(values[piece] * powers[places], starts)
        # The first line of this piece goes on from the piece before.
        factor = pow(base, length, 2**64)
        hashes[0] = np.uint64((carried + factor * int(hashes[0])) % 2**64)
        sizes[0] += length
        begins = starts + low
        begins[0] = begun if length else low
        whole = len(starts) if last or (len(stops) and stops[-1] == len(piece) - 1) else len(starts) - 1
        if whole < len(starts):
            carried, length, begun = int(hashes[-1]), int(sizes[-1]), int(begins[-1])
        else:
            carried, length = 0, 0
        yield Lines(hashes[:whole], sizes[:whole], begins[:whole]), min(1.0, (low + len(piece)) / len(tokens))


def _powers(base: int, count: int) -> np.ndarray:
    """base^0 … base^(count - 1) modulo 2^64, doubled up."""
    powers = np.ones(count, np.uint64)
    done = 1
    while done < count:
        more = min(done, count - done)
        powers[done : done + more] = powers[:more] * np.uint64(pow(base, done, 2**64))
        done += more
    return powers


def held_out_lines(tokens: np.ndarray, ends: np.ndarray, least: int, lengths: np.ndarray) -> Lines:
    """The lines of a held-out split that are long enough to be compared; the lengths of all are counted."""
    parts = []
    for lines, _ in lines_of(tokens, ends):
        count_lengths(lines.lengths, lengths)
        long = lines.lengths >= least
        parts.append((lines.hashes[long], lines.lengths[long], lines.starts[long]))
    if not parts:
        return Lines(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Lines(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def count_lengths(lengths: np.ndarray, into: np.ndarray) -> None:
    """Add to `into` (LONGEST + 1,) how many lines have each length; longer ones are counted together."""
    into += np.bincount(np.minimum(lengths, LONGEST), minlength=len(into))


def among(hashes: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Of each hash whether it is among the ordered ones."""
    if not len(ordered):
        return np.zeros(len(hashes), bool)
    at = np.searchsorted(ordered, hashes)
    at[at == len(ordered)] = 0
    return ordered[at] == hashes

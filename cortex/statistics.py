"""What is in a prepared data set: sizes, frequencies, lengths of lines, and lines that stand in more than one split.

All of it comes from the stored token arrays, a piece at a time, so that the text itself is not needed again and memory does
not grow with it. It is computed once and kept beside the tokens in statistics.json.

A line ends at `<eos>` where tokens are words, else at a token with a line feed in it; its length counts that token too. A
line of validation or test text is a duplicate when a line of the other split has the very same tokens, all of them, and the
line has at least `least_tokens(...)` of them: short lines ("Exit.", a heading) repeat in any text. Where words were
replaced by `<unk>`, lines that differ in such words alone count as the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortex.corpus import SPLITS
from cortex.kept import keep, read_kept
from cortex.store import Prepared, let_go
from cortex.tokenizer import Tokenizer
from cortex.words import line_ends

FILE, VERSION = "statistics.json", 1

# Validation and test text against what comes before it in this list: these pairs are searched for duplicates.
PAIRS = (("validation", "train"), ("test", "train"), ("test", "validation"))
LISTED = 40  # most frequent tokens, and rarest, that are kept by name
EXAMPLES = 5  # duplicates kept as text

_PIECE = 2**21  # tokens read at once
_LONGEST = 4096  # tokens; longer lines are counted together
_BARS = 40
_RANKS = 80
_SHOWN = 300  # characters of an example
_COVERED = (0.5, 0.9, 0.99)

Heard = Callable[[str, float], None]


@dataclass(frozen=True)
class Lines:
    """The lines of a piece of a split: a 64-bit hash, the length in tokens, and the place of the first token of each."""

    hashes: np.ndarray
    lengths: np.ndarray
    starts: np.ndarray


def known_statistics(prepared: Prepared) -> dict[str, Any] | None:
    """What was computed before and is kept in the store; None where nothing is, or nothing that can be read."""
    return read_kept(prepared.path / FILE, VERSION)


def statistics(prepared: Prepared, heard: Heard = lambda what, share: None) -> dict[str, Any]:
    """The statistics, computed now where the store does not have them, and kept there; docs/data.md lists what is in them."""
    found = known_statistics(prepared)
    if found is None:
        found = compute(prepared, heard) if prepared.task == "Text" else compute_rows(prepared, heard)
        keep(prepared.path / FILE, VERSION, found)
    return found


def compute(prepared: Prepared, heard: Heard = lambda what, share: None) -> dict[str, Any]:
    """The statistics of a data set, read through once."""
    tokenizer = prepared.tokenizer()
    ends = line_ends(tokenizer)
    least = least_tokens(tokenizer.kind)
    counts = np.zeros(prepared.vocab_size, np.int64)
    lengths = {split: np.zeros(_LONGEST + 1, np.int64) for split in SPLITS}
    tokens = {split: prepared.tokens(split) for split in SPLITS}
    held_out = {split: _held_out(tokens[split], ends, least, lengths[split]) for split in SPLITS[1:]}
    repeated = {pair: np.zeros(len(held_out[pair[0]].hashes), bool) for pair in PAIRS}
    for number, low in enumerate(range(1, len(tokens["train"]), _PIECE)):
        counts += np.bincount(tokens["train"][low : low + _PIECE], minlength=len(counts))
        let_go(tokens["train"])
        heard("counting the tokens", min(1.0, number * _PIECE / len(tokens["train"])) * 0.3)
    for lines, share in _lines_of(tokens["train"], ends):
        _count_lengths(lines.lengths, lengths["train"])
        long = np.sort(lines.hashes[lines.lengths >= least])
        for split in SPLITS[1:]:
            repeated[split, "train"] |= _among(held_out[split].hashes, long)
        heard("looking for duplicates", 0.3 + 0.7 * share)
    repeated["test", "validation"] = _among(held_out["test"].hashes, np.sort(held_out["validation"].hashes))
    most = _usual_length(sum(lengths.values()))
    return {
        "splits": {split: prepared.meta["splits"][split] | _of_lines(lengths[split], most) for split in SPLITS},
        "vocabulary": _of_vocabulary(counts, prepared),
        "ranks": _of_ranks(counts),
        "frequent": _listed(np.argsort(-counts, kind="stable")[:LISTED], counts, tokenizer),
        "rarest": _listed(_rarest(counts), counts, tokenizer),
        "line_ends": bool(ends.any()),
        "least": least,
        "duplicates": [_of_duplicates(pair, held_out[pair[0]], repeated[pair], tokens[pair[0]], tokenizer) for pair in PAIRS],
    }


def compute_rows(prepared: Prepared, heard: Heard = lambda what, share: None) -> dict[str, Any]:
    """The same of a set of rows: a row takes the place of a line, whatever its length, and of pairs the row is what is read.

    `labels` says how often each class or tag occurs in each split.
    """
    tokenizer, rows = prepared.tokenizer(), {split: prepared.rows(split) for split in SPLITS}
    sides = [("tokens", "offsets")] + ([("source", "source_offsets")] if prepared.task == "Pairs" else [])
    counts = np.zeros(prepared.vocab_size, np.int64)
    for tokens, _ in sides:
        counts += np.bincount(getattr(rows["train"], tokens), minlength=len(counts))
    heard("counting the rows", 0.3)
    tokens, starts = sides[-1]
    lengths, keys = {}, {}
    for split, found in rows.items():
        ids, offsets = getattr(found, tokens), getattr(found, starts)
        lengths[split] = np.zeros(_LONGEST + 1, np.int64)
        _count_lengths(np.diff(offsets), lengths[split])
        keys[split] = [ids[low:high].tobytes() for low, high in itertools.pairwise(offsets)]
    heard("looking for duplicates", 0.9)
    most = _usual_length(sum(lengths.values()))
    return {
        "splits": {split: prepared.meta["splits"][split] | _of_lines(lengths[split], most) for split in SPLITS},
        "vocabulary": _of_vocabulary(counts, prepared),
        "ranks": _of_ranks(counts),
        "frequent": _listed(np.argsort(-counts, kind="stable")[:LISTED], counts, tokenizer),
        "rarest": _listed(_rarest(counts), counts, tokenizer),
        "line_ends": True,
        "least": 1,
        "duplicates": [_repeated_rows(pair, keys, tokenizer, np.dtype(prepared.meta["dtype"])) for pair in PAIRS],
        "labels": _of_labels(prepared),
    }


def _repeated_rows(pair: tuple[str, str], keys: dict[str, list[bytes]], tokenizer: Tokenizer, kind: np.dtype) -> dict[str, Any]:
    known = set(keys[pair[1]])
    repeated = [key for key in keys[pair[0]] if key in known]
    examples = [np.frombuffer(key, kind) for key in dict.fromkeys(repeated)]
    return {
        "split": pair[0],
        "of": pair[1],
        "compared": len(keys[pair[0]]),
        "repeated": len(repeated),
        "tokens": sum(len(key) // kind.itemsize for key in repeated),
        "examples": [tokenizer.decode(ids.tolist())[:_SHOWN] for ids in examples[:EXAMPLES]],
    }


def _of_labels(prepared: Prepared) -> list[list[Any]]:
    """[name, times in train, validation, test] of each label or tag, the most frequent first."""
    found = []
    for split in SPLITS if prepared.labels else ():
        labels = np.asarray(prepared.rows(split).labels)
        found.append(np.bincount(labels[labels >= 0], minlength=len(prepared.labels)))
    named = [[name, *(int(split[place]) for split in found)] for place, name in enumerate(prepared.labels)]
    return sorted(named, key=lambda row: -row[1])


def duplicates_in_words(row: dict[str, Any], least: int) -> str:
    """A sentence on the duplicates of one pair of splits."""
    of = "training" if row["of"] == "train" else row["of"]
    if not row["compared"] and least == 1:
        return f"{row['split']}: no row that could be compared with {of} rows"
    if not row["compared"]:
        return f"{row['split']}: no line of at least {least} tokens that could be compared with {of} text"
    share = row["repeated"] / row["compared"]
    if least == 1:  # rows of a task
        return f"{row['repeated']:,} of {row['compared']:,} {row['split']} rows ({share:.2%}) stand in the {of} rows too"
    return (
        f"{row['repeated']:,} of {row['compared']:,} {row['split']} lines of at least {least} tokens ({share:.2%}) "
        f"stand in the {of} text too"
    )


def least_tokens(kind: str) -> int:
    """Length in tokens from which on a line that stands in two splits counts as a duplicate: about eight words."""
    return 40 if kind == "character" else 9


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """What a token stands for: its text, or the name the vocabulary has for it where it is part of a character."""
    name = tokenizer.backend.id_to_token(token) or ""
    text = name if tokenizer.kind == "word" else tokenizer.decode([token])
    return name if "\ufffd" in text or not text else text


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


def _lines_of(tokens: np.ndarray, ends: np.ndarray) -> Iterator[tuple[Lines, float]]:
    """The lines of a split (1 + N,), whose first id is only context, in pieces, each with the share of the split read so far.

    A line's hash is the sum over its tokens of random(token) * B^place modulo 2^64, so that it can be carried from one
    piece to the next however long the line is.
    """
    values = np.random.default_rng(20_021).integers(0, 2**64, len(ends), np.uint64)
    base = 0x9E3779B97F4A7C15
    powers = _powers(base, _PIECE)
    carried, length, begun = 0, 0, 1  # hash and length of the line that is not at its end yet, and where it started
    for low in range(1, len(tokens), _PIECE):
        piece = np.array(tokens[low : low + _PIECE])
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


def _held_out(tokens: np.ndarray, ends: np.ndarray, least: int, lengths: np.ndarray) -> Lines:
    """The lines of a held-out split that are long enough to be compared; the lengths of all are counted."""
    parts = []
    for lines, _ in _lines_of(tokens, ends):
        _count_lengths(lines.lengths, lengths)
        long = lines.lengths >= least
        parts.append((lines.hashes[long], lines.lengths[long], lines.starts[long]))
    if not parts:
        return Lines(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Lines(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _count_lengths(lengths: np.ndarray, into: np.ndarray) -> None:
    into += np.bincount(np.minimum(lengths, _LONGEST), minlength=len(into))


def _among(hashes: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Of each hash whether it is among the ordered ones."""
    if not len(ordered):
        return np.zeros(len(hashes), bool)
    at = np.searchsorted(ordered, hashes)
    at[at == len(ordered)] = 0
    return ordered[at] == hashes


def _usual_length(lengths: np.ndarray) -> int:
    """The length that all but the longest two hundredth of the lines have at most."""
    running = np.cumsum(lengths)
    return max(int(np.searchsorted(running, 0.995 * running[-1])), 1)


def _of_lines(lengths: np.ndarray, most: int) -> dict[str, Any]:
    """Number of lines, their middle length, and a histogram of [shortest, longest, lines] in about 40 bars up to the length
    `most`; one more bar has all longer lines."""
    lines = int(lengths.sum())
    if not lines:
        return {"lines": 0, "median_length": None, "histogram": []}
    median = int(np.searchsorted(np.cumsum(lengths), (lines + 1) // 2))
    width = -(-most // _BARS)
    bars = [[low, low + width - 1, int(lengths[low : low + width].sum())] for low in range(1, most + 1, width)]
    beyond = int(lengths[bars[-1][1] + 1 :].sum())
    return {"lines": lines, "median_length": median, "histogram": [*bars, [bars[-1][1] + 1, None, beyond]]}


def _of_vocabulary(counts: np.ndarray, prepared: Prepared) -> dict[str, Any]:
    """How much of the vocabulary is used, and how few tokens make up most of the training text."""
    running = np.cumsum(np.sort(counts)[::-1])
    validation = prepared.meta["splits"]["validation"]
    return {
        "size": prepared.vocab_size,
        "seen": int((counts > 0).sum()),
        "once": int((counts == 1).sum()),
        "covering": [[share, int(np.searchsorted(running, share * running[-1])) + 1] for share in _COVERED],
        "coverage": 1 - validation["unknown"] / max(1, validation["tokens"]),
    }


def _of_ranks(counts: np.ndarray) -> list[list[int]]:
    """[rank, occurrences] of tokens in order of their frequency, at ranks that grow by about a tenth."""
    ordered = np.sort(counts[counts > 0])[::-1]
    ranks = np.unique(np.geomspace(1, max(1, len(ordered)), _RANKS).astype(int)) if len(ordered) else []
    return [[int(rank), int(ordered[rank - 1])] for rank in ranks]


def _rarest(counts: np.ndarray) -> np.ndarray:
    """The tokens that occur least often, but do occur; the later of two in the vocabulary first."""
    found = np.flatnonzero(counts)[::-1]
    return found[np.argsort(counts[found], kind="stable")[:LISTED]]


def _listed(tokens: np.ndarray, counts: np.ndarray, tokenizer: Tokenizer) -> list[list[Any]]:
    return [[int(token), token_text(tokenizer, int(token)), int(counts[token])] for token in tokens if counts[token]]


def _of_duplicates(
    pair: tuple[str, str], lines: Lines, repeated: np.ndarray, tokens: np.ndarray, tokenizer: Tokenizer
) -> dict[str, Any]:
    """How many of the lines that are long enough stand in the other split too, and some of them."""
    first = np.unique(lines.hashes[repeated], return_index=True)[1][: 10 * EXAMPLES]
    examples = []
    for at in np.sort(np.flatnonzero(repeated)[first])[:EXAMPLES]:
        start = int(lines.starts[at])
        text = tokenizer.decode(tokens[start : start + min(int(lines.lengths[at]), _SHOWN)].tolist()).strip()
        examples.append(text[:_SHOWN] + ("…" if len(text) > _SHOWN else ""))
    return {
        "split": pair[0],
        "of": pair[1],
        "compared": len(lines.hashes),
        "repeated": int(repeated.sum()),
        "tokens": int(lines.lengths[repeated].sum()),
        "examples": examples,
    }

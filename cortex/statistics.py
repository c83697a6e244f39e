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
from collections.abc import Callable
from typing import Any

import numpy as np

from cortex.corpus import SPLITS
from cortex.distributions import LISTED, listed, of_lines, of_ranks, of_vocabulary, rarest, usual_length
from cortex.kept import keep, read_kept
from cortex.line_hashes import LONGEST, PIECE, Lines, among, count_lengths, held_out_lines, least_tokens, lines_of
from cortex.store import Prepared, let_go
from cortex.tokenizer import Tokenizer
from cortex.words import line_ends

FILE, VERSION = "statistics.json", 1

# Validation and test text against what comes before it in this list: these pairs are searched for duplicates.
PAIRS = (("validation", "train"), ("test", "train"), ("test", "validation"))
EXAMPLES = 5  # duplicates kept as text

_SHOWN = 300  # characters of an example

Heard = Callable[[str, float], None]


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
    lengths = {split: np.zeros(LONGEST + 1, np.int64) for split in SPLITS}
    tokens = {split: prepared.tokens(split) for split in SPLITS}
    held_out = {split: held_out_lines(tokens[split], ends, least, lengths[split]) for split in SPLITS[1:]}
    repeated = {pair: np.zeros(len(held_out[pair[0]].hashes), bool) for pair in PAIRS}
    for number, low in enumerate(range(1, len(tokens["train"]), PIECE)):
        counts += np.bincount(tokens["train"][low : low + PIECE], minlength=len(counts))
        let_go(tokens["train"])
        heard("counting the tokens", min(1.0, number * PIECE / len(tokens["train"])) * 0.3)
    for lines, share in lines_of(tokens["train"], ends):
        count_lengths(lines.lengths, lengths["train"])
        long = np.sort(lines.hashes[lines.lengths >= least])
        for split in SPLITS[1:]:
            repeated[split, "train"] |= among(held_out[split].hashes, long)
        heard("looking for duplicates", 0.3 + 0.7 * share)
    repeated["test", "validation"] = among(held_out["test"].hashes, np.sort(held_out["validation"].hashes))
    return {
        **_distributions(prepared, counts, lengths, tokenizer),
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
        lengths[split] = np.zeros(LONGEST + 1, np.int64)
        count_lengths(np.diff(offsets), lengths[split])
        keys[split] = [ids[low:high].tobytes() for low, high in itertools.pairwise(offsets)]
    heard("looking for duplicates", 0.9)
    return {
        **_distributions(prepared, counts, lengths, tokenizer),
        "line_ends": True,
        "least": 1,
        "duplicates": [_repeated_rows(pair, keys, tokenizer, np.dtype(prepared.meta["dtype"])) for pair in PAIRS],
        "labels": _of_labels(prepared),
    }


def _distributions(
    prepared: Prepared, counts: np.ndarray, lengths: dict[str, np.ndarray], tokenizer: Tokenizer
) -> dict[str, Any]:
    """What the counts of the tokens (V,) and the lengths of each split's lines say."""
    most = usual_length(sum(lengths.values()))
    return {
        "splits": {split: prepared.meta["splits"][split] | of_lines(lengths[split], most) for split in SPLITS},
        "vocabulary": of_vocabulary(counts, prepared),
        "ranks": of_ranks(counts),
        "frequent": listed(np.argsort(-counts, kind="stable")[:LISTED], counts, tokenizer),
        "rarest": listed(rarest(counts), counts, tokenizer),
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

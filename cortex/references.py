"""Perplexities that a model must beat to have learned anything: those of three counting models on the validation split.

With V tokens in the vocabulary, N tokens of training text, c(w) occurrences of w in it, c(u, w) of u followed by w:

    uniform   p(w) = 1 / V
    unigram   p(w) = (c(w) + 1) / (N + V)                              add-one: Laplace; Jurafsky & Martin, eq. 3.26
    bigram    p(w | u) = a c(u, w) / c(u) + (1 - a) p(w)               interpolated: Jelinek & Mercer 1980
              and p(w) where u was never followed by anything

The weight a is the one that makes the last tenth of the training text, at most a million tokens, likeliest under the counts
of what stands before it; validation text has no say in it. A perplexity here is what it is everywhere: exp of the mean
of -ln p over every token of the split once, the first one after `<eos>`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cortex.kept import keep, read_kept
from cortex.store import Prepared, let_go
from cortex.units import perplexity

FILE, VERSION = "references.json", 1
NAMES = ("uniform", "unigram", "bigram")

# Counts are of at most so many tokens from the start of the training text: about a minute of one core.
MOST_COUNTED = 200_000_000
# So many training tokens are counted in well under a second, so that nobody has to be asked.
QUICK = 3_000_000

_PIECE = 2**21  # tokens read at once
_HELD_OUT, _MOST_HELD_OUT = 0.1, 1_000_000
_HIGHEST_WEIGHT = 0.999  # a weight of 1 would give a pair that was never seen no chance at all


@dataclass(frozen=True)
class References:
    """Perplexities on the validation split; `weight` is that of the bigram, `counted` of `tokens` training tokens were read."""

    uniform: float
    unigram: float
    bigram: float
    weight: float
    counted: int
    tokens: int


def known_references(folder: Path) -> References | None:
    """What was computed before and is kept in the folder of a prepared set; None where nothing is, or nothing readable."""
    found = read_kept(folder / FILE, VERSION)
    try:
        return References(**found) if found else None
    except TypeError:
        return None


def references(prepared: Prepared, heard: Callable[[float], None] = lambda share: None) -> References:
    """The reference perplexities, computed now where the store does not have them, and kept there.

    Args:
        heard: is called with the share of the training text that has been counted.
    """
    found = known_references(prepared.path)
    if found is None:
        found = compute(prepared.tokens("train"), prepared.tokens("validation"), prepared.vocab_size, heard)
        keep(prepared.path / FILE, VERSION, asdict(found))
    return found


def in_words(found: References) -> str:
    """The three perplexities in a line."""
    each = ", ".join(f"{name} {perplexity(getattr(found, name))}" for name in NAMES)
    part = "" if found.counted == found.tokens else f", of the first {found.counted:,} training tokens"
    return f"perplexity of counting models on validation: {each} (weight {found.weight:.2f}{part})"


def quick_references(prepared: Prepared) -> References | None:
    """The reference perplexities where they are known or take no noticeable time; else None."""
    return references(prepared) if prepared.count("train") <= QUICK else known_references(prepared.path)


def compute(
    train: np.ndarray, validation: np.ndarray, vocabulary: int, heard: Callable[[float], None] = lambda share: None
) -> References:
    """The three perplexities of `validation` (1 + M,) under counts of `train` (1 + N,), whose first ids are only context.

    Memory does not grow with the training text: pairs are counted where the validation or held-out text has them, no others.
    """
    counted = min(len(train) - 1, MOST_COUNTED)
    held_out = min(int(counted * _HELD_OUT), _MOST_HELD_OUT)
    before = counted - held_out
    asked, times = _tally(validation, vocabulary)
    kept, kept_times = _tally(train[before : counted + 1], vocabulary)
    pairs = PairCounts(vocabulary, np.union1d(asked, kept))
    pairs.add(train[: before + 1], lambda share: heard(share * 0.9))
    weight = best_weight(*pairs.shares(kept), kept_times)
    pairs.add(train[before : counted + 1])
    heard(1.0)
    relative, add_one = pairs.shares(asked)
    return References(
        uniform=float(vocabulary),
        unigram=_perplexity(add_one, times),
        bigram=_perplexity(interpolated(relative, add_one, weight), times),
        weight=weight,
        counted=counted,
        tokens=len(train) - 1,
    )


class PairCounts:
    """Counts of tokens, of contexts, and of the wanted pairs in the text added so far.

    A pair u, w is the number u * vocabulary + w.

    Args:
        wanted: pairs in ascending order, each once.
    """

    def __init__(self, vocabulary: int, wanted: np.ndarray) -> None:
        self.vocabulary, self.wanted = vocabulary, wanted
        self.tokens = np.zeros(vocabulary, np.int64)
        self.contexts = np.zeros(vocabulary, np.int64)
        self.pairs = np.zeros(len(wanted), np.int64)

    def add(self, tokens: np.ndarray, heard: Callable[[float], None] = lambda share: None) -> None:
        """Count the tokens (1 + N,) but the first, and each with the one before it."""
        for low in range(0, len(tokens) - 1, _PIECE):
            piece = np.asarray(tokens[low : low + _PIECE + 1]).astype(np.int64)
            self.tokens += np.bincount(piece[1:], minlength=self.vocabulary)
            self.contexts += np.bincount(piece[:-1], minlength=self.vocabulary)
            found, times = np.unique(piece[:-1] * self.vocabulary + piece[1:], return_counts=True)
            at = np.searchsorted(self.wanted, found)
            at[at == len(self.wanted)] = 0
            hit = self.wanted[at] == found if len(self.wanted) else np.zeros(len(found), bool)
            self.pairs[at[hit]] += times[hit]
            let_go(tokens)
            heard(min(1.0, (low + _PIECE) / len(tokens)))

    def shares(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each of these wanted pairs c(u, w) / c(u), NaN where c(u) is 0, and the add-one p(w)."""
        before, after = np.divmod(pairs, self.vocabulary)
        contexts = self.contexts[before].astype(float)
        counts = self.pairs[np.searchsorted(self.wanted, pairs)]
        relative = np.divide(counts, contexts, out=np.full(len(pairs), np.nan), where=contexts > 0)
        return relative, (self.tokens[after] + 1) / (self.tokens.sum() + self.vocabulary)


def interpolated(relative: np.ndarray, add_one: np.ndarray, weight: float) -> np.ndarray:
    """Bigram probabilities: the weighted mean of both, `add_one` alone where `relative` is NaN."""
    return np.where(np.isnan(relative), add_one, weight * relative + (1 - weight) * add_one)


def best_weight(relative: np.ndarray, add_one: np.ndarray, times: np.ndarray) -> float:
    """The weight in [0, 0.999] under which a text with these pairs, so many times each, is likeliest; 0.5 without any.

    The log-likelihood is concave in the weight, so its slope is halved down to zero.
    """
    known = ~np.isnan(relative)
    relative, add_one, times = relative[known], add_one[known], times[known]
    if not len(times):
        return 0.5
    low, high = 0.0, _HIGHEST_WEIGHT
    for _ in range(40):
        middle = (low + high) / 2
        slope = float((times * (relative - add_one) / interpolated(relative, add_one, middle)).sum())
        low, high = (middle, high) if slope > 0 else (low, middle)
    return round((low + high) / 2, 6)


def _tally(tokens: np.ndarray, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """The different pairs of a text (1 + N,) in ascending order, and how often each stands in it."""
    pairs, times = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for low in range(0, len(tokens) - 1, _PIECE):
        piece = np.asarray(tokens[low : low + _PIECE + 1]).astype(np.int64)
        found, counts = np.unique(piece[:-1] * vocabulary + piece[1:], return_counts=True)
        pairs, place = np.unique(np.concatenate([pairs, found]), return_inverse=True)
        times = np.bincount(place, np.concatenate([times, counts]), minlength=len(pairs)).astype(np.int64)
    return pairs, times


def _perplexity(probabilities: np.ndarray, times: np.ndarray) -> float:
    return math.exp(-float((times * np.log(probabilities)).sum()) / int(times.sum()))

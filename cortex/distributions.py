"""What counts say: of tokens in order of their frequency, and of lines by their length."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortex.store import Prepared
from cortex.tokenizer import Tokenizer

LISTED = 40  # most frequent tokens, and rarest, that are kept by name

_BARS = 40
_RANKS = 80
_COVERED = (0.5, 0.9, 0.99)


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """What a token stands for: its text, or the name the vocabulary has for it where it is part of a character."""
    name = tokenizer.backend.id_to_token(token) or ""
    text = name if tokenizer.kind == "word" else tokenizer.decode([token])
    return name if "\ufffd" in text or not text else text


def usual_length(lengths: np.ndarray) -> int:
    """The length that all but the longest two hundredth of the lines have at most."""
    running = np.cumsum(lengths)
    return max(int(np.searchsorted(running, 0.995 * running[-1])), 1)


def of_lines(lengths: np.ndarray, most: int) -> dict[str, Any]:
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


def of_vocabulary(counts: np.ndarray, prepared: Prepared) -> dict[str, Any]:
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


def of_ranks(counts: np.ndarray) -> list[list[int]]:
    """[rank, occurrences] of tokens in order of their frequency, at ranks that grow by about a tenth."""
    ordered = np.sort(counts[counts > 0])[::-1]
    ranks = np.unique(np.geomspace(1, max(1, len(ordered)), _RANKS).astype(int)) if len(ordered) else []
    return [[int(rank), int(ordered[rank - 1])] for rank in ranks]


def rarest(counts: np.ndarray) -> np.ndarray:
    """The tokens that occur least often, but do occur; the later of two in the vocabulary first."""
    found = np.flatnonzero(counts)[::-1]
    return found[np.argsort(counts[found], kind="stable")[:LISTED]]


def listed(tokens: np.ndarray, counts: np.ndarray, tokenizer: Tokenizer) -> list[list[Any]]:
    """[id, text, occurrences] of the tokens that occur."""
    return [[int(token), token_text(tokenizer, int(token)), int(counts[token])] for token in tokens if counts[token]]

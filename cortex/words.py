"""The words of a validation split, for perplexities per word, which runs with different tokenizers can be compared by.

A word is what stands between white space. A loss of L nats per token over M tokens is a perplexity per word of
exp(L M / words): the cost of the whole text, line ends included, shared out among its words (Mielke 2019). That is honest
only where every word has its price, so it is refused where a token is `<unk>`, and where the tokens do not say which words
the text has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from cortex.kept import keep, read_kept
from cortex.store import Prepared
from cortex.tokenizer import Tokenizer

FILE, VERSION = "words.json", 1

# Words of so many tokens are counted well within a second.
QUICK = 1_000_000

_PIECE = 2**18  # tokens


@dataclass(frozen=True)
class Words:
    """`count` words of the validation split, None with the reason in `why_not`; `text` is the same for the same words in the
    same order, whatever the tokenizer and the white space between them."""

    count: int | None
    text: str | None
    why_not: str = ""


def known_words(prepared: Prepared) -> Words | None:
    """What was counted before and is kept in the store."""
    found = read_kept(prepared.path / FILE, VERSION)
    try:
        return Words(**found) if found else None
    except TypeError:
        return None


def words(prepared: Prepared) -> Words:
    """The words of the validation split, counted now where the store does not have them, and kept there."""
    found = known_words(prepared)
    if found is None:
        found = count_words(prepared)
        keep(prepared.path / FILE, VERSION, asdict(found))
    return found


def quick_words(prepared: Prepared) -> Words:
    """The words where they are known or take no noticeable time."""
    if prepared.count("validation") <= QUICK or _refused(prepared):
        return words(prepared)
    return known_words(prepared) or Words(None, None, "its words are not counted yet; python -m cortex measure counts them")


def count_words(prepared: Prepared) -> Words:
    """The words of the validation split, decoded from its tokens a piece at a time."""
    why_not = _refused(prepared)
    if why_not:
        return Words(None, None, why_not)
    hashed, count = hashlib.sha256(), 0
    for text in _text(prepared.tokens("validation"), prepared.tokenizer()):
        found = text.split()
        count += len(found)
        hashed.update("".join(f"{word} " for word in found).encode())
    if not count:
        return Words(None, None, "its text has no words, only white space")
    return Words(count, hashed.hexdigest())


def _refused(prepared: Prepared) -> str:
    """Why the words cannot be counted honestly; empty where they can."""
    found = prepared.meta["splits"]["validation"]
    if found["unknown"]:
        return prepared.why_not_bytes("validation")
    # Words between white space are tokens each, even where the white space itself is not given back letter for letter.
    if found["lossless"] or (prepared.meta["tokenizer"] == "word" and prepared.tokenizer().pre_tokenizer == "whitespace"):
        return ""
    return "its tokens do not say where a word ends"


def _text(tokens: np.ndarray, tokenizer: Tokenizer) -> Iterator[str]:
    """The text of a split (1 + N,) in pieces that end where a line ends."""
    ends = line_ends(tokenizer)
    low = 1
    while low < len(tokens):
        high = min(low + _PIECE, len(tokens))
        while high < len(tokens) and not ends[tokens[high - 1]]:
            high += 1
        yield tokenizer.decode(np.asarray(tokens[low:high]).tolist())
        low = high


def line_ends(tokenizer: Tokenizer) -> np.ndarray:
    """(V,) of bool: the tokens that end a line, `<eos>` and those with a line feed in them."""
    ends = np.zeros(tokenizer.vocab_size, bool)
    if not getattr(tokenizer, "ends_lines", tokenizer.kind == "word"):
        ends[[token for token in range(len(ends)) if "\n" in tokenizer.decode([token])]] = True
    if tokenizer.eos is not None:
        ends[tokenizer.eos] = True
    return ends

"""From a source of text to token numbers: what the data store and an exported script do alike.

Importable alone: numpy, and tokenizer.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from cortex.tokenizer import Tokenizer, train_tokenizer

_PIECE = 4096  # lines


class TextSource:
    """What data preparation asks of a source of text. `needs` names the packages that carry it, where there are any."""

    needs: tuple[str, ...] = ()

    def __init__(
        self,
        batch_size: int,
        seq_len: int,
        tokenizer: str,
        vocab_size: int | str,
        min_frequency: int,
        pre_tokenizer: str,
    ) -> None:
        self.batch_size, self.seq_len = batch_size, seq_len
        self.tokenizer = tokenizer
        self.vocab_size = None if vocab_size == "auto" else vocab_size
        self.min_frequency, self.pre_tokenizer = min_frequency, pre_tokenizer

    def revision(self) -> str:
        """What names this very text: a version or a hash. CorpusError when the text cannot be had."""
        raise AssertionError("each source says its own revision")

    def lines(self, split: str) -> Iterator[str]:
        """The lines of `train`, `validation` or `test`, with their line end."""
        raise AssertionError("each source reads its own lines")


def learn_tokenizer(source: TextSource, lines: Iterable[str]) -> Tokenizer:
    """The tokenizer that a source asks for, made from these lines of its training text."""
    return train_tokenizer(
        source.tokenizer,
        lines,
        vocab_size=source.vocab_size,
        min_frequency=source.min_frequency,
        pre_tokenizer=source.pre_tokenizer,
    )


def id_type(vocab_size: int) -> np.dtype:
    """The smallest type that holds the numbers of so many tokens."""
    return np.dtype("uint8" if vocab_size <= 2**8 else "uint16" if vocab_size <= 2**16 else "uint32")


def encoded(lines: Iterable[str], tokenizer: Tokenizer) -> Iterator[tuple[str, np.ndarray]]:
    """A text in pieces, each with its token ids (N,). First comes one `<eos>` of no text, so that every token is predicted
    exactly once; memory does not grow with the text."""
    kind = id_type(tokenizer.vocab_size)
    yield "", np.array([tokenizer.eos], kind)
    lines = iter(lines)
    while chunk := list(itertools.islice(lines, _PIECE)):
        for ids in tokenizer.encode_lines(chunk):
            yield "".join(chunk), ids.astype(kind)


def split_ids(source: TextSource, split: str, tokenizer: Tokenizer) -> np.ndarray:
    """All token ids of a split in memory, (1 + N,), the first `<eos>`: what the data store keeps of it on disk."""
    return np.concatenate([ids for _, ids in encoded(source.lines(split), tokenizer)])

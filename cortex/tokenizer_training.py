"""A tokenizer made from the training text: its words, its characters, or the pairs of bytes that it joins.

Importable alone with tokenizer.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from cortex.codes import CODE_POINTS, LINE_END, WordNumbers, code_points
from cortex.tokenizer import EOS, SPACE, UNK, WORD, WORD_CUT, Tokenizer, whole_lines

BPE_VOCABULARY = 8192


def train_tokenizer(
    kind: str,
    texts: Iterable[str],
    *,
    vocab_size: int | None = None,
    min_frequency: int = 1,
    pre_tokenizer: str = "whitespace",
) -> Tokenizer:
    """A tokenizer made from the training text.

    Args:
        kind: `word`, `character` or `bpe` (byte-level, Sennrich et al. 2016, over bytes as in Radford et al. 2019).
        texts: the text in order, in lines or in larger parts; no word may go over the end of a part.
        vocab_size: the most tokens it may have, special ones included; None for no limit (bpe: 8,192).
        min_frequency: a word seen less often becomes `<unk>`; words only.
        pre_tokenizer: `whitespace` takes words as they stand between spaces, `punctuation` cuts marks off; words only.
    """
    if kind == "bpe":
        return _train_bpe(texts, vocab_size or BPE_VOCABULARY)
    if kind == "character":
        return _train_character(texts, vocab_size)
    return _train_word(texts, vocab_size, min_frequency, pre_tokenizer)


def _train_word(texts: Iterable[str], vocab_size: int | None, min_frequency: int, pre_tokenizer: str) -> Tokenizer:
    found: dict[str, int] = {}
    numbers = WordNumbers(lambda word: found.setdefault(word, len(found)))
    times = np.zeros(0, np.int64)
    for text in texts:
        more = np.bincount(numbers(" ".join(WORD_CUT.findall(text)) if pre_tokenizer == "punctuation" else text))
        longest = max(len(times), len(more))
        times = np.pad(times, (0, longest - len(times))) + np.pad(more, (0, longest - len(more)))
    counts = Counter(dict(zip(found, times.tolist(), strict=True)))
    del counts[LINE_END]
    backend = tokenizers.Tokenizer(models.WordLevel(_vocabulary(counts, vocab_size, min_frequency), unk_token=UNK))
    backend.pre_tokenizer = (
        pre_tokenizers.Split(tokenizers.Regex(WORD), "removed", invert=True)
        if pre_tokenizer == "punctuation"
        else pre_tokenizers.Split(tokenizers.Regex(SPACE), "removed")
    )
    return Tokenizer(backend)


def _train_character(texts: Iterable[str], vocab_size: int | None) -> Tokenizer:
    counts = np.zeros(CODE_POINTS, np.int64)
    for text in texts:
        counts += np.bincount(code_points(text), minlength=CODE_POINTS)
    found = Counter({chr(code): int(counts[code]) for code in np.flatnonzero(counts)})
    backend = tokenizers.Tokenizer(models.BPE(_vocabulary(found, vocab_size, 1), [], unk_token=UNK))
    backend.decoder = decoders.Fuse()
    return Tokenizer(backend)


def _train_bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator((line for text in texts for line in whole_lines(text)), trainer)
    return Tokenizer(backend)


def _vocabulary(counts: Counter[str], vocab_size: int | None, min_frequency: int) -> dict[str, int]:
    """The most frequent pieces, ties in alphabetical order, after `<eos>` and `<unk>`."""
    frequent = sorted((-count, piece) for piece, count in counts.items() if count >= min_frequency and piece not in (EOS, UNK))
    pieces = [EOS, UNK, *(piece for _, piece in frequent)]
    return {piece: number for number, piece in enumerate(pieces[:vocab_size])}

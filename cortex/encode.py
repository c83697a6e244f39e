"""From a source of text to token numbers: what the data store and an exported script do alike.

Importable alone: numpy, tokenizer.py, rows.py, and what reads files and the hub.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from cortex.corpus import CorpusError
from cortex.files import files_of, text_hash
from cortex.hub import Pin, hub_file
from cortex.rows import Row
from cortex.tokenizer import TRAINED, Tokenizer, TokenizerError
from cortex.tokenizer_training import train_tokenizer

# Called with a word for what is going on and the share of it that is done, None where that is not known.
Progress = Callable[[str, float | None], None]

# Characters that byte pairs are learned from. More changes few merges and costs memory: a language that is written without
# spaces takes about 20 bytes of memory a character.
BPE_TEXT = 2**25


class TextSource:
    """What data preparation asks of a source of text. `needs` names the packages that carry it, where there are any;
    `remote` says that its text is fetched over the network."""

    needs: tuple[str, ...] = ()
    remote = False
    task = "Text"  # or Labelled, Tagged, Pairs: what its rows are

    def __init__(
        self,
        batch_size: int,
        seq_len: int,
        tokenizer: str,
        vocab_size: int | str,
        min_frequency: int,
        pre_tokenizer: str,
        tokenizer_file: str = "",
        tokenizer_id: str = "",
        tokenizer_revision: str = "main",
    ) -> None:
        self.batch_size, self.seq_len = batch_size, seq_len
        self.tokenizer = tokenizer
        self.vocab_size = None if vocab_size == "auto" else vocab_size
        self.min_frequency, self.pre_tokenizer = min_frequency, pre_tokenizer
        self.tokenizer_file = tokenizer_file
        self.tokenizer_id, self.tokenizer_revision = tokenizer_id, tokenizer_revision

    def revision(self) -> str:
        """What names this very text: a version or a hash. CorpusError when the text cannot be had."""
        raise AssertionError("each source says its own revision")

    def blocks(self, split: str) -> Iterator[str]:
        """The text of `train`, `validation` or `test` in blocks, each but those of a very long line ending with a line."""
        raise AssertionError("each source reads its own text")

    def rows(self, split: str) -> Iterator[Row]:
        """The examples of a split, where `task` is not Text. CorpusError names the file and line of one that is not sound."""
        raise AssertionError("a source of running text has no rows")

    def title(self) -> str:
        """The text in a few words, for a list."""
        return type(self).__name__

    def expected_bytes(self, split: str) -> int | None:
        """About how much text a split has, where that is known before it is read."""
        return None

    def fetch(self, progress: Progress = lambda what, share: None) -> None:
        """Have the text on this machine; most have it anyway."""

    def paths(self) -> list[str]:
        """The files that are read, but for those of packages and of the hub. CorpusError says which cannot be."""
        return files_of(self.tokenizer_file, "tokenizer_file") if self.tokenizer == "file" else []

    def named_paths(self) -> list[str]:
        """The files and folders as the settings name them, whether they are there or not."""
        return [self.tokenizer_file] if self.tokenizer == "file" and self.tokenizer_file else []

    def pins(self) -> list[Pin]:
        """What is fetched at a revision whose name can come to mean something else, a branch for one."""
        pin = Pin("model", self.tokenizer_id, self.tokenizer_revision)
        return [pin] if self.tokenizer == "hub" and pin.moves() else []

    def pin(self, pin: Pin, commit: str) -> None:
        """Take this commit wherever the settings name the branch."""
        if pin == Pin("model", self.tokenizer_id, self.tokenizer_revision):
            self.tokenizer_revision = commit

    def tokenizer_identity(self) -> str:
        """What names a tokenizer that was made elsewhere; empty where it is made from the training text."""
        if self.tokenizer == "file":
            return f"sha256 {text_hash(files_of(self.tokenizer_file, 'tokenizer_file')[0])}"
        return f"{self.tokenizer_id} {self.tokenizer_revision}" if self.tokenizer == "hub" else ""

    def packages(self) -> tuple[str, ...]:
        """Packages without which this very source cannot be read."""
        return (*self.needs, *{"hub": ("huggingface_hub",), "word": ("pyarrow",)}.get(self.tokenizer, ()))


def learn_tokenizer(source: TextSource, texts: Iterable[str]) -> Tokenizer:
    """The tokenizer that a source asks for: made from these parts of its training text, or read. CorpusError says what is
    wrong with one that is read."""
    if source.tokenizer == "file":
        files = files_of(source.tokenizer_file, "tokenizer_file")
        if len(files) > 1:
            raise CorpusError(f"tokenizer_file: {source.tokenizer_file} names {len(files)} files, expected one tokenizer.json")
        return _read_tokenizer(files[0], "tokenizer_file")
    if source.tokenizer == "hub":
        found = hub_file("model", source.tokenizer_id, "tokenizer.json", source.tokenizer_revision, "tokenizer_id")
        return _read_tokenizer(found, "tokenizer_id")
    assert source.tokenizer in TRAINED, source.tokenizer
    if source.tokenizer == "bpe":
        texts = itertools.islice(texts, 0, None, 1 + (source.expected_bytes("train") or 0) // BPE_TEXT)
    return train_tokenizer(
        source.tokenizer,
        texts,
        vocab_size=source.vocab_size,
        min_frequency=source.min_frequency,
        pre_tokenizer=source.pre_tokenizer,
    )


def _read_tokenizer(path: str, where: str) -> Tokenizer:
    try:
        tokenizer = Tokenizer.load(path)
        _try_out(tokenizer)
    except TokenizerError as error:
        raise CorpusError(f"{where}: {path}: {error}") from None
    except Exception as error:  # the library raises plain Exception
        reason = " ".join(str(error).split())[:200]
        raise CorpusError(f"{where}: {path} is not a tokenizer.json that can be used: {reason}") from None
    return tokenizer


def _try_out(tokenizer: Tokenizer) -> None:
    """Fails where a text would fail later on: a word without a token and no token for the unknown, for one."""
    tokenizer.decode(tokenizer.encode("A b, 1\n\u4e2d\U0001f642\n"))


def id_type(vocab_size: int) -> np.dtype:
    """The smallest type that holds the numbers of so many tokens."""
    return np.dtype("uint8" if vocab_size <= 2**8 else "uint16" if vocab_size <= 2**16 else "uint32")


def encoded(blocks: Iterable[str], tokenizer: Tokenizer) -> Iterator[tuple[str, np.ndarray]]:
    """A text in blocks, each with its token ids (N,). First comes one `<eos>` of no text, so that every token is predicted
    exactly once; memory does not grow with the text."""
    kind = id_type(tokenizer.vocab_size)
    first = np.array([tokenizer.eos], kind)
    yield "", first
    last = "\n"
    for block in blocks:
        if not block:
            continue
        try:
            (ids,) = tokenizer.encode_blocks([block])
        except Exception as error:  # the library raises plain Exception
            raise CorpusError(f"tokenizer: a part of the text cannot be encoded: {error}") from None
        last = block[-1]
        yield block, ids.astype(kind)
    if last != "\n" and tokenizer.ends_lines:
        yield "", first


def split_ids(source: TextSource, split: str, tokenizer: Tokenizer) -> np.ndarray:
    """All token ids of a split in memory, (1 + N,), the first `<eos>`: what the data store keeps of it on disk."""
    return np.concatenate([ids for _, ids in encoded(source.blocks(split), tokenizer)])

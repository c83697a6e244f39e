"""The store of prepared data sets: a folder each, whole or not at all; what is in it, and how it is taken away.

A set is written under a temporary name and renamed. Whoever writes or removes one holds its lock, so what bears a temporary
name without a held lock is left over from a process that is dead.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cortex.corpus import SPLITS, CorpusError
from cortex.rows import LABEL_TYPE, OFFSET_TYPE, RowArrays
from cortex.tokenizer import Tokenizer

# How the file of each array of a split ends.
TOKENS, OFFSETS, LABELS, SOURCE, SOURCE_OFFSETS = "bin", "offsets.bin", "labels.bin", "source.bin", "source-offsets.bin"


@dataclass(frozen=True)
class Prepared:
    """A prepared data set. `meta["splits"][split]` has `tokens`, `bytes`, `unknown` (tokens that are `<unk>`) and
    `lossless` (whether decoding gives the text back letter for letter)."""

    path: Path
    meta: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        return self.meta["fingerprint"]

    @property
    def vocab_size(self) -> int:
        return self.meta["vocab_size"]

    @property
    def task(self) -> str:
        """Text, or Labelled, Tagged, Pairs: sets of rows."""
        return self.meta.get("task", "Text")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of classes or tags by their numbers; empty for texts and pairs."""
        return tuple(self.meta.get("labels", ()))

    def rows(self, split: str) -> RowArrays:
        """The split's examples, memory-mapped; for every task but Text."""
        ids = np.dtype(self.meta["dtype"])
        starts = [self._array(split, end, OFFSET_TYPE) for end in (OFFSETS, SOURCE_OFFSETS)]
        return RowArrays(
            self.task, self._array(split, TOKENS, ids), np.asarray(starts[0]), self._array(split, LABELS, LABEL_TYPE),
            self._array(split, SOURCE, ids), np.asarray(starts[1]),
        )  # fmt: skip

    def _array(self, split: str, end: str, kind: np.dtype) -> np.ndarray:
        path = self.path / f"{split}.{end}"
        if not path.exists() or not path.stat().st_size:  # an empty file cannot be mapped
            return np.zeros(1 if kind == OFFSET_TYPE else 0, kind)
        return np.memmap(path, dtype=kind, mode="r")

    @property
    def sizes(self) -> tuple[int, int | None]:
        """Number of tokens of the vocabulary, and of labels; what `plan()` has to know of the data."""
        return self.vocab_size, len(self.labels) or None

    def split(self, split: str) -> np.ndarray | RowArrays:
        """What a training or an evaluation reads of a split: tokens of running text, or rows."""
        return self.tokens(split) if self.task == "Text" else self.rows(split)

    def row_count(self, split: str) -> int:
        """Number of examples of the split; 0 for running text."""
        return self.meta["splits"][split].get("rows", 0)

    def tokens(self, split: str) -> np.ndarray:
        """The split's ids, (1 + tokens,), memory-mapped; the first is `<eos>`. Of running text alone."""
        return np.memmap(self.path / f"{split}.bin", dtype=self.meta["dtype"], mode="r")

    def count(self, split: str) -> int:
        """Number of tokens that the split predicts; of rows, number of tokens in them."""
        return self.meta["splits"][split]["tokens"]

    def tokenizer(self) -> Tokenizer:
        try:
            return Tokenizer.load(self.path / "tokenizer.json")
        except Exception as error:  # the library raises plain Exception
            raise CorpusError(f"{self.path}: tokenizer.json cannot be read: {error}; delete this folder") from None

    def honest_bytes(self, split: str) -> int | None:
        """Bytes of the split's text where bits per byte are honest: nothing hidden by `<unk>`, nothing lost; else None."""
        found = self.meta["splits"][split]
        return found["bytes"] if found["lossless"] and not found["unknown"] and found["bytes"] else None

    def why_not_bytes(self, split: str) -> str:
        """Why bits per byte would not be honest on this split; empty where they are."""
        if self.task != "Text":
            return "they are of running text"
        found = self.meta["splits"][split]
        if found["unknown"]:
            return f"{found['unknown'] / found['tokens']:.1%} of its tokens are <unk>, which hides what they cost"
        return "" if self.honest_bytes(split) else "the tokens do not give the text back letter for letter"

    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.path.iterdir() if file.is_file())

    def title(self) -> str:
        """The text in a few words."""
        return self.meta.get("title") or self.meta["kind"]


def find(fingerprint: str, store: Path) -> Prepared | None:
    """The data set of this fingerprint, or None when the store does not hold it; CorpusError when it is damaged."""
    path = store / fingerprint
    try:
        meta = json.loads((path / "meta.json").read_text())
        lengths = _file_sizes(meta)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise CorpusError(f"{path}: is a file, expected the folder of a prepared text; delete it") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CorpusError(f"{path}: meta.json is damaged; delete this folder, it is made again from the text") from None
    for name, expected in lengths.items():
        file = path / name
        found = file.stat().st_size if file.exists() else 0
        if found != expected:
            raise CorpusError(f"{file}: {found:,} bytes, expected {expected:,}; delete its folder, it is made again")
    return Prepared(path, meta)


def _file_sizes(meta: dict[str, Any]) -> dict[str, int]:
    """The size in bytes that each array must have."""
    if meta.get("task", "Text") == "Text":
        each = np.dtype(meta["dtype"]).itemsize
        return {f"{split}.{TOKENS}": (meta["splits"][split]["tokens"] + 1) * each for split in SPLITS}
    return {name: size for split in SPLITS for name, size in meta["splits"][split]["files"].items()}


def names(store: Path) -> list[str]:
    """The fingerprints of all sets, damaged ones as well, the newest first."""
    folders = [path for path in store.iterdir() if path.is_dir() and "." not in path.name] if store.is_dir() else []
    return [path.name for path in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)]


def remove(name: str, store: Path) -> int:
    """Take a set away with all that belongs to it; how many bytes were freed comes out.

    Raises:
        CorpusError: another process is at work on it.
    """
    with locked(store / f"{name}.lock", _busy):
        size = sum(path.stat().st_size for path in (store / name).rglob("*") if path.is_file())
        gone = store / f"{name}.tmp-removed-{os.getpid()}"
        (store / name).rename(gone)  # at once, so that nobody meets half of it
        shutil.rmtree(gone)
        for beside in store.glob(f"{name}.*"):
            if beside.is_file():
                beside.unlink()
    return size


def _busy() -> None:
    raise CorpusError("another process is at work on this data set; try again when it has ended")


def sweep(store: Path) -> None:
    """Take away what dead processes have left half written."""
    for leftover in store.glob("*.tmp-*"):
        lock = store / f"{leftover.name.partition('.')[0]}.lock"
        try:
            with locked(lock, _busy):
                shutil.rmtree(leftover, ignore_errors=True)
        except CorpusError:
            continue


@contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds an exclusive lock; the kernel frees it when the process ends, however that happens.

    `on_wait` is called again and again while another process holds it, and ends the wait by raising.
    """
    while True:
        with open(path, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                time.sleep(0.2)
                continue
            if not _is_still_there(path, file.fileno()):  # who held it before has removed the set and its lock
                continue
            yield
            return


def _is_still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def is_full(error: OSError) -> bool:
    """Whether a disk, a quota or a limit on the size of files stood in the way."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

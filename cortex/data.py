"""From a source node to token arrays on disk, made once, found again by a fingerprint of all that decides them.

A store is a folder of `train.bin`, `validation.bin`, `test.bin` (flat arrays, each beginning with one `<eos>`, so that
every token of the split is predicted exactly once), `tokenizer.json` and `meta.json`. It is written under a temporary
name and renamed, so it exists whole or not at all; a lock makes a second process wait for the first.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cortex.corpus import SPLITS, CorpusError
from cortex.encode import TextSource, encoded, id_type, learn_tokenizer
from cortex.graph import Graph, Node
from cortex.params import complete
from cortex.registry import KINDS
from cortex.sources import BATCH_PARAMS
from cortex.tokenizer import Tokenizer

FORMAT_VERSION = 1

# Called with a word for what is going on and the share of it that is done, None where that is not known.
Progress = Callable[[str, float | None], None]


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

    def tokens(self, split: str) -> np.ndarray:
        """The split's ids, (1 + tokens,), memory-mapped; the first is `<eos>`."""
        return np.memmap(self.path / f"{split}.bin", dtype=self.meta["dtype"], mode="r")

    def count(self, split: str) -> int:
        """Number of tokens that the split predicts."""
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
        found = self.meta["splits"][split]
        if found["unknown"]:
            return f"{found['unknown'] / found['tokens']:.1%} of its tokens are <unk>, which hides what they cost"
        return "" if self.honest_bytes(split) else "the tokens do not give the text back letter for letter"


def source_node(graph: Graph) -> Node | None:
    """The graph's source, None unless there is exactly one."""
    found = [node for node in graph.nodes if node.kind in KINDS and KINDS[node.kind].role == "source"]
    return found[0] if len(found) == 1 else None


def source_of(node: Node) -> TextSource:
    """The source object of a node whose parameters are sound."""
    kind = KINDS[node.kind]
    return kind.cls(**complete(kind.params, node.params))


def fingerprint(node: Node) -> str:
    """32 hex digits that stand for the tokens this node gives; CorpusError when its text cannot be had."""
    kind = KINDS[node.kind]
    values = complete(kind.params, node.params)
    settings = {
        key: value for key, value in values.items() if key not in (*BATCH_PARAMS, "path") and kind.params[key].applies(values)
    }
    path = values.get("path")
    revision = _file_revision(node.kind, path, *_stamp(path)) if path else kind.cls(**values).revision()
    facts = {"version": FORMAT_VERSION, "kind": node.kind, "revision": revision, "settings": settings}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


@functools.lru_cache(maxsize=64)
def _file_revision(kind: str, path: str, size: int, modified: int) -> str:
    defaults = complete(KINDS[kind].params, {"path": path})
    return KINDS[kind].cls(**defaults).revision()


def _stamp(path: str) -> tuple[int, int]:
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def text_size(node: Node) -> int | None:
    """Bytes of the text that preparing would read; None when the kind does not say beforehand."""
    path = node.params.get("path")
    return _stamp(path)[0] if path else None


def outside(node: Node, folders: list[Path]) -> str | None:
    """The fault of a source that would read a file that lies in none of these folders; None when it may be read."""
    path = node.params.get("path")
    if not path or not isinstance(path, str):
        return None
    try:
        real = Path(path).resolve()
    except (OSError, ValueError):
        return f"path={path!r} is not a file name"
    if any(real.is_relative_to(folder.resolve()) for folder in folders):
        return None
    return f"path={path!r} is outside the folders that this app may read; upload the file instead"


def find(fingerprint: str, store: Path) -> Prepared | None:
    """The data set of this fingerprint, or None when the store does not hold it."""
    return _open(store / fingerprint)


def lookup(node: Node, store: Path) -> Prepared | None:
    """The data set as prepared before, or None. Reads no text but to hash a changed file; CorpusError as `fingerprint`."""
    return _open(store / fingerprint(node))


def prepare(node: Node, store: Path, progress: Progress = lambda what, share: None) -> Prepared:
    """The data set of this source node, from the store or made now.

    Raises:
        CorpusError: the text cannot be had or cannot be used; nothing is left in the store.
    """
    name = fingerprint(node)
    found = _open(store / name)
    if found:
        return found
    store.mkdir(parents=True, exist_ok=True)
    with _locked(store / f"{name}.lock", lambda: progress("waiting for another process that prepares the same text", None)):
        found = _open(store / name)
        if found:
            return found
        for leftover in store.glob(f"{name}.tmp-*"):  # of a killed process: we hold its lock
            shutil.rmtree(leftover)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}.tmp-", dir=store))
        try:
            _write(node, name, folder, progress)
            os.replace(folder, store / name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return _open(store / name)


def _write(node: Node, name: str, folder: Path, progress: Progress) -> None:
    source = source_of(node)
    tokenizer = learn_tokenizer(source, _heard(source.lines("train"), lambda: progress("learning the vocabulary", None)))
    _check_vocabulary(node, tokenizer, source)
    try:
        tokenizer.save(folder / "tokenizer.json")
    except Exception as error:  # the library raises plain Exception for a full disk
        raise OSError(f"{folder / 'tokenizer.json'} cannot be written: {error}") from None
    splits = {}
    for number, split in enumerate(SPLITS):
        lines = _heard(source.lines(split), lambda at=number, name=split: progress(f"tokenising {name}", at / len(SPLITS)))
        splits[split] = _write_split(lines, split != "train", tokenizer, folder / f"{split}.bin")
    _check_lengths(node, splits)
    if fingerprint(node) != name:
        raise CorpusError(f"{node.id}: the text changed while it was read; start again")
    meta = {
        "version": FORMAT_VERSION,
        "fingerprint": name,
        "kind": node.kind,
        "revision": source.revision(),
        "tokenizer": tokenizer.kind,
        "vocab_size": tokenizer.vocab_size,
        "dtype": id_type(tokenizer.vocab_size).name,
        "splits": splits,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


def _heard(lines: Iterator[str], on_lines: Callable[[], None]) -> Iterator[str]:
    """The same lines; the callback is heard from now and then, and can end the work by raising."""
    for number, line in enumerate(lines):
        if number % 4096 == 0:
            on_lines()
        yield line


def _write_split(lines: Iterator[str], held_out: bool, tokenizer: Tokenizer, path: Path) -> dict[str, Any]:
    counts = {"tokens": -1, "bytes": 0, "unknown": 0, "lossless": held_out}  # the first <eos> is not predicted
    with open(path, "wb") as file:
        for text, ids in encoded(lines, tokenizer):
            file.write(ids.tobytes())
            counts["tokens"] += len(ids)
            counts["bytes"] += len(text.encode())
            counts["unknown"] += int((ids == tokenizer.unk).sum()) if tokenizer.unk is not None else 0
            # Only held-out text is scored in bits per byte, so only there the round trip is worth its time.
            counts["lossless"] = counts["lossless"] and (not text or tokenizer.decode(ids.tolist()) == text)
    return counts


def _check_vocabulary(node: Node, tokenizer: Tokenizer, source: TextSource) -> None:
    if tokenizer.vocab_size > 2:  # more than <eos> and <unk>
        return
    often = f" that occurs at least min_frequency={source.min_frequency} times" if source.tokenizer == "word" else ""
    raise CorpusError(f"{node.id}: the training text has no {source.tokenizer}{often}; expected a longer text")


def _check_lengths(node: Node, splits: dict[str, dict[str, Any]]) -> None:
    if not splits["train"]["tokens"]:
        raise CorpusError(f"{node.id}: the training text has no tokens, expected a text of several lines")
    if not splits["validation"]["tokens"]:
        raise CorpusError(
            f"{node.id}: the validation part of the text has no line of its own; "
            "expected a text of several lines, or a larger share for validation"
        )


def read_through(node: Node) -> None:
    """Read the source's text once and keep nothing; CorpusError when it cannot be used."""
    source = source_of(node)
    counts = {split: sum(1 for _ in source.lines(split)) for split in SPLITS}
    _check_lengths(node, {split: {"tokens": count} for split, count in counts.items()})


def too_short(node: Node, prepared: Prepared) -> str | None:
    """The fault of a training text with less than one block of `seq_len` tokens; None when there is one."""
    seq_len, tokens = source_of(node).seq_len, prepared.count("train")
    if tokens >= seq_len:
        return None
    return f"the training text has {tokens:,} tokens, less than seq_len={seq_len}"


def _open(path: Path) -> Prepared | None:
    try:
        meta = json.loads((path / "meta.json").read_text())
        lengths = {split: (meta["splits"][split]["tokens"] + 1) * np.dtype(meta["dtype"]).itemsize for split in SPLITS}
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise CorpusError(f"{path}: is a file, expected the folder of a prepared text; delete it") from None
    except (ValueError, KeyError, TypeError):
        raise CorpusError(f"{path}: meta.json is damaged; delete this folder, it is made again from the text") from None
    for split, expected in lengths.items():
        file = path / f"{split}.bin"
        found = file.stat().st_size if file.exists() else 0
        if found != expected:
            raise CorpusError(f"{file}: {found:,} bytes, expected {expected:,}; delete its folder, it is made again")
    return Prepared(path, meta)


@contextmanager
def _locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds an exclusive lock; the kernel frees it when the process ends, however that happens."""
    with open(path, "w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                on_wait()  # again and again, since it may say that nobody wants to wait any longer
                time.sleep(0.2)
        yield

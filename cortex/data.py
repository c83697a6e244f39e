"""From a source node to token arrays on disk, made once, found again by a fingerprint of all that decides them.

A store is a folder of `train.bin`, `validation.bin`, `test.bin` (flat arrays, each beginning with one `<eos>`, so that
every token of the split is predicted exactly once), `tokenizer.json`, `meta.json`, and what a run's perplexity is laid
beside: `references.json`, `words.json`. It is written under a temporary name and renamed, so it exists whole or not at all; a
lock makes a second process wait for the first.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cortex.corpus import SPLITS, CorpusError
from cortex.encode import Progress, TextSource, encoded, id_type, learn_tokenizer
from cortex.encode_rows import label_names
from cortex.fingerprints import FORMAT_VERSION, fingerprint, fingerprint_of, kept_commit
from cortex.graph import Node
from cortex.graph_source import source_of
from cortex.params import complete
from cortex.references import references
from cortex.registry import KINDS
from cortex.row_store import write_rows
from cortex.store import Prepared, find, full_disk_told, locked, sweep
from cortex.tokenizer import TRAINED, Tokenizer
from cortex.words import words


def lookup(node: Node, store: Path) -> Prepared | None:
    """The data set as prepared before, or None. Reads no text but to hash a changed file; CorpusError as `fingerprint`."""
    return find(fingerprint(node, store), store)


def prepare(node: Node, store: Path, progress: Progress = lambda what, share: None) -> Prepared:
    """The data set of this source node, from the store or made now.

    Raises:
        CorpusError: the text cannot be had or cannot be used; nothing is left in the store.
    """
    found = lookup(node, store)
    if found:
        return found
    with full_disk_told(store):
        return _prepare(node, store, progress)


def _prepare(node: Node, store: Path, progress: Progress) -> Prepared:
    source = source_of(node)
    store.mkdir(parents=True, exist_ok=True)
    for pin in source.pins():
        source.pin(pin, kept_commit(pin, store, progress))
    name = fingerprint_of(node, source)
    lock = store / f"{name}.lock"
    with locked(lock, lambda: progress("waiting for another process that prepares the same text", None)):
        found = find(name, store)
        if found:
            return found
        for leftover in store.glob(f"{name}.tmp-*"):  # of a killed process: we hold its lock
            shutil.rmtree(leftover)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}.tmp-", dir=store))
        try:
            _write(node, source, name, folder, progress)
            os.replace(folder, store / name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)
            raise
    sweep(store)
    return find(name, store)


def _write(node: Node, source: TextSource, name: str, folder: Path, progress: Progress) -> None:
    source.fetch(progress)
    # Before anything long is done for nothing: one line of 100 MB has nothing to validate on.
    _check_lengths(node, {split: {"tokens": any(source.blocks(split))} for split in SPLITS[:2]})
    blocks = _heard(source, "train", lambda share: progress("learning the vocabulary", share))
    tokenizer = learn_tokenizer(source, blocks)
    _check_vocabulary(node, tokenizer, source)
    try:
        tokenizer.save(folder / "tokenizer.json")
    except Exception as error:  # the library raises plain Exception for a full disk
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error), str(folder / "tokenizer.json")) from None
    names, unseen = label_names(source)
    splits = {}
    for split in SPLITS:
        if source.task != "Text":
            heard = lambda rows, split=split: progress(f"tokenising {split}, {rows:,} rows", None)  # noqa: E731
            splits[split] = write_rows(source, split, tokenizer, names, folder, heard)
            continue
        blocks = _heard(source, split, lambda share, split=split: progress(f"tokenising {split}", share))
        splits[split] = _write_split(blocks, split != "train", tokenizer, folder / f"{split}.bin")
    _check_lengths(node, splits)
    if fingerprint_of(node, source) != name:
        raise CorpusError(f"{node.id}: the text changed while it was read; start again")
    meta = {
        "version": FORMAT_VERSION,
        "fingerprint": name,
        "kind": node.kind,
        "title": source.title(),
        "revision": source.revision(),
        "tokenizer": tokenizer.kind,
        "tokenizer_of": source.tokenizer_identity(),
        "end": tokenizer.end,
        "vocab_size": tokenizer.vocab_size,
        "dtype": id_type(tokenizer.vocab_size).name,
        "settings": complete(KINDS[node.kind].params, node.params),
        "task": source.task,
        "labels": names,
        "unseen_labels": unseen,
        "splits": splits,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    made = Prepared(folder, meta)
    references(made, lambda share: progress("counting pairs of tokens", share))
    words(made)


def _heard(source: TextSource, split: str, on_block: Callable[[float | None], None]) -> Iterator[str]:
    """The blocks of a split; the callback hears the share that is done, and can end the work by raising."""
    done, whole = 0, source.expected_bytes(split)
    for block in source.blocks(split):
        on_block(min(1.0, done / whole) if whole else None)
        done += len(block) if block.isascii() else len(block.encode())
        yield block


def _write_split(blocks: Iterator[str], held_out: bool, tokenizer: Tokenizer, path: Path) -> dict[str, Any]:
    counts = {"tokens": -1, "bytes": 0, "unknown": 0, "lossless": held_out}  # the first <eos> is not predicted
    with open(path, "wb") as file:
        for text, ids in encoded(blocks, tokenizer):
            file.write(ids.tobytes())
            counts["tokens"] += len(ids)
            counts["bytes"] += len(text.encode())
            counts["unknown"] += int((ids == tokenizer.unk).sum()) if tokenizer.unk is not None else 0
            # Only held-out text is scored in bits per byte, so only there the round trip is worth its time.
            counts["lossless"] = counts["lossless"] and (not text or tokenizer.decode(ids.tolist()) == text)
    return counts


def _check_vocabulary(node: Node, tokenizer: Tokenizer, source: TextSource) -> None:
    if source.tokenizer not in TRAINED or tokenizer.vocab_size > 2:  # more than <eos> and <unk>
        return
    often = f" that occurs at least min_frequency={source.min_frequency} times" if source.tokenizer == "word" else ""
    raise CorpusError(f"{node.id}: the training text has no {source.tokenizer}{often}; expected a longer text")


def _check_lengths(node: Node, splits: dict[str, dict[str, Any]]) -> None:
    if splits["train"].get("rows", 1) and not splits["validation"].get("rows", 1):
        raise CorpusError(f"{node.id}: the file that validates has no rows")
    if not splits["train"]["tokens"]:
        raise CorpusError(f"{node.id}: the training text has no tokens, expected a text of several lines")
    if not splits["validation"]["tokens"]:
        raise CorpusError(
            f"{node.id}: the validation part of the text has no line of its own; expected a text of several lines, a larger "
            "share for validation, or a file of its own for it"
        )


def read_through(node: Node) -> None:
    """Read the source's text once and keep nothing; CorpusError when it cannot be used. What is on the hub stays there."""
    source = source_of(node)
    if source.task != "Text":
        label_names(source)
        for split in SPLITS:
            for _ in source.rows(split):
                pass
    elif not source.remote:
        counts = {split: sum(block.count("\n") + (block[-1:] != "\n") for block in source.blocks(split)) for split in SPLITS}
        _check_lengths(node, {split: {"tokens": count} for split, count in counts.items()})


def validation_share(prepared: Prepared, seq_len: int, batch_size: int) -> tuple[int, int]:
    """How much a validation reads, and a training step of so many sequences: in tokens, or in rows of a task."""
    if prepared.task == "Text":
        return prepared.count("validation"), batch_size * seq_len
    return prepared.row_count("validation"), batch_size


def cut_rows(prepared: Prepared, seq_len: int) -> dict[str, int]:
    """How many rows of each split are longer than `seq_len` tokens and are cut; none of running text."""
    if prepared.task == "Text":
        return {}
    return {split: found for split in SPLITS if (found := prepared.rows(split).longer_than(seq_len))}


def too_short(node: Node, prepared: Prepared) -> str | None:
    """The fault of a training text with less than one block of `seq_len` tokens; None when there is one, and for rows."""
    if prepared.task != "Text":
        return None
    seq_len, tokens = source_of(node).seq_len, prepared.count("train")
    if tokens >= seq_len:
        return None
    return f"the training text has {tokens:,} tokens, less than seq_len={seq_len}"

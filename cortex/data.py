"""From a source node to token arrays on disk, made once, found again by a fingerprint of all that decides them.

A store is a folder of `train.bin`, `validation.bin`, `test.bin` (flat arrays, each beginning with one `<eos>`, so that
every token of the split is predicted exactly once), `tokenizer.json` and `meta.json`. It is written under a temporary
name and renamed, so it exists whole or not at all; a lock makes a second process wait for the first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cortex.sources
import cortex.sources_hub  # noqa: F401  the two fill the registry
from cortex.corpus import SPLITS, CorpusError
from cortex.encode import Progress, TextSource, encoded, id_type, learn_tokenizer
from cortex.encode_rows import label_names
from cortex.files import named
from cortex.graph import Graph, Node
from cortex.hub import Pin, commit_of
from cortex.params import complete
from cortex.places import to_json, write_atomically
from cortex.registry import KINDS
from cortex.row_store import write_rows
from cortex.source_params import BATCH_PARAMS, PLACE_PARAMS
from cortex.store import Prepared, find, locked, sweep
from cortex.tokenizer import TRAINED, Tokenizer

FORMAT_VERSION = 2

# The data of the examples, which comes with the application.
EXAMPLES = "examples/data/"
_PROJECT = Path(__file__).parents[1]


def source_node(graph: Graph) -> Node | None:
    """The graph's source, None unless there is exactly one."""
    found = [node for node in graph.nodes if node.kind in KINDS and KINDS[node.kind].role == "source"]
    return found[0] if len(found) == 1 else None


def source_of(node: Node) -> TextSource:
    """The source object of a node whose parameters are sound."""
    kind = KINDS[node.kind]
    values = complete(kind.params, node.params)
    return kind.cls(**{name: _beside_us(value) if name in PLACE_PARAMS else value for name, value in values.items()})


def _beside_us(setting: str) -> str:
    """The paths of a setting; one of ours, as the examples have it, is found wherever the application is started."""
    return "\n".join(_ours(path) for path in named(setting)) if isinstance(setting, str) and EXAMPLES in setting else setting


def _ours(path: str) -> str:
    return str(_PROJECT / path) if path.startswith(EXAMPLES) and not os.path.exists(path) else path


def placed(path: str) -> str:
    """Where the files of a setting lie, from wherever they are named."""
    return "\n".join(map(os.path.abspath, named(_beside_us(path))))


def fingerprint(node: Node, store: Path | None = None) -> str:
    """32 hex digits that stand for the tokens this node gives; CorpusError when its text cannot be had.

    Nothing is asked over the network: what a branch of the hub stands for is in the store once it has been asked there. As
    long as it has not, the digits stand for no prepared set.
    """
    source = source_of(node)
    if store:
        for pin in source.pins():
            commit = _pinned(pin, store)
            if commit:
                source.pin(pin, commit)
    return _fingerprint(node, source)


def _fingerprint(node: Node, source: TextSource) -> str:
    kind = KINDS[node.kind]
    values = complete(kind.params, node.params)
    ours = {key: value for key, value in values.items() if key not in BATCH_PARAMS and key not in PLACE_PARAMS}
    settings = {key: value for key, value in ours.items() if kind.params[key].applies(values)}
    # What the branch of a data set or a tokenizer stands for is in its revision.
    settings = {key: value for key, value in settings.items() if key not in ("revision", "tokenizer_revision")}
    files = source.paths()
    identity = _file_identity(json.dumps(values), tuple(map(_stamp, files)), source) if files else _identity(source)
    facts = {"version": FORMAT_VERSION, "kind": node.kind, "revision": identity, "settings": settings}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _identity(source: TextSource) -> list[str]:
    return [source.revision(), source.tokenizer_identity()]


_identities: dict[tuple[Any, ...], list[str]] = {}


def _file_identity(settings: str, stamps: tuple[tuple[str, int, int], ...], source: TextSource) -> list[str]:
    """The identity of a source that reads files; they are read once as long as none of them changes."""
    key = (settings, stamps, source.tokenizer_revision)
    if key not in _identities:
        if len(_identities) > 64:
            _identities.clear()
        _identities[key] = _identity(source)
    return _identities[key]


def _stamp(path: str) -> tuple[str, int, int]:
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        return path, 0, 0
    return path, stat.st_size, stat.st_mtime_ns


def _pin_file(pin: Pin, store: Path) -> Path:
    return store / f"{hashlib.sha256(json.dumps(pin).encode()).hexdigest()[:32]}.pin"


def _pinned(pin: Pin, store: Path) -> str | None:
    """The commit that a branch had when it was first used with this store."""
    try:
        return json.loads(_pin_file(pin, store).read_text())["commit"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def text_size(node: Node) -> int | None:
    """Bytes of the text that preparing would read; None when the kind does not say beforehand."""
    try:
        return sum(_stamp(path)[1] for path in source_of(node).paths()) or None
    except (CorpusError, OSError, ValueError):
        return None


def is_remote(node: Node) -> bool:
    """Whether preparing asks the hub for something."""
    source = source_of(node)
    return source.remote or source.tokenizer == "hub"


def outside(node: Node, folders: list[Path]) -> str | None:
    """The fault of a source that would read a file that lies in none of these folders; None when it may be read."""
    kind = KINDS[node.kind]
    values = complete(kind.params, node.params)
    if any(not isinstance(values.get(name, ""), str) for name in PLACE_PARAMS):
        return None  # which is a fault of its own
    source = source_of(node)
    folders = [*folders, _PROJECT / EXAMPLES]
    fault = _first_outside(source.named_paths(), folders)
    if fault:  # before anything is looked at that may not be
        return fault
    try:
        return _first_outside(source.paths(), folders)  # behind links, and in folders
    except (CorpusError, OSError, ValueError):
        return None  # which is a fault of its own


def _first_outside(paths: list[str], folders: list[Path]) -> str | None:
    for path in paths:
        try:
            real = Path(path).resolve()
        except (OSError, ValueError):
            return f"path={path!r} is not a file name"
        if not any(real.is_relative_to(folder.resolve()) for folder in folders):
            return f"path={path!r} is outside the folders that this app may read; upload the file instead"
    return None


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
    source = source_of(node)
    store.mkdir(parents=True, exist_ok=True)
    for pin in source.pins():
        source.pin(pin, _pin(pin, store, progress))
    name = _fingerprint(node, source)
    with locked(store / f"{name}.lock", lambda: progress("waiting for another process that prepares the same text", None)):
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
            raise
    sweep(store)
    return find(name, store)


def _pin(pin: Pin, store: Path, progress: Progress) -> str:
    commit = _pinned(pin, store)
    if commit is None:
        progress(f"asking the hub what {pin.revision} of {pin.id} is", None)
        commit = commit_of(pin, "id" if pin.kind == "dataset" else "tokenizer_id")
        if not Pin(pin.kind, pin.id, commit).moves():
            write_atomically(_pin_file(pin, store), to_json({**pin._asdict(), "commit": commit}))
    return commit


def _write(node: Node, source: TextSource, name: str, folder: Path, progress: Progress) -> None:
    source.fetch(progress)
    blocks = _heard(source, "train", lambda share: progress("learning the vocabulary", share))
    tokenizer = learn_tokenizer(source, blocks)
    _check_vocabulary(node, tokenizer, source)
    try:
        tokenizer.save(folder / "tokenizer.json")
    except Exception as error:  # the library raises plain Exception for a full disk
        raise OSError(f"{folder / 'tokenizer.json'} cannot be written: {error}") from None
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
    if _fingerprint(node, source) != name:
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
            f"{node.id}: the validation part of the text has no line of its own; "
            "expected a text of several lines, or a larger share for validation"
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

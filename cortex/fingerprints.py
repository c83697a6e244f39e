"""What stands for the tokens that a source gives: settings, files as they are, and commits of the hub.

What a branch of the hub stands for is asked once and kept in the store, so that a prepared set is found without a network.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from cortex.corpus import CorpusError
from cortex.encode import Progress, TextSource
from cortex.graph import Node
from cortex.graph_source import source_of
from cortex.hub import Pin, commit_of
from cortex.params import complete
from cortex.places import to_json, write_atomically
from cortex.registry import KINDS
from cortex.source_params import BATCH_PARAMS, PLACE_PARAMS

FORMAT_VERSION = 2


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
    return fingerprint_of(node, source)


def fingerprint_of(node: Node, source: TextSource) -> str:
    """The same, of a source that has been told its commits of the hub."""
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


def kept_commit(pin: Pin, store: Path, progress: Progress) -> str:
    """The commit that a branch stands for in this store; the hub is asked the first time. CorpusError where it cannot be."""
    commit = _pinned(pin, store)
    if commit is None:
        progress(f"asking the hub what {pin.revision} of {pin.id} is", None)
        commit = commit_of(pin, "id" if pin.kind == "dataset" else "tokenizer_id")
        if not Pin(pin.kind, pin.id, commit).moves():
            write_atomically(_pin_file(pin, store), to_json({**pin._asdict(), "commit": commit}))
    return commit

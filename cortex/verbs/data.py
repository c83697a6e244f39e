"""The verbs of the store of prepared texts: list, prepare, show, remove."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex.report import print_json, print_table
from cortex.runs import ACTIVE, Run, RunError, list_runs
from cortex.units import count, size
from cortex.verbs.common import OK, Told, UserError, load_source, places_of, prepared_for

if TYPE_CHECKING:
    from cortex.store import Prepared


def list_sets(arguments: argparse.Namespace) -> int:
    """List the prepared texts."""
    from cortex import store

    where = places_of(arguments)
    rows = [_row(name, _found(name, where.store), where.store, where.runs) for name in store.names(where.store)]
    if arguments.json:
        for row in rows:
            print_json(row)
        return OK
    if not rows:
        print(f"no prepared texts in {where.store}; python -m cortex data prepare --preset small makes one")
        return OK
    print_table(
        ["name", "source", "tokenizer", "training tokens", "vocabulary", "on disk", "runs"],
        [
            [row["name"][:12], row["source"], row["tokenizer"], count(row["tokens"]), count(row["vocabulary"]),
             size(row["bytes_on_disk"]), str(len(row["runs"]))]
            for row in rows
        ],
    )  # fmt: skip
    print(f"together {size(sum(row['bytes_on_disk'] for row in rows))} in {where.store}")
    return OK


def prepare(arguments: argparse.Namespace) -> int:
    """Fetch and tokenise the text of a graph."""
    node = load_source(arguments)
    began = time.monotonic()
    prepared = prepared_for(node, places_of(arguments), Told(True, arguments.json))
    if arguments.json:
        print_json({"event": "prepared", **prepared.meta, "seconds": round(time.monotonic() - began, 3)})
        return OK
    end = "" if prepared.meta["tokenizer"] != "other" else f"; {prepared.meta['end']!r} stands for the end of a text"
    sizes = f"vocabulary {prepared.vocab_size:,}, {prepared.count('train'):,} training tokens"
    print(f"{prepared.title()}: {sizes}, in {prepared.path}{end}")
    return OK


def show(arguments: argparse.Namespace) -> int:
    """Everything known of a prepared text."""
    where = places_of(arguments)
    name = _named(arguments.name, where.store)
    prepared = _found(name, where.store)
    row = _row(name, prepared, where.store, where.runs)
    if arguments.json:
        print_json({**row, **(prepared.meta if prepared else {})})
        return OK
    if prepared is None:
        raise UserError(f"{name}: damaged; data remove {name[:12]} takes it away")
    meta = prepared.meta
    for label, value in (
        ("name", name), ("source", prepared.title()), ("text", meta["revision"]), ("tokenizer", row["tokenizer"]),
        ("vocabulary", f"{prepared.vocab_size:,}"), ("token numbers", meta["dtype"]), ("on disk", size(row["bytes_on_disk"])),
        ("folder", prepared.path), ("runs", ", ".join(row["runs"]) or "none"),
    ):  # fmt: skip
        print(f"{label:14} {value}")
    print_table(
        ["split", "tokens", "text", "<unk>", "bits per byte"],
        [
            [split, f"{found['tokens']:,}", size(found["bytes"]), f"{found['unknown']:,}",
             "honest" if prepared.honest_bytes(split) else "–"]
            for split, found in meta["splits"].items()
        ],
    )  # fmt: skip
    return OK


def remove(arguments: argparse.Namespace) -> int:
    """Take a prepared text off the disk."""
    from cortex import store
    from cortex.corpus import CorpusError

    where = places_of(arguments)
    name = _named(arguments.name, where.store)
    busy = [run.id for run in _users(name, where.runs) if run.state() in ACTIVE]
    if busy:
        raise UserError(f"{name[:12]}: run {busy[0]} is going on with it; stop it first")
    prepared = _found(name, where.store)
    try:
        freed = store.remove(name, where.store)
        store.sweep(where.store)
    except CorpusError as error:
        raise UserError(f"{name[:12]}: {error}") from None
    print(f"removed {prepared.title() if prepared else name[:12]}, freed {size(freed)}; it is prepared again when it is needed")
    return OK


def _named(asked: str, where: Path) -> str:
    """The one set that is meant."""
    from cortex import store

    known = store.names(where)
    found = [name for name in known if name.startswith(asked)] if asked else []
    if not found:
        titles = {name: prepared.title() for name in known if (prepared := _found(name, where))}
        found = [name for name, title in titles.items() if title.split()[0] == asked or title == asked]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(name[:12] for name in found or known) or "none"
    what = f"{len(found)} prepared texts are meant" if found else "there is no prepared text of this name"
    raise UserError(f"{asked}: {what}; expected one of {listed}")


def _found(name: str, where: Path) -> Prepared | None:
    from cortex import store
    from cortex.corpus import CorpusError

    try:
        return store.find(name, where)
    except CorpusError:
        return None


def _row(name: str, prepared: Prepared | None, where: Path, runs: Path) -> dict[str, Any]:
    folder = where / name
    meta = prepared.meta if prepared else {}
    other = (meta.get("tokenizer_of") or "").split(" ")[0]
    return {
        "name": name,
        "source": prepared.title() if prepared else "damaged",
        "tokenizer": f"file {meta['tokenizer_of'][7:19]}" if other == "sha256" else other or meta.get("tokenizer"),
        "tokens": prepared.count("train") if prepared else None,
        "vocabulary": prepared.vocab_size if prepared else None,
        "bytes_on_disk": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "runs": [run.id for run in _users(name, runs)],
    }


def _users(name: str, runs: Path) -> list[Run]:
    found = []
    for run in list_runs(runs):
        try:
            if run.record()["data"].get("fingerprint") == name:
                found.append(run)
        except RunError:
            continue
    return found

"""Graphs that are being edited, one file each, written at every change; two editors of one document never lose a change."""

from __future__ import annotations

import contextlib
import fcntl
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from cortex import history
from cortex.graph import Graph, GraphError, from_json, to_json
from cortex.places import write_atomically
from cortex.steps import step_name


class DocumentError(ValueError):
    """No such document."""


def create(folder: Path, graph: Graph, *, like: str | None = None) -> str:
    """Keep a new document; the id that names it from now on comes out.

    Args:
        like: the document that it goes on from, whose edits can be undone here too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = secrets.token_hex(6)
    path = path_of(folder, name)
    if like and _steps(path_of(folder, like)).is_dir():
        shutil.copytree(_steps(path_of(folder, like)), _steps(path))
    write_atomically(path, to_json(graph))
    return name


def load(folder: Path, name: str) -> Graph:
    """The document as last saved. DocumentError when there is none that can be read, GraphError when its file is damaged."""
    path = path_of(folder, name)
    try:
        return from_json(path.read_text(encoding="utf-8"), f"document {name}")
    except FileNotFoundError:
        raise DocumentError(f"document {name}: there is none of this id") from None
    except UnicodeDecodeError:
        raise GraphError([f"document {name}: not UTF-8, expected a graph document as JSON"]) from None
    except OSError as error:
        raise DocumentError(f"document {name}: cannot be read: {error.strerror}") from None


def last_good(folder: Path, name: str) -> Graph | None:
    """What a document held after its last edit here, where its file is damaged or gone; None when nobody edited it."""
    return history.last(_steps(path_of(folder, name)))


def update(folder: Path, name: str, change: Callable[[Graph], Graph], *, alone: bool = False) -> Graph:
    """Apply a change to the document as it is on disk now, and keep the result.

    Another session's change made meanwhile is kept as well, since the change is made on top of it.

    Args:
        alone: the change is a step of its own, also where one of the same thing has just been made.

    Raises:
        DocumentError: there is no such document. GraphError: its file is damaged. OSError: the change cannot be written, and
        the document and its steps are as they were.
    """
    with _locked(folder, name) as path:
        before = load(folder, name)
        after = change(before)
        if to_json(after) != to_json(before):  # not the graphs: 1 and true are equal in Python
            said, about = step_name(before, after)
            number, outdated = history.record(_steps(path), before, after, said, "" if alone else about)
            try:
                write_atomically(path, to_json(after))
            except OSError:
                history.drop(_steps(path), [number])
                raise
            history.settle(_steps(path), number, outdated)
    return after


def go(folder: Path, name: str, by: int) -> Graph:
    """Undo the last edit (by -1), or make the last one that was undone again (by 1); the document's graph comes out.

    Raises:
        As `update` does.
    """
    with _locked(folder, name) as path:
        before = load(folder, name)
        after = history.go(_steps(path), before, by)
        if after != before:
            write_atomically(path, to_json(after))
    return after


@contextlib.contextmanager
def _locked(folder: Path, name: str) -> Iterator[Path]:
    """The document's file while nobody else writes it; what a process that was killed left half written is gone."""
    path = path_of(folder, name)
    if not path.exists():
        raise DocumentError(f"document {name}: there is none of this id")
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in folder.glob(f".{path.name}.*"):
            left.unlink(missing_ok=True)
        yield path


def steps(folder: Path, name: str, now: Graph) -> history.History:
    """The document's steps and where among them the graph `now` stands."""
    return history.read(_steps(path_of(folder, name)), now)


def _steps(path: Path) -> Path:
    return path.with_suffix(".history")


def stamp(folder: Path, name: str) -> tuple[int, int] | None:
    """What differs after every save; None when there is no such document."""
    try:
        found = path_of(folder, name).stat()
    except (FileNotFoundError, DocumentError):
        return None
    return found.st_mtime_ns, found.st_ino


def recent(folder: Path, most: int = 10) -> list[str]:
    """Ids of the documents, last changed first."""
    found = {path.stem: stamp(folder, path.stem) for path in folder.glob("*.json")}
    times = {name: at for name, at in found.items() if at}  # no file of another name, none deleted meanwhile
    return sorted(times, key=times.__getitem__, reverse=True)[:most]


def path_of(folder: Path, name: str) -> Path:
    """The file of a document; DocumentError for a name that no document can have."""
    if not re.fullmatch(r"[0-9a-f]{12}", name):  # the name comes from a URL
        raise DocumentError(f"document {name[:40]!r}: expected 12 digits and letters a to f")
    return folder / f"{name}.json"

"""What people say of a run after it was started: its name, a note, tags, a star, whether it is put away in the archive.

All of it is in labels.json beside run.json, which never changes. Loads no torch.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cortex.places import to_json, write_atomically

FORMAT, VERSION = "cortexnodus/labels", 1
FILE = "labels.json"
LONGEST_NAME, LONGEST_TAG, LONGEST_NOTE = 200, 40, 10_000


class LabelError(ValueError):
    """A label that cannot be kept: what was found, what was expected."""


class Folder(Protocol):
    """Whatever has the folder of a run; a Run has."""

    @property
    def path(self) -> Path: ...


@dataclass(frozen=True)
class Labels:
    """The labels of a run. `name` is None while the run has the name that it was started with.

    `problem` says what of labels.json could not be read; the labels that it concerns are as if they had not been given.
    """

    name: str | None = None
    note: str = ""
    tags: tuple[str, ...] = ()
    starred: bool = False
    archived: bool = False
    problem: str = ""


def read(run: Folder) -> Labels:
    """The labels of a run; what is damaged is passed over and named in `problem`."""
    found, problem = _load(run.path / FILE)
    problems = [problem] if problem else []
    labels: dict[str, Any] = {}
    for field in _CHECKED:
        if field not in found or (field == "name" and found[field] is None):
            continue
        try:
            labels[field] = _checked(field, found[field])
        except LabelError as error:
            problems.append(f"{FILE}: {error}")
    return Labels(**labels | {"tags": tuple(labels.get("tags", ()))}, problem="; ".join(problems))


def update(run: Folder, **changes: Any) -> Labels:
    """Change some labels and keep the others; all of them as they are now come out.

    Each label is that of its last writer: two who change different labels at once both succeed. A labels.json that cannot be
    read is kept under another name first.

    Args:
        changes: `name` (None or empty for the name it was started with), `note`, `tags`, `starred`, `archived`.

    Raises:
        LabelError: a value that is none, or a labels.json of a newer version.
    """
    checked = {field: _checked(field, value) for field, value in changes.items()}
    path = run.path / FILE
    with open(run.path / ".labels.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found, problem = _load(path)
        if isinstance(found.get("version"), int) and found["version"] > VERSION:
            raise LabelError(f"{path}: {problem}")
        if problem and path.exists():
            os.replace(path, path.with_name(f"labels-damaged-{time.time_ns()}.json"))
        kept = {**found, **checked, "format": FORMAT, "version": VERSION}
        write_atomically(path, to_json(kept))
    return read(run)


def with_tags(tags: Iterable[str], add: Iterable[str] = (), remove: Iterable[str] = ()) -> tuple[str, ...]:
    """The tags with some more and some less, each once, in the order they came."""
    gone = set(_checked("tags", list(remove)))
    return tuple(tag for tag in _checked("tags", [*tags, *add]) if tag not in gone)


def _load(path: Path) -> tuple[dict[str, Any], str]:
    """The object in the file, and what is wrong with the file as a whole; a missing file is no fault."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"{FILE} cannot be read: {_line(error)}"
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return {}, f'{FILE} is not of format "{FORMAT}"'
    if found.get("version") != VERSION:
        return found, f"{FILE} is of version {str(found.get('version'))[:20]}, expected {VERSION}"
    return found, ""


def _line(error: BaseException) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else " ".join(str(error).split())[:120]


def _name(value: Any) -> str | None:
    if value is None:
        return None
    name = " ".join(_text("name", value).split())
    if len(name) > LONGEST_NAME:
        raise LabelError(f"name of {len(name):,} characters; expected at most {LONGEST_NAME}")
    return name or None


def _note(value: Any) -> str:
    note = _text("note", value).strip()
    if len(note) > LONGEST_NOTE:
        raise LabelError(f"note of {len(note):,} characters; expected at most {LONGEST_NOTE:,}")
    return note


def _tags(value: Any) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise LabelError(f"tags: found {type(value).__name__}, expected a list of texts")
    tags = [" ".join(_text("tag", tag).split()) for tag in value]
    for tag in tags:
        if len(tag) > LONGEST_TAG or "," in tag:
            raise LabelError(f"tag {tag[:60]!r}: expected at most {LONGEST_TAG} characters and no comma")
    return list(dict.fromkeys(tag for tag in tags if tag))


def _flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise LabelError(f"{field}: found {type(value).__name__}, expected true or false")
    return value


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise LabelError(f"{field}: found {type(value).__name__}, expected text")
    return value.encode("utf-8", "replace").decode()  # half a surrogate pair can be in JSON and in no file or page


_CHECKED = {
    "name": _name,
    "note": _note,
    "tags": _tags,
    "starred": lambda value: _flag("starred", value),
    "archived": lambda value: _flag("archived", value),
}


def _checked(field: str, value: Any) -> Any:
    if field not in _CHECKED:
        raise LabelError(f"{field}: there is no such label; expected one of {', '.join(_CHECKED)}")
    return _CHECKED[field](value)

"""Graphs kept under a name: snapshots that stay as they are, however the document is edited on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cortex.graph import Graph, GraphError, from_json, to_json
from cortex.places import write_atomically


class SaveError(ValueError):
    """A name that cannot be used, or nothing kept under it."""


@dataclass(frozen=True)
class Save:
    """A kept graph: its name and when it was kept, in seconds since 1970."""

    name: str
    time: float


def keep(folder: Path, name: str, graph: Graph, *, replace: bool = False) -> None:
    """Keep a graph under a name of letters, digits, spaces, `.`, `_` and `-`.

    Raises:
        SaveError: the name cannot be a file's, or is taken and `replace` is not set.
    """
    path = _path(folder, name)
    if path.exists() and not replace:
        raise SaveError(f"{name}: there is a graph of this name; choose another, or tick Replace")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, to_json(graph.rename(name.strip())))


def kept(folder: Path) -> list[Save]:
    """What is kept, last first."""
    found = [Save(path.stem, path.stat().st_mtime) for path in folder.glob("*.json") if not path.name.startswith(".")]
    return sorted(found, key=lambda save: save.time, reverse=True)


def load(folder: Path, name: str) -> Graph:
    """The graph kept under a name; SaveError when there is none or its file is damaged."""
    try:
        return from_json(_path(folder, name).read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError):
        raise SaveError(f"{name}: nothing is kept under this name") from None
    except GraphError as error:
        raise SaveError(f"{name}: its file is damaged: {error.problems[0]}") from None


def forget(folder: Path, name: str) -> None:
    """Delete what is kept under a name."""
    _path(folder, name).unlink(missing_ok=True)


def _path(folder: Path, name: str) -> Path:
    name = name.strip()
    if not re.fullmatch(r"[\w][\w .-]{0,79}", name) or name.endswith("."):
        raise SaveError(
            f"{name[:40]!r} cannot be a name here; expected letters, digits, spaces, . _ -, a letter or digit first"
        )
    return folder / f"{name}.json"

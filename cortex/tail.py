"""The whole lines that have come to a file since the last look, however it was written on, cut back or replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_CHUNK = 2**20
_LONGEST_LINE = 2**24  # bytes; no event is longer, and a foreign file may have no line ends at all
_CONTEXT = 256  # bytes before what has been read, by which a file that was cut back and has grown again is known


class Tail:
    """The whole lines that have come to a file since the last look.

    Args:
        kept: what `state` gave before, in this process or another, to go on from.
    """

    def __init__(self, path: Path, kept: Mapping[str, Any] | None = None) -> None:
        self._path = path
        self._inode = self._size = self._changed = self._offset = 0
        self._context = b""
        if kept:
            self._inode, self._size, self._changed, self._offset = (kept[key] for key in ("inode", "size", "changed", "offset"))
            self._context = bytes.fromhex(kept["context"])

    @property
    def state(self) -> dict[str, Any]:
        """Which file was read and how far, as plain data."""
        places = {"inode": self._inode, "size": self._size, "changed": self._changed, "offset": self._offset}
        return {**places, "context": self._context.hex()}

    @property
    def torn(self) -> bool:
        """Whether what was read last ended within a line."""
        return self._offset < self._size

    def read(self) -> tuple[bool, Iterator[list[bytes]]]:
        """Whether the file is another one or was changed, so that what was read before no longer counts; and the lines.

        The lines come a megabyte at a time, in lists, all of which have to be taken.
        """
        again, blocks = self.blocks()
        return again, (block[:-1].split(b"\n") for block in blocks)

    def blocks(self) -> tuple[bool, Iterator[bytes]]:
        """The same, the lines of a megabyte in one, each with its end."""
        try:
            found = os.stat(self._path)
            if not stat.S_ISREG(found.st_mode):  # a pipe would let its reader wait for ever
                raise FileNotFoundError
        except OSError:
            known, self._inode, self._size, self._offset, self._context = self._inode, 0, 0, 0, b""
            return bool(known), iter(())
        mark = found.st_ino, found.st_size, found.st_mtime_ns
        if mark == (self._inode, self._size, self._changed):
            return False, iter(())
        again = found.st_ino != self._inode or found.st_size <= self._size or not self._goes_on()
        if again:
            self._offset, self._context = 0, b""
        self._inode, self._size, self._changed = mark
        return again, self._blocks()

    def _goes_on(self) -> bool:
        """Whether the file still has what was read last where it was."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset - len(self._context))
                return file.read(len(self._context)) == self._context
        except OSError:
            return False

    def _blocks(self) -> Iterator[bytes]:
        """Up to the size that the file had when it was looked at: what comes while it is read is for the next look."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                rest, left = b"", self._size - self._offset
                while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                    left -= len(chunk)
                    chunk = rest + chunk
                    whole = chunk.rfind(b"\n") + 1
                    block, rest = chunk[:whole], chunk[whole:]
                    if block:
                        self._offset += whole
                        self._context = block[-_CONTEXT:]
                        yield block
                    if len(rest) > _LONGEST_LINE:  # no event; what ends it later is no whole line, and is passed over
                        self._offset += len(rest)
                        rest, self._context = b"", b""
        except OSError:
            self._changed = 0  # the next look begins again

"""The words and characters of a text as numbers, at the speed of numpy and pyarrow. Importable alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import numpy as np

LINE_END = "\n"
CODE_POINTS = 0x110000

# What str.split takes for white space besides what pieces are cut at below; a test compares the two over all of Unicode.
_OTHER_SPACE = re.compile("[\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_SLICE = 2**18  # bytes: what is made of a slice stays in the cache, and in memory that the allocator does not give back
_MOST_KNOWN = 2**18


class WordNumbers:
    """Turns texts into the numbers of their words.

    Args:
        number_of: the number of a word, or of LINE_END, from 0 on; asked once for a word, or again after very many others.
    """

    def __init__(self, number_of: Callable[[str], int]) -> None:
        self._number_of = number_of
        self._known: dict[bytes, int] = {}

    def __call__(self, text: str) -> np.ndarray:
        """Of each word at white space, as `str.split` finds them, and of each line's end: the number, (N,) of int32."""
        pieces, codes = _pieces(text.encode())
        numbers = np.fromiter(map(self._known.get, pieces, itertools.repeat(-1)), np.int32, len(pieces))
        unknown = np.flatnonzero(numbers < 0)
        if len(unknown):
            new = [pieces[place] for place in unknown]
            joined = b" ".join(new).decode()
            if _OTHER_SPACE.search(joined):
                return self(_OTHER_SPACE.sub(" ", text))
            words = joined.split()
            for place in [place for place, piece in enumerate(new) if piece[0] == 10]:
                words.insert(place, LINE_END)
            found = list(map(self._number_of, words))
            numbers[unknown] = found
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known.update(zip(new, found, strict=True))
        return numbers[codes]

    def forget(self) -> None:
        """Forget the words seen so far; only a measurement needs that."""
        self._known.clear()


def _pieces(raw: bytes) -> tuple[list[bytes], np.ndarray]:
    """The different pieces of a text, and which of them it consists of, (N,): a word or a line's end, and what white space of
    ASCII follows. White space before the first word is left out."""
    import pyarrow

    octets = np.frombuffer(raw, np.uint8)
    starts = [_starts(octets, low) for low in range(0, len(octets), _SLICE)]
    marks = np.concatenate([*starts, np.array([len(octets)], np.int32)])
    # Pieces lie end to end, as pyarrow wants them, and nothing is copied.
    buffers = [None, pyarrow.py_buffer(marks), pyarrow.py_buffer(raw)]
    found = pyarrow.Array.from_buffers(pyarrow.binary(), len(marks) - 1, buffers).dictionary_encode()
    return found.dictionary.to_pylist(), found.indices.to_numpy()


def _starts(octets: np.ndarray, low: int) -> np.ndarray:
    """Where pieces start in a slice of a text, (N,) of int32: at line feeds, and at what follows white space and is none."""
    here = octets[max(0, low - 1) : low + _SLICE]
    if low == 0:
        here = np.concatenate([np.array([32], np.uint8), here])
    space = (here - np.uint8(9)) < 5  # \t \n \v \f \r; what is below 9 wraps around
    space |= here == 32
    starts = space[:-1] > space[1:]
    starts |= here[1:] == 10
    found = np.flatnonzero(starts)
    found += low
    return found.astype(np.int32)


def code_points(text: str) -> np.ndarray:
    """The number in Unicode of each character, (N,)."""
    return np.frombuffer(text.encode("utf-32-le"), "<u4")

"""The words and characters of a text as numbers, at the speed of numpy and pyarrow. Importable alone."""

from __future__ import annotations

import re

import numpy as np

LINE_END = "\n"

# What str.split takes for white space outside ASCII; a test compares the two over all of Unicode.
_WIDE_SPACE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
CODE_POINTS = 0x110000


def word_codes(text: str) -> tuple[list[str], np.ndarray]:
    """The words of a text at white space, each line's end being a word of its own, and their numbers (N,).

    A word may stand more than once in the list, since what follows it differs; an empty one stands for white space that
    follows other white space. The words are those of `str.split`.
    """
    import pyarrow

    if not text.isascii():
        text = _WIDE_SPACE.sub(" ", text)
    if not text.endswith(LINE_END):
        text += " "
    text = text.replace("\n ", LINE_END)  # a corpus that begins every line with a space has a word less a line by this
    if text.count(" \n") != text.count(LINE_END):
        text = text.replace(LINE_END, " \n")
    raw = text.encode()
    octets = np.frombuffer(raw, np.uint8)
    space = (octets - np.uint8(9)) < 5  # \t \n \v \f \r; what is below 9 wraps around
    space |= (octets - np.uint8(28)) < 5  # \x1c to \x1f, and the space
    ends = np.flatnonzero(space)
    # Every word with the one byte that ends it: then words lie end to end, as pyarrow wants them, and nothing is copied.
    starts = np.zeros(len(ends) + 1, np.int32)
    np.add(ends, 1, out=starts[1:], casting="unsafe")
    buffers = [None, pyarrow.py_buffer(starts), pyarrow.py_buffer(raw)]
    found = pyarrow.Array.from_buffers(pyarrow.binary(), len(ends), buffers).dictionary_encode()
    words = [LINE_END if word == b"\n" else word[:-1].decode() for word in found.dictionary.to_pylist()]
    return words, found.indices.to_numpy()


def code_points(text: str) -> np.ndarray:
    """The number in Unicode of each character, (N,)."""
    return np.frombuffer(text.encode("utf-32-le"), "<u4")

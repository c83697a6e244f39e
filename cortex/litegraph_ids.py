"""Node ids out of the titles of the original, each once."""

from __future__ import annotations

import keyword
import re
import unicodedata

from cortex.checks import RESERVED
from cortex.litegraph import Box
from cortex.litegraph_names import kind_of

_LONGEST = 40


class Ids:
    """Gives ids, none of them twice."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def free(self, box: Box, prefix: str = "") -> str:
        """A name from the title, else from the kind, that no other node has."""
        kind = kind_of(box.type) or box.type.rpartition("/")[2]
        stem = _identifier(prefix + (box.title or _words(kind))) or _identifier(_words(kind)) or "node"
        candidate, number = stem, self._numbers.get(stem, 2)
        while candidate in self._taken or candidate in RESERVED:
            candidate, number = f"{stem}_{number}", number + 1
        self._numbers[stem] = number
        self._taken.add(candidate)
        return candidate


def _words(kind: str) -> str:
    """`GPT Block` for GPTBlock."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", kind)


def _identifier(title: str) -> str:
    """`gpt_block_1` for "GPT Block 1": letters and digits of any script, words joined by underscores; empty where none is."""
    text = unicodedata.normalize("NFKC", title).lower()
    text = unicodedata.normalize("NFKC", "".join(letter if letter.isalnum() else "_" for letter in text))
    stem = "_".join(filter(None, text.split("_")))[:_LONGEST].strip("_")
    if stem and not stem[0].isalpha():
        stem = f"node_{stem}"
    return stem if stem.isidentifier() and not keyword.iskeyword(stem) else ""

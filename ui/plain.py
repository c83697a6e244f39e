"""Text that shows just itself."""

from __future__ import annotations

import re

# What turns the direction of the text behind it around, also that of our own words, and what has no look.
_UNSEEN = re.compile("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")


def one_line(text: object) -> str:
    """Text of others in one line, without what would change how the text around it is shown."""
    return " ".join(_UNSEEN.sub("", str(text)).split())


def plain(text: object) -> str:
    """Text of a user, a document or an error as Markdown that shows just that text: no markup, no formula, no image, no
    link. Streamlit renders Markdown in labels and messages alike, and an image would be fetched from anywhere."""
    return re.sub(r"([\\`*_\[\](){}!<>$~:#|+&-])", r"\\\1", one_line(text))

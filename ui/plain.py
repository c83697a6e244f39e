"""Text that shows just itself."""

from __future__ import annotations

import re


def plain(text: object) -> str:
    """Text of a user, a document or an error as Markdown that shows just that text: no markup, no formula, no image, no
    link. Streamlit renders Markdown in labels and messages alike, and an image would be fetched from anywhere."""
    return re.sub(r"([\\`*_\[\](){}!<>$~:#|+&-])", r"\\\1", " ".join(str(text).split()))

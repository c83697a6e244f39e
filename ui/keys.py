"""Keys pressed on the canvas: Backspace and Delete are told at once. Those of undo and redo are in history_bar.py."""

from __future__ import annotations

from pathlib import Path

import streamlit.components.v1 as components

_keys = components.declare_component("keys", path=str(Path(__file__).parent / "keys"))


def listen() -> None:
    """Listen in the frame of the canvas that is on the page. Takes no room; to be called where a gap is not seen."""
    _keys(key="canvas.keys", default=None)

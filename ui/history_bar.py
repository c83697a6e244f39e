"""Undo and redo on the Build page, each saying what it will take back or make again."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ui import session
from ui.plain import plain
from ui.told import unheard

_KEY = "history.keys"
# Streamlit's own shortcuts also act in a field that is being written in, and not where the canvas has the keyboard.
_keys = st.components.v2.component(
    "history-keys",
    html='<div class="history-keys"></div>',
    css=".stElementContainer:has(.history-keys) {position: absolute;}",  # it takes no room
    js=(Path(__file__).parent / "history_keys.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def history_bar(undo: DeltaGenerator, redo: DeltaGenerator) -> None:
    """The two buttons in the places given, and their keys."""
    found = session.steps()
    undo.button(
        "Undo", key="history.undo", on_click=session.go, args=(-1,), disabled=not found.undo, width="stretch",
        help=_says("Undo", found.undo, "Ctrl+Z"),
    )  # fmt: skip
    redo.button(
        "Redo", key="history.redo", on_click=session.go, args=(1,), disabled=not found.redo, width="stretch",
        help=_says("Redo", found.redo, "Ctrl+Shift+Z"),
    )  # fmt: skip
    with undo:
        _keys(key=_KEY, on_pressed_change=_pressed)


def _pressed() -> None:
    for by in unheard(_KEY, st.session_state[_KEY].pressed):
        if by in (-1, 1):
            session.go(by)


def _says(what: str, step: str, keys: str) -> str:
    return plain(f"{step} ({keys})") if step else f"Nothing to {what.lower()} ({keys})"

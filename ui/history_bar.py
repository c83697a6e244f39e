"""Undo and redo on the Build page, each saying what it will take back or make again."""

from __future__ import annotations

from streamlit.delta_generator import DeltaGenerator

from ui import session
from ui.plain import plain


def history_bar(undo: DeltaGenerator, redo: DeltaGenerator) -> None:
    """The two buttons in the places given."""
    found = session.steps()
    undo.button(
        "Undo", key="history.undo", on_click=session.go, args=(-1,), disabled=not found.undo, width="stretch",
        shortcut="Ctrl+Z", help=_says("Undo", found.undo, "Ctrl+Z"),
    )  # fmt: skip
    redo.button(
        "Redo", key="history.redo", on_click=session.go, args=(1,), disabled=not found.redo, width="stretch",
        shortcut="Ctrl+Shift+Z", help=_says("Redo", found.redo, "Ctrl+Shift+Z"),
    )  # fmt: skip


def _says(what: str, step: str, keys: str) -> str:
    return plain(f"{step} ({keys})") if step else f"Nothing to {what.lower()} ({keys})"

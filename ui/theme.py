"""Colours of canvas and charts, for light and dark; the rest of the theme is in .streamlit/config.toml."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from cortex.colours import FAMILY_COLOURS, PALETTE

__all__ = ["DARK", "FAMILY_COLOURS", "LIGHT", "PALETTE", "Theme", "theme"]


@dataclass(frozen=True)
class Theme:
    """Colours of one mode."""

    dark: bool
    background: str
    card: str
    text: str
    muted: str
    line: str
    ring: str
    fault: str


LIGHT = Theme(False, "#f4f5f9", "#ffffff", "#1c2230", "#667085", "#d9dde7", "#4450b5", "#c92a2a")
DARK = Theme(True, "#161a23", "#1f2430", "#e5e8ef", "#97a1b3", "#3a4252", "#8d99ff", "#ff7b7b")


def theme() -> Theme:
    """The theme that the visitor's browser shows."""
    return DARK if st.context.theme.type == "dark" else LIGHT

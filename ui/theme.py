"""Colours of canvas and charts, for light and dark; the rest of the theme is in .streamlit/config.toml."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

# Okabe & Ito 2008: told apart with every kind of colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C00", "#7F7F7F")

FAMILY_COLOURS = {
    "source": "#0d9488",
    "embedding": "#2f7dd1",
    "attention": "#5661d8",
    "norm": "#64748b",
    "activation": "#64748b",
    "linear": "#7a6a4f",
    "sequence": "#0891b2",
    "merge": "#d08700",
    "subgraph": "#8b5cf6",
    "loss": "#d1436b",
}


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

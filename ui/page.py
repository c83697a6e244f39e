"""What every page begins with."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ui.navigation import enter_properly

_TIGHT = """
<style>
.block-container {padding: 3.9rem 2rem 2rem; max-width: 1600px;}
h1 {font-size: 1.4rem !important; padding: 0 0 0.2rem 0 !important;}
h3 {font-size: 1.1rem !important; padding: 0.3rem 0 !important;}
[data-testid="stMetricValue"] {font-size: 1.35rem; font-variant-numeric: tabular-nums;}
[data-testid="stSidebarHeader"] {height: 3.2rem; margin: 0;}
[data-testid="stSidebarUserContent"] {padding: 0 1.1rem 1rem;}
</style>
"""


def begin(title: str | None = None) -> None:
    """Spacing that suits a dense page, the logo, and the page's title."""
    enter_properly()
    st.html(_TIGHT)
    st.logo(str(Path(__file__).with_name("logo.svg")), size="large")
    if title:
        st.title(title, anchor=False)

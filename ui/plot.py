"""A plotly chart that stays in place while its data grows, so that a live chart keeps the reader's zoom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly
import plotly.graph_objects as go
import streamlit as st
import streamlit.components.v1 as components

# Only serves plotly's own script, which comes with the package; the frame loads it from there.
components.declare_component("plotlyjs", path=str(Path(plotly.__file__).parent / "package_data"))
_frame = components.declare_component("frame", path=str(Path(__file__).parent / "frame"))


def show_chart(figure: go.Figure, key: str, *, clicked: Callable[[Any], None] | None = None) -> None:
    """Draw a figure where this is called; the same key goes on in the same chart.

    Args:
        clicked: is called once for each click on a point, with that point's `customdata`, before the script runs again; a click
            on a point without reports nothing.
    """
    told = {} if clicked is None else {"on_change": lambda: _tell(key, clicked)}
    drawn = {"figure": figure.to_json(remove_uids=False), "height": figure.layout.height, "clicks": clicked is not None}
    _frame(**drawn, key=key, default=None, **told)


def _tell(key: str, clicked: Callable[[Any], None]) -> None:
    event = st.session_state.get(key)
    if isinstance(event, dict) and "data" in event:
        clicked(event["data"])

"""A plotly chart that stays in place while its data grows, so that a live chart keeps the reader's zoom."""

from __future__ import annotations

from pathlib import Path

import plotly
import plotly.graph_objects as go
import streamlit.components.v1 as components

# Only serves plotly's own script, which comes with the package; the frame loads it from there.
components.declare_component("plotlyjs", path=str(Path(plotly.__file__).parent / "package_data"))
_frame = components.declare_component("frame", path=str(Path(__file__).parent / "frame"))


def show_chart(figure: go.Figure, key: str) -> None:
    """Draw a figure where this is called; the same key goes on in the same chart."""
    _frame(figure=figure.to_json(), height=figure.layout.height, key=key, default=None)

"""What our own components tell the server, each thing once and in order.

A trigger can reach a script twice, as when a page has drawn its component anew and the old one still hears, and of two that
follow each other quickly the second can take the place of the first. So a component tells what happened in the last seconds,
each with its time, and the server takes what is later than all that it has heard.
"""

from __future__ import annotations

from typing import Any

import streamlit as st


def unheard(key: str, told: list[tuple[float, Any]] | None) -> list[Any]:
    """What the component `key` has told, pairs of time and value, and had not told before, oldest first."""
    heard = f"{key}.heard"
    last = st.session_state.get(heard, 0.0)
    new = [(time, value) for time, value in told or () if time > last]
    if new:
        st.session_state[heard] = new[-1][0]
    return [value for _, value in new]

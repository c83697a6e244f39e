"""Lines that tell what came of an action, shown by the script run that follows it."""

from __future__ import annotations

import time

import streamlit as st

from ui.plain import plain

_TOLD = "notice"  # a line to show at the next script run, and whether it tells of something done
_SHOWN = "notice_shown"  # the line that was shown last, and when first
# A page can run again by itself as soon as it is drawn; a line is shown by the runs of so many seconds.
_SECONDS = 4.0


def notify(text: str, *, done: bool = False) -> None:
    """Show a line at the next script run: that something was done, which passes, or what stands in the way, which stays."""
    st.session_state[_TOLD] = (text, done)


def waits() -> bool:
    """Whether there is a line that no script run has shown yet."""
    return _TOLD in st.session_state


def over() -> None:
    """What was shown last holds no more."""
    st.session_state.pop(_SHOWN, None)


def show() -> None:
    """Show the line that the last run left: in passing where something was done, else long enough to be seen."""
    text, done = st.session_state.pop(_TOLD, ("", False))
    if done:
        st.toast(plain(text), icon=":material/check:", duration="long")
        return
    if text:
        st.session_state[_SHOWN] = (text, time.time())
    elif time.time() - st.session_state.get(_SHOWN, ("", 0.0))[1] < _SECONDS:
        text = st.session_state[_SHOWN][0]
    if text:
        st.warning(plain(text), icon=":material/info:")

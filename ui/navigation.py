"""The pages of the app, in one list."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui import session

_ENTRY = "streamlit_app.py"


def navigation() -> StreamlitPage:
    """The navigation bar; the page that the visitor is on comes out."""
    st.session_state[session.ENTERED] = True
    return st.navigation(
        [
            # Not the name of its file: an open page that finds its server started anew would be taken to pages/build.py at
            # /build, which Streamlit's own list of pages has and this one has not: "Page not found" at the next reload.
            st.Page("pages/build.py", title="Build", icon=":material/account_tree:", url_path="home", default=True),
            st.Page("pages/data.py", title="Data", icon=":material/dataset:"),
            st.Page("pages/train.py", title="Train", icon=":material/monitoring:"),
            st.Page("pages/runs.py", title="Runs", icon=":material/table_rows:"),
            st.Page("pages/run.py", title="Run", visibility="hidden"),  # opened from a table or a chart
            st.Page("pages/sweeps.py", title="Sweeps", icon=":material/tune:"),
            st.Page("pages/generate.py", title="Generate", icon=":material/edit_note:"),
            st.Page("pages/export.py", title="Export", icon=":material/code:"),
            st.Page("pages/guide.py", title="Guide", icon=":material/menu_book:"),
        ],
        position="top",
    )


def enter_properly() -> None:
    """Run the entry file where Streamlit has passed it over: it lists pages/ by itself when the first request after a start
    names a page, until st.navigation has been called once."""
    context = get_script_run_ctx()
    alone = context is None or Path(context.main_script_path).name != _ENTRY
    if not alone and not st.session_state.get(session.ENTERED):
        navigation()
        st.rerun()

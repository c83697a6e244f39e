"""What every page begins with."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
[data-testid="stToastContainer"] {top: auto; bottom: 1rem;}
</style>
"""

_loaded: set[str] = set()  # pages that this server has shown


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Says that a page is being loaded while its imports run: the first that needs torch takes seconds, once a server. The page
    is then drawn from the start, so that nothing on it stands a place further down than at the next run."""
    if name in _loaded:
        yield
        return
    begin()
    what = "" if "torch" in sys.modules else " and torch: some seconds, once after each start of the server"
    st.info(f"Loading {name}{what}", icon=":material/hourglass_top:")
    yield
    _loaded.add(name)
    st.rerun()


@st.cache_resource(show_spinner=False)
def _spare_the_collector(with_torch: bool) -> None:
    """Take what is loaded by now out of the garbage collector's rounds, once a server before torch is loaded and once after.

    Streamlit collects all garbage after every run of a script or fragment. With torch loaded each such round looks at half a
    million objects that live as long as the server, and a page that polls would take a tenth of the machine from training.
    """
    gc.collect()
    gc.freeze()


def begin(title: str | None = None, *, bar: bool = True) -> None:
    """Spacing that suits a dense page, the logo, and the page's title.

    Args:
        bar: whether the page may have a bar at its side. Streamlit leaves the empty bar of the graph that was left on the same
            page, and in it the logo; closed, it gives the logo back. One that the visitor has closed stays closed.
    """
    enter_properly()
    st.set_page_config(initial_sidebar_state="expanded" if bar else "collapsed")
    _spare_the_collector("torch" in sys.modules)
    st.html(_TIGHT)
    st.logo(str(Path(__file__).with_name("logo.svg")), size="large")
    if title:
        st.title(title, anchor=False)

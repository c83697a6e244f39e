"""CortexNodus in the browser: `streamlit run streamlit_app.py`."""

from pathlib import Path

import streamlit as st

from ui.navigation import navigation

st.set_page_config(page_title="CortexNodus", page_icon=str(Path(__file__).parent / "ui" / "icon.svg"), layout="wide")
navigation().run()

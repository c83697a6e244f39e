"""The interface: with pages/, the only code that imports streamlit, streamlit_flow or plotly."""

from cortex.machine import share_cores

share_cores()  # before anything here loads torch

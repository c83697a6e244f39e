"""The interface: with pages/, the only code that imports streamlit, streamlit_flow or plotly."""

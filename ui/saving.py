"""Keeping a graph: as a file of one's own, or under a name here."""

from __future__ import annotations

import streamlit as st

from cortex import saves
from cortex.builder import Plan
from cortex.graph import Graph, to_json
from cortex.picture import picture
from ui import notices, session

# A picture that stands alone inherits no letters from a page.
_FONT = "system-ui, Helvetica, Arial, sans-serif"


def saving(planned: Plan) -> None:
    """What the Save button opens. The document itself is on disk at every change."""
    graph = planned.graph
    st.caption("Every change is kept on disk already. A copy under a name stays as the graph is now.")
    name = st.text_input("Name of the copy", graph.name, max_chars=80, key=f"save.name.{graph.name}")
    replace = name.strip() in [save.name for save in saves.kept(session.where().saves)]
    st.button(
        "Replace the copy" if replace else "Keep a copy", key="save.keep", on_click=_keep, args=(graph, name, replace),
        width="stretch", help=f"{name.strip()} exists and would be replaced." if replace else None,
    )  # fmt: skip
    st.download_button(
        "Download the document", lambda: to_json(graph), f"{graph.name}.json", "application/json", width="stretch",
        on_click="ignore", help="The graph with its training settings as JSON; the same file works on the command line.",
    )  # fmt: skip
    st.download_button(
        "Download a picture (SVG)", lambda: picture(graph, planned, font=_FONT), f"{graph.name}.svg", "image/svg+xml",
        width="stretch", on_click="ignore", help="The cards and edges as they lie on the canvas, for a paper or a page.",
    )  # fmt: skip


def _keep(graph: Graph, name: str, replace: bool) -> None:
    try:
        saves.keep(session.where().saves, name, graph, replace=replace)
    except saves.SaveError as error:
        notices.notify(str(error))
    except OSError as error:  # a full disk
        notices.notify(f"The copy cannot be kept: {error.strerror}, in {session.where().saves}. Make room and try again.")
    else:
        notices.notify(f"{name.strip()} is kept; the first page of Build lists it.", done=True)

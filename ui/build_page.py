"""The Build page: the gallery until there is a graph; then the bar, the canvas, the faults, and the forms beside it."""

from __future__ import annotations

import streamlit as st

from cortex import units
from cortex.builder import Plan
from cortex.edit import change_kind
from cortex.graph import Edge, Graph, Node
from cortex.graph_source import source_node
from cortex.presets import tidy
from cortex.registry import KINDS, ordered
from cortex.store import Prepared
from ui import canvas, canvas_events, forms, keys, notices, page, session, start, wiring_panel
from ui.faults import faults, hints
from ui.forecast_card import forecast_card
from ui.gallery import gallery
from ui.history_bar import history_bar
from ui.node_actions import alike, edge_actions, find_node, node_actions
from ui.palette import grouping, palette
from ui.plain import plain
from ui.recipe_panel import recipe_panel
from ui.saving import saving
from ui.theme import theme

_BAR = "build-bar"
# In a narrow window the buttons go on in a second row; in one row their words would be cut.
_NARROW = f"""<style>@media (max-width: 1240px) {{
.st-key-{_BAR} > * > [data-testid="stHorizontalBlock"] {{flex-wrap: wrap;}}
.st-key-{_BAR} > * > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] {{min-width: 13rem;}}
}}</style>"""


def show() -> None:
    """Draw the page."""
    graph = session.graph()
    if graph is None:
        gallery()
    else:
        session.keep_in_url()
        _editor(graph)


def _editor(graph: Graph) -> None:
    planned, prepared = start.look(graph, session.where(), wait=False)
    page.begin()
    notices.show()
    bar = st.container(key=_BAR)
    st.html(_NARROW)
    _canvas(planned)  # first of all, so that an edit shows on it while the rest is still being made
    if start.tried(planned) != planned:
        st.rerun()  # it sees what it is to foretell: the card has to say so
    with bar:
        _bar(planned, prepared)
    with st.sidebar:
        _sidebar(planned)
    node = source_node(graph)
    if planned.issues:
        faults(planned)  # last, since it tries out what mends them
    elif prepared is None and node is not None:
        start.prepare_data(graph, session.where())
    else:
        hints(planned, prepared)
        _sizes(planned, prepared)
        forecast_card(graph, planned, prepared)
    keys.listen()


def _bar(planned: Plan, prepared: Prepared | None) -> None:
    name, back, add, tools, train = st.columns([100, 150, 232, 240, 162], gap="xsmall", vertical_alignment="bottom")
    graph = planned.graph
    with name:
        key = forms.synced_key("build.name", graph.name)
        longest = max(80, len(graph.name))  # a field that is too short for what it shows cuts it
        st.text_input("Name", graph.name, key=key, max_chars=longest, on_change=_rename, args=(key,))
    with back:
        history_bar(*st.columns(2, gap="xsmall"))
    with add:
        one, several = st.columns([1.25, 1], gap="xsmall")
        with one.popover("Add a node", width="stretch"):
            palette(graph)
        with several.popover("Group", width="stretch", help="Make one card of several nodes."):
            grouping(graph)
    with tools:
        one, two, three = st.columns([1, 1.25, 1], gap="xsmall")
        one.button("Tidy", on_click=lambda: session.edit(tidy), width="stretch", help="Lay the nodes out in reading order.")
        with two.popover("Save", width="stretch"):
            saving(planned)
        three.button("New", on_click=session.close, width="stretch", help="Back to the presets. This graph stays on disk.")
    with train:
        ready = not planned.issues and prepared is not None
        if st.button(
            plain(f"Train {graph.name}"), type="primary", width="stretch", disabled=not ready, icon=":material/play_arrow:"
        ):
            run = start.start_run(graph, prepared, session.where())
            st.session_state[session.RUN] = run.id
            st.switch_page("pages/train.py")


def _rename(key: str) -> None:
    name = st.session_state[key].strip()
    if name and forms.edited("build.name", key):
        session.edit(lambda graph: graph.rename(name))


@st.fragment
def _canvas(planned: Plan) -> None:
    graph = session.graph() or planned.graph
    if graph != planned.graph:  # an event of the canvas ran this alone, and it or another tab has changed the graph
        planned, _ = start.look(graph, session.where(), wait=False)
    memory = session.canvas()
    changes = canvas.draw(planned, memory, session.selected(), theme())
    before = (session.selected(), session.selected_edge())
    if changes.structural or changes.moved:
        full = [ends for ends in changes.connected if all(name in graph for name in ends)]
        full = [ends for ends in full if not canvas_events.port_of_drawn(graph, *ends)]
        session.edit(lambda graph: canvas_events.take(graph, changes, memory))
        for source, target in full:
            notices.notify(f"Nothing is drawn: {source} feeds {target} already, and no port of {target} is free.")
    if changes.selected or changes.selected_edge or changes.deselected:
        session.select(changes.selected, changes.selected_edge)
    told = notices.waits()  # the edit could not be kept
    if changes.structural or changes.stale or told or (session.selected(), session.selected_edge()) != before:
        st.rerun()


def _sizes(planned: Plan, prepared: Prepared | None) -> None:
    graph = planned.graph
    st.caption(
        f"Vocabulary {prepared.vocab_size:,}, {units.count(prepared.count('train'))} training tokens, "
        f"{units.count(prepared.count('validation'))} to validate. "
        f"Training takes {start.cost(graph, prepared, planned.total, session.where())}."
    )


def _sidebar(planned: Plan) -> None:
    graph = planned.graph
    node_id, edge = session.selected(), session.selected_edge()
    find_node(graph)
    if node_id and node_id in graph:
        _node_panel(planned, graph.node(node_id))
    elif edge:
        _edge_panel(graph, edge)
    else:
        st.caption("Click a node on the canvas to see its settings. Draw an edge from one card's dot to another's.")
    with st.expander("Model", expanded=node_id is None, icon=":material/stacks:"):
        st.caption("Changes the whole chain at once.")
        forms.model_form(graph)
    loss = node_id in graph and KINDS.get(graph.node(node_id).kind) and KINDS[graph.node(node_id).kind].role == "loss"
    with st.expander("Training", expanded=bool(loss), icon=":material/tune:"):
        recipe_panel(graph)
        forms.training_form(planned)


def _node_panel(planned: Plan, node: Node) -> None:
    kind = KINDS.get(node.kind)
    st.subheader(plain(f"{node.kind} · {node.id}"), anchor=False)
    if kind is None:
        st.error(plain(f"There is no node kind {node.kind}."))
        node_actions(planned.graph, node)
    else:
        st.caption(kind.help)
        node_actions(planned.graph, node)
        if node.note:
            st.info(plain(node.note), icon=":material/sticky_note_2:")
        if kind.role == "source":
            _source_kind(node)
        alike(planned.graph, node)
        if kind.role == "subgraph":
            wiring_panel.card(planned.graph, node)
        forms.node_form(planned, node)
        wiring_panel.ports(planned.graph, node)
    st.button("Close", key="node.close", on_click=session.select, args=(None,), width="stretch")


def _source_kind(node: Node) -> None:
    """A choice of the text: another source in the place of this one."""
    field = f"kind.{node.id}"
    key = forms.synced_key(field, node.kind)
    sources = [kind.name for kind in ordered() if kind.role == "source"]
    st.selectbox(
        "Text to learn from", sources, sources.index(node.kind), key=key, on_change=_change_source, args=(node.id, field, key)
    )


def _change_source(node_id: str, field: str, key: str) -> None:
    if forms.edited(field, key):
        kind = st.session_state[key]
        session.edit(lambda graph: change_kind(graph, node_id, kind) if node_id in graph else graph)


def _edge_panel(graph: Graph, edge: tuple[str, str, str]) -> None:
    source, target, port = edge
    st.subheader(plain(f"{source} → {target}"), anchor=False)
    st.caption(plain(f"The output of {source} goes into the port {port} of {target}."))
    if target in graph and graph.node(target).kind in KINDS:
        wiring_panel.port_of_edge(graph, edge)
    edge_actions(graph, edge)
    left, right = st.columns(2)
    left.button("Delete", on_click=_disconnect, args=(edge,), width="stretch", icon=":material/delete:")
    right.button("Close", key="edge.close", on_click=session.select, args=(None,), width="stretch")


def _disconnect(edge: tuple[str, str, str]) -> None:
    session.edit(lambda graph: graph.disconnect(Edge(*edge)))
    session.select(None)

"""The Build page: the gallery until there is a graph; then the bar, the canvas, the faults, and the forms beside it."""

from __future__ import annotations

import streamlit as st

from cortex import units
from cortex.builder import Plan
from cortex.data import Prepared, source_node
from cortex.edit import change_kind
from cortex.graph import Edge, Graph, Node
from cortex.presets import tidy
from cortex.registry import KINDS, ordered
from cortex.rework import stem
from ui import canvas, forms, page, session, start
from ui.faults import faults, hints
from ui.forecast_card import forecast_card
from ui.gallery import gallery
from ui.history_bar import history_bar
from ui.node_actions import alike, edge_actions, find_node, node_actions
from ui.plain import plain
from ui.recipe_panel import recipe_panel
from ui.saving import saving
from ui.theme import theme


def show() -> None:
    """Draw the page."""
    graph = session.graph()
    if graph is None:
        gallery()
    else:
        session.keep_in_url()
        _editor(graph)


def _editor(graph: Graph) -> None:
    planned, prepared = start.look(graph, session.where())
    page.begin()
    session.show_notice()
    _bar(planned, prepared)
    _canvas(graph)
    node = source_node(graph)
    if planned.issues:
        faults(planned)
    elif prepared is None and node is not None:
        start.prepare_data(graph, session.where())
    else:
        hints(planned)
        _sizes(planned, prepared)
        forecast_card(graph, planned, prepared)
    with st.sidebar:
        _sidebar(planned)


def _bar(planned: Plan, prepared: Prepared | None) -> None:
    name, back, add, tools, train = st.columns([1.7, 2.2, 1.9, 2.9, 2.2], vertical_alignment="bottom")
    graph = planned.graph
    with name:
        key = forms.synced_key("build.name", graph.name)
        st.text_input("Name", key=key, max_chars=80, on_change=_rename, args=(key,))
    with back:
        history_bar(*st.columns(2))
    with add, st.popover("Add a node", icon=":material/add:", width="stretch"):
        _palette(graph)
    with tools:
        one, two, three = st.columns(3)
        one.button("Tidy", on_click=lambda: session.edit(tidy), width="stretch", help="Lay the nodes out in reading order.")
        with two.popover("Save", width="stretch"):
            saving(graph, planned.vocabulary)
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


def _palette(graph: Graph) -> None:
    kind = st.selectbox("Kind", [kind.name for kind in ordered()], key="palette.kind")
    st.caption(KINDS[kind].help)
    after = [node.id for node in graph.nodes if node.kind in KINDS and KINDS[node.kind].output]
    behind = None
    if KINDS[kind].inputs and after:
        chosen = session.selected() if session.selected() in after else None
        behind = st.selectbox(
            "Connect it behind", [None, *after], index=(after.index(chosen) + 1) if chosen else 0,
            format_func=lambda name: name or "nothing yet", key=f"palette.after.{kind}.{chosen}",
        )  # fmt: skip
    st.button("Add", on_click=_add, args=(kind, behind), type="primary", icon=":material/add:")


def _add(kind: str, behind: str | None) -> None:
    added = ""

    def change(graph: Graph) -> Graph:
        nonlocal added
        added = graph.free_id(stem(kind))
        across = [place[0] for place in graph.layout.values()]
        down = [place[1] for place in graph.layout.values()]
        place = (min(across, default=0.0), max(down, default=-120.0) + 120.0)
        if behind and behind in graph.layout:
            place = (graph.layout[behind][0] + 60.0, graph.layout[behind][1] + 80.0)
        graph = graph.add(Node(added, kind), place)
        return graph.connect(behind, added, next(iter(KINDS[kind].inputs))) if behind and behind in graph else graph

    session.edit(change)
    session.select(added)


@st.fragment
def _canvas(graph: Graph) -> None:
    graph = session.graph() or graph
    planned, _ = start.look(graph, session.where())
    changes = canvas.draw(planned, session.canvas(), session.selected(), theme())
    before = (session.selected(), session.selected_edge())
    if changes.selected or changes.selected_edge or changes.deselected:
        session.select(changes.selected, changes.selected_edge)
    if changes.structural or changes.moved:
        session.edit(lambda graph: canvas.apply(graph, changes))
    if changes.structural or changes.stale or (session.selected(), session.selected_edge()) != before:
        st.rerun()


def _sizes(planned: Plan, prepared: Prepared | None) -> None:
    graph = planned.graph
    columns = st.columns(4)
    columns[0].metric("Parameters", units.count(planned.total), help=f"{planned.total:,}" if planned.total else None)
    columns[1].metric("Vocabulary", f"{prepared.vocab_size:,}")
    columns[2].metric("Training tokens", units.count(prepared.count("train")))
    columns[3].metric("Validation tokens", units.count(prepared.count("validation")))
    st.caption(f"Training takes {start.cost(graph, prepared, planned.total, session.where())}.")


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
        forms.node_form(planned, node)
        _ports(planned.graph, node)
    st.button("Close", key="node.close", on_click=session.select, args=(None,), width="stretch")


def _source_kind(node: Node) -> None:
    """A choice of the text: another source in the place of this one."""
    field = f"kind.{node.id}"
    key = forms.synced_key(field, node.kind)
    sources = [kind.name for kind in ordered() if kind.role == "source"]
    st.selectbox("Text to learn from", sources, key=key, on_change=_change_source, args=(node.id, field, key))


def _change_source(node_id: str, field: str, key: str) -> None:
    if forms.edited(field, key):
        kind = st.session_state[key]
        session.edit(lambda graph: change_kind(graph, node_id, kind) if node_id in graph else graph)


def _ports(graph: Graph, node: Node) -> None:
    """A choice of what feeds each port: the same as drawing or removing an edge."""
    for port in KINDS[node.kind].inputs:
        feeding = [edge.source for edge in graph.into(node.id) if edge.port == port]
        others = [other.id for other in graph.nodes if other.id != node.id and other.kind in KINDS and KINDS[other.kind].output]
        field = f"port.{node.id}.{port}"
        key = forms.synced_key(field, feeding[0] if len(feeding) == 1 else None)
        label = "Input from" if port == "in" else f"{port} from"
        st.selectbox(
            label,
            [None, *others],
            key=key,
            format_func=lambda name: name or "–",
            on_change=_rewire,
            args=(node.id, port, field, key),
        )


def _rewire(node_id: str, port: str, field: str, key: str) -> None:
    if not forms.edited(field, key):
        return
    wanted = st.session_state[key]

    def change(graph: Graph) -> Graph:
        if node_id not in graph or (wanted and wanted not in graph):
            return graph
        for edge in graph.into(node_id):
            if edge.port == port:
                graph = graph.disconnect(edge)
        return graph.connect(wanted, node_id, port) if wanted else graph

    session.edit(change)


def _edge_panel(graph: Graph, edge: tuple[str, str, str]) -> None:
    source, target, port = edge
    st.subheader(plain(f"{source} → {target}"), anchor=False)
    st.caption(plain(f"The output of {source} goes into the port {port} of {target}."))
    edge_actions(graph, edge)
    left, right = st.columns(2)
    left.button("Delete", on_click=_disconnect, args=(edge,), width="stretch", icon=":material/delete:")
    right.button("Close", key="edge.close", on_click=session.select, args=(None,), width="stretch")


def _disconnect(edge: tuple[str, str, str]) -> None:
    session.edit(lambda graph: graph.disconnect(Edge(*edge)))
    session.select(None)

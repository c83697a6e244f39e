"""The Build page: preset cards until there is a graph; then the bar, the canvas, the faults, and the forms beside it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from cortex import documents, gallery, units
from cortex.builder import Plan
from cortex.data import Prepared, source_node
from cortex.edit import change_kind
from cortex.graph import Edge, Graph, GraphError, Node, from_json, to_json
from cortex.presets import PRESETS, preset, tidy
from cortex.registry import KINDS, ordered
from ui import canvas, forms, page, session, start, uploads, wiring_panel
from ui.palette import grouping, palette
from ui.plain import plain
from ui.recipe_panel import recipe_panel
from ui.theme import theme

_TEXT = "build.text"


def show() -> None:
    """Draw the page."""
    graph = session.graph()
    if graph is None:
        _gallery()
    else:
        session.keep_in_url()
        _editor(graph)


# Without a graph: what to start from


def _gallery() -> None:
    page.begin("Build a GPT")
    session.show_notice()
    st.write("Pick a size. It opens as a graph that you can change, train and compare. Nothing is sent anywhere.")
    chosen = st.segmented_control("Text to learn from", ["Shakespeare", "My own text"], default="Shakespeare", key=_TEXT)
    source, params = "Shakespeare", {}
    if chosen == "My own text":
        source = "CustomData"
        uploaded = st.file_uploader("Text file (UTF-8)", type=["txt", "md"], key="build.upload")
        if uploaded is None:
            st.info("Choose a text of some thousand words or more. It stays on this machine.", icon=":material/upload_file:")
            _others()
            return
        stored = uploads.keep_upload(uploaded.name, uploaded.getvalue(), session.where().uploads)
        params = {"path": str(stored)}
    graphs = {name: preset(name, source, params) for name in PRESETS}
    looks = {name: start.look(graph, session.where()) for name, graph in graphs.items()}
    planned, prepared = looks["small"]
    if planned.issues:
        st.error(plain(planned.issues[0]), icon=":material/error:")
        _others()
        return
    for column, (name, size) in zip(st.columns(len(PRESETS)), PRESETS.items(), strict=True):
        with column, st.container(border=True):
            _preset_card(name, size, graphs[name], *looks[name])
    if prepared is None:
        start.prepare_data(graphs["small"], session.where())
    else:
        _about_data(graphs["small"], prepared)
    _others()


def _preset_card(name: str, size: dict[str, Any], graph: Graph, planned: Plan, prepared: Prepared | None) -> None:
    st.subheader(name, anchor=False)
    st.metric("Parameters", units.count(planned.total))
    st.markdown(
        f"{size['num_layers']} blocks of width {size['embedding_dim']}, {size['nhead']} heads  \n"
        f"feed-forward {size['dim_feedforward']:,}, dropout {size['dropout']:g}  \n"
        f"{size['batch_size']} sequences of {graph.node('data').params['seq_len']} tokens a step, lr {size['lr']:g}"
    )
    if prepared:
        st.caption(start.cost(graph, prepared, planned.total, session.where()))
    else:
        st.caption("Cost: known when the text is tokenised")
    st.button(
        f"Open {name}",
        key=f"open.{name}",
        type="primary" if name == "small" else "secondary",
        width="stretch",
        on_click=session.open_graph,
        args=(graph,),
    )


def _about_data(graph: Graph, prepared: Prepared) -> None:
    node = source_node(graph)
    words = prepared.meta["splits"]
    unknown = words["validation"]["unknown"] / max(1, words["validation"]["tokens"])
    hidden = f"; {unknown:.1%} of the validation tokens are `<unk>`" if unknown else ""
    st.caption(
        f"{KINDS[node.kind].help} {prepared.count('train'):,} training tokens, {prepared.count('validation'):,} to validate, "
        f"vocabulary {prepared.vocab_size:,}{hidden}."
    )


def _others() -> None:
    st.divider()
    left, right = st.columns(2)
    with left:
        chosen = st.selectbox(
            "Open an example", list(gallery.EXAMPLES), index=None, key="build.example",
            format_func=lambda name: f"{name}: {gallery.EXAMPLES[name]}",
            placeholder="A classifier, an encoder-decoder, several heads …",
            help="Each comes with small data whose right answers are known, and trains in a minute or two.",
        )  # fmt: skip
        if chosen:
            session.open_graph(gallery.example(chosen))
            st.rerun()
        folder = session.where().documents
        known = documents.recent(folder, 12)
        if known:
            chosen = st.selectbox(
                "Go on with a graph",
                known,
                index=None,
                format_func=lambda name: _label(name),
                placeholder="Graphs that you edited before",
                key="build.recent",
            )
            if chosen:
                session.open_document(chosen)
                st.rerun()
    with right:
        _open_file()


def _label(name: str) -> str:
    try:
        return f"{documents.load(session.where().documents, name).name} ({name[:4]})"
    except (GraphError, documents.DocumentError):
        return f"damaged ({name[:4]})"


def _open_file() -> None:
    uploaded = st.file_uploader("Open a graph document (.json)", type=["json"], key="build.document")
    if uploaded is None:
        return
    try:
        graph = from_json(uploaded.getvalue().decode("utf-8"), uploaded.name)
    except UnicodeDecodeError:
        st.error(plain(f"{uploaded.name}: not UTF-8, expected a graph document as JSON"))
    except GraphError as error:
        st.error("  \n".join(map(plain, error.problems[:20])))
    else:
        session.open_graph(graph)
        st.rerun()


# With a graph


def _editor(graph: Graph) -> None:
    planned, prepared = start.look(graph, session.where())
    page.begin()
    session.show_notice()
    _bar(planned, prepared)
    _canvas(graph)
    node = source_node(graph)
    if planned.issues:
        _faults(planned)
    elif prepared is None and node is not None:
        start.prepare_data(graph, session.where())
    else:
        _sizes(planned, prepared)
    with st.sidebar:
        _sidebar(planned)


def _bar(planned: Plan, prepared: Prepared | None) -> None:
    name, add, group, tools, train = st.columns([2.0, 1.8, 1.7, 2.5, 2.2], vertical_alignment="bottom")
    graph = planned.graph
    with name:
        key = forms.synced_key("build.name", graph.name)
        st.text_input("Name", key=key, max_chars=80, on_change=_rename, args=(key,))
    with add, st.popover("Add a node", icon=":material/add:", width="stretch"):
        palette(graph)
    with group, st.popover("Group nodes", icon=":material/select_all:", width="stretch"):
        grouping(graph)
    with tools:
        one, two, three = st.columns(3)
        one.button("Tidy", on_click=lambda: session.edit(tidy), width="stretch", help="Lay the nodes out in reading order.")
        two.download_button(
            "Save", to_json(graph), f"{graph.name}.json", "application/json", width="stretch",
            help="Download the document. Every change is kept on disk as well.", on_click="ignore",
        )  # fmt: skip
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


def _faults(planned: Plan) -> None:
    roots = [issue for issue in planned.issues if issue.follows is None]
    st.markdown(f"**{len(roots)} {'fault' if len(roots) == 1 else 'faults'} to mend before training**")
    for number, issue in enumerate(roots):
        text, go = st.columns([6, 1], vertical_alignment="center")
        text.error(plain(issue), icon=":material/error:")
        if issue.node and issue.node in planned.graph:
            go.button("Select", key=f"fault.{number}", on_click=session.select, args=(issue.node,), width="stretch")


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
    else:
        st.caption(kind.help)
        if kind.role == "source":
            _source_kind(node)
        if kind.role == "subgraph":
            wiring_panel.card(planned.graph, node)
        forms.node_form(planned, node)
        wiring_panel.ports(planned.graph, node)
    left, right = st.columns(2)
    left.button("Delete", key="node.delete", on_click=_delete, args=(node.id,), width="stretch", icon=":material/delete:")
    right.button("Close", key="node.close", on_click=session.select, args=(None,), width="stretch")


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


def _edge_panel(graph: Graph, edge: tuple[str, str, str]) -> None:
    source, target, port = edge
    st.subheader(plain(f"{source} → {target}"), anchor=False)
    st.caption(plain(f"The output of {source} goes into the port {port} of {target}."))
    if target in graph and graph.node(target).kind in KINDS:
        wiring_panel.port_of_edge(graph, edge)
    left, right = st.columns(2)
    left.button("Delete", on_click=_disconnect, args=(edge,), width="stretch", icon=":material/delete:")
    right.button("Close", key="edge.close", on_click=session.select, args=(None,), width="stretch")


def _delete(node_id: str) -> None:
    session.edit(lambda graph: graph.remove(node_id))


def _disconnect(edge: tuple[str, str, str]) -> None:
    session.edit(lambda graph: graph.disconnect(Edge(*edge)))
    session.select(None)

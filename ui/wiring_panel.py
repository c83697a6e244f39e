"""What feeds each port of a node, and what stands inside a card: the parts of a node's form that are not its settings."""

from __future__ import annotations

import streamlit as st

from cortex import templates
from cortex.graph import Graph, Node
from cortex.params import complete
from cortex.ports import free_port, ports_of
from cortex.registry import KINDS
from ui import forms, notices, session
from ui.plain import plain


def ports(graph: Graph, node: Node) -> None:
    """A choice of what feeds each port: the same as drawing or removing an edge. A merge shows one port more than it has."""
    kind, names = KINDS[node.kind], ports_of(graph, node)
    more = free_port(graph, node.id) if kind.most else None
    if more and more not in names:
        names = [*names, more]
    others = [other.id for other in graph.nodes if other.id != node.id and other.kind in KINDS and KINDS[other.kind].output]
    for port in names:
        feeding = [edge.source for edge in graph.into(node.id) if edge.port == port]
        field = f"port.{node.id}.{port}"
        only = feeding[0] if len(feeding) == 1 else None
        key = forms.synced_key(field, only)
        served = kind.defaults.get(port)
        nothing = f"the same as {served}" if served else "nothing" if port == more and port not in kind.inputs else "–"
        st.selectbox(
            "Input from" if port == "in" and len(names) == 1 else plain(f"{port} from"),
            [None, *others],
            index=[None, *others].index(only) if only in others else 0,
            key=key,
            format_func=lambda name, nothing=nothing: name or nothing,
            on_change=_rewire,
            args=(node.id, port, field, key),
            placeholder=nothing,  # which is what an option None shows
        )
        if len(feeding) > 1:
            st.error(plain(f"{len(feeding)} sources go into {port}: {', '.join(feeding)}; keep one of them."))


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


def port_of_edge(graph: Graph, edge: tuple[str, str, str]) -> None:
    """A choice of the port that an edge leads to."""
    source, target, port = edge
    names = ports_of(graph, graph.node(target))
    more = free_port(graph, target)
    names = names if more in names or not KINDS[graph.node(target).kind].most else [*names, more]
    if len(names) < 2 or port not in names:
        return
    field = f"edge.{source}.{target}.{port}"
    key = forms.synced_key(field, port)
    st.selectbox("Port", names, names.index(port), key=key, on_change=_move, args=(edge, field, key), format_func=plain)


def _move(edge: tuple[str, str, str], field: str, key: str) -> None:
    """Lead an edge to another port; what was there goes where the edge was."""
    if not forms.edited(field, key):
        return
    source, target, port = edge
    wanted = st.session_state[key]

    def change(graph: Graph) -> Graph:
        ours = next((one for one in graph.into(target) if (one.source, one.port) == (source, port)), None)
        if ours is None:
            return graph
        there = [one for one in graph.into(target) if one.port == wanted]
        for one in (ours, *there):
            graph = graph.disconnect(one)
        for one in there:
            graph = graph.connect(one.source, target, port)
        return graph.connect(source, target, wanted)

    session.edit(change)
    session.select(None, (source, target, wanted))


def card(graph: Graph, node: Node) -> None:
    """What a subgraph stands for: its template, the settings of its parts, and what can be done with it."""
    name = node.params.get("template", "")
    names = list(dict.fromkeys([*graph.templates, *([name] if name else [])]))
    field = f"template.{node.id}"
    key = forms.synced_key(field, name or None)
    st.selectbox(
        "template", names, names.index(name) if name else None, key=key, placeholder="Choose a template", on_change=_choose,
        args=(node.id, field, key),
    )  # fmt: skip
    if name not in graph.templates:
        return
    left, right = st.columns(2)
    left.button("Expand", key="card.expand", on_click=_expand, args=(node.id,), width="stretch", help="Puts its nodes back.")
    right.button(
        "Keep", key="card.keep", on_click=_keep, args=(name,), width="stretch", help="Keeps the template for other graphs."
    )
    with st.expander("Parts", expanded=False, icon=":material/category:"):
        _parts(graph, name)


def _parts(graph: Graph, name: str) -> None:
    """The settings of a template's nodes, which all its cards have."""
    st.caption("A change is made in every copy and on every card of this template.")
    nodes = {node.id: node for node in graph.templates[name].nodes}
    chosen = st.selectbox(
        "Part",
        list(nodes),
        key=f"part.{name}",
        format_func=lambda part: f"{part} · {nodes[part].kind}" if part in nodes else part,
    )
    part = nodes.get(chosen)
    kind = KINDS.get(part.kind) if part else None
    if kind is None:
        return
    values = complete(kind.params, part.params)
    for setting, param in kind.params.items():
        if param.applies(values) or values[setting] != param.default:
            forms.field(
                f"part.{name}.{part.id}.{setting}", setting, param, values[setting],
                lambda value, setting=setting: session.edit(
                    lambda graph: templates.set_part(graph, name, part.id, setting, value)
                ),
            )  # fmt: skip


def _choose(node_id: str, field: str, key: str) -> None:
    if forms.edited(field, key) and st.session_state[key]:
        name = st.session_state[key]
        session.edit(lambda graph: graph.with_param(node_id, "template", name) if node_id in graph else graph)


def _expand(node_id: str) -> None:
    def change(graph: Graph) -> Graph:
        try:
            return templates.ungroup(graph, node_id) if node_id in graph else graph
        except templates.TemplateError as error:
            notices.notify(str(error))
            return graph

    session.edit(change)


def _keep(name: str) -> None:
    graph = session.graph()
    if graph is not None and name in graph.templates:
        path = templates.save(session.where().templates, graph.templates, name)
        notices.notify(f"Template {name} is kept as {path.name}; Add a node offers it in every graph.", done=True)

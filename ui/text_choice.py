"""Which text the Data page looks at: the graph's own, or another that is tried out and can be taken into the graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from cortex.gallery import graph_for
from cortex.graph import Graph, Node
from cortex.graph_source import source_node
from cortex.params import Choice, complete
from cortex.registry import KINDS, ordered
from cortex.source_params import BATCH_PARAMS, PLACE_PARAMS
from ui import forms, session, uploads
from ui.plain import plain

_FIRST = "Shakespeare"


def chosen(graph: Graph | None) -> Node:
    """The source that the page shows, with the batches of the graph's own."""
    own = source_node(graph) if graph else None
    draft = st.session_state.get(session.TEXT)
    if draft is None:
        return own or Node("data", _FIRST)
    batches = {name: own.params[name] for name in BATCH_PARAMS if name in own.params} if own else {}
    return Node(own.id if own else "data", draft["kind"], {**draft["params"], **batches})


def form(graph: Graph | None, node: Node) -> None:
    """Kind and settings of the text, and what can be done with it."""
    key = forms.synced_key("data.kind", node.kind)
    kinds = [kind.name for kind in ordered() if kind.role == "source"]
    st.selectbox("Text", kinds, kinds.index(node.kind), key=key, on_change=_change_kind, args=(node, key))
    st.caption(KINDS[node.kind].help)
    kind, values = KINDS[node.kind], complete(KINDS[node.kind].params, node.params)
    if "path" in kind.params and not values["path"]:
        uploads.files_form(values, "data", lambda changes: _set(node, changes))
        return  # the rest when there is a text
    _use(graph, node)
    if "path" in kind.params:
        uploads.files_form(values, "data", lambda changes: _set(node, changes))
    for name, param in kind.params.items():
        settled = isinstance(param, Choice) and len(param.options) == 1
        if settled or name in (*BATCH_PARAMS, *PLACE_PARAMS) or not (param.applies(values) or values[name] != param.default):
            continue
        forms.field(f"data.{node.kind}.{name}", name, param, values[name], lambda value, name=name: _set(node, {name: value}))
        if name == "split":
            uploads.held_out_form(values, "data", lambda changes: _set(node, changes))
        if name == "tokenizer" and values["tokenizer"] == "file":
            uploads.tokenizer_form(values, "data", lambda changes: _set(node, changes))


def _use(graph: Graph | None, node: Node) -> None:
    own = source_node(graph) if graph else None
    if graph is None:
        st.button(
            "Build a model on this text", key="data.build", on_click=_open, args=(node,), type="primary", width="stretch",
            help="Opens the small preset on this text, or for labels, tags and pairs a model of that task; all of it can be "
            "changed on the Build page.",
        )  # fmt: skip
    elif own is None:
        st.caption(plain(f"{graph.name} has no single source of text, so none can be replaced here."))
    elif _same(own, node):
        st.caption(plain(f"This is the text that {graph.name} reads."))
    else:
        st.button(
            plain(f"Use this text in {graph.name}"), key="data.use", on_click=use, args=(node,), type="primary",
            width="stretch",
            help=plain(f"Replaces {own.kind} and its tokenizer in the graph. Runs that were started stay as they are."),
        )  # fmt: skip
        st.button(plain(f"Back to the text of {graph.name}"), key="data.back", on_click=_forget, width="stretch")


def use(node: Node) -> None:
    """Write this text into the graph, in the place of its own; batches stay the graph's."""

    def change(graph: Graph) -> Graph:
        own = source_node(graph)
        if own is None:
            return graph
        batches = {name: value for name, value in own.params.items() if name in BATCH_PARAMS}
        new = Node(own.id, node.kind, {**batches, **_settings(node)})
        return replace(graph, nodes=tuple(new if each.id == own.id else each for each in graph.nodes))

    session.edit(change)
    _forget()


def _open(node: Node) -> None:
    session.open_graph(graph_for(Node(node.id, node.kind, _settings(node))))
    _forget()


def _forget() -> None:
    st.session_state.pop(session.TEXT, None)


def _change_kind(node: Node, key: str) -> None:
    if not forms.edited("data.kind", key):
        return
    kind, known = st.session_state[key], st.session_state.setdefault(session.TEXTS, {})
    known[node.kind] = _settings(node)
    params = KINDS[kind].params
    tokens = {name: value for name, value in _settings(node).items() if name.startswith(("tokenizer", "vocab_size"))}
    kept = {name: value for name, value in tokens.items() if name in params and not params[name].problem(value)}
    st.session_state[session.TEXT] = {"kind": kind, "params": {**known.get(kind, {}), **kept}}


def _set(node: Node, changes: dict[str, Any]) -> None:
    """Keep changed settings; those that have no effect any more fall back to what they are by default."""
    params = KINDS[node.kind].params
    values = complete(params, {**_settings(node), **changes})
    kept = {name: value for name, value in values.items() if value != params[name].default and params[name].applies(values)}
    st.session_state[session.TEXT] = {"kind": node.kind, "params": kept}


def _settings(node: Node) -> dict[str, Any]:
    return {name: value for name, value in node.params.items() if name not in BATCH_PARAMS}


def _same(one: Node, other: Node) -> bool:
    values = [complete(KINDS[node.kind].params, _settings(node)) for node in (one, other) if node.kind in KINDS]
    return one.kind == other.kind and values[0] == values[1]

"""What can be done with a node or an edge as a whole: rename, duplicate, move, bypass, note; insert on an edge."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import streamlit as st

from cortex.elements import MOST_NOTE
from cortex.graph import Edge, Graph, Node
from cortex.presets import is_tidy, place_behind, place_between, tidy
from cortex.registry import ordered
from cortex.rework import duplicate, insert_on_edge, move_along, rename_node, take_out
from ui import forms, session
from ui.kind_list import kind_list


def node_actions(graph: Graph, node: Node) -> None:
    """Delete, and all else behind one button."""
    delete, more = st.columns(2)
    delete.button("Delete", key="node.delete", on_click=_delete, args=(node.id,), width="stretch", icon=":material/delete:",
                  help="Delete it with its edges. Undo brings it back.")  # fmt: skip
    with more.popover("More", width="stretch", icon=":material/more_horiz:"):
        _names(node)
        _places(graph, node)


def _names(node: Node) -> None:
    key = forms.synced_key(f"rename.{node.id}", node.id)
    longest = max(60, len(node.id))  # a field that is too short for what it shows cuts it
    st.text_input("Rename", node.id, key=key, max_chars=longest, on_change=_rename, args=(node.id, f"rename.{node.id}", key),
                  help="Letters, digits and _; it is the name in the state dict and in an exported script.")  # fmt: skip
    note = forms.synced_key(f"note.{node.id}", node.note)
    st.text_area(
        "Note", node.note, key=note, max_chars=MOST_NOTE, height=68, on_change=_note, args=(node.id, f"note.{node.id}", note),
        placeholder="Why it is here, what was tried",
    )  # fmt: skip
    bypassed = forms.synced_key(f"bypass.{node.id}", node.bypass)
    st.toggle(
        "Bypass", node.bypass, key=bypassed, on_change=_bypass, args=(node.id, f"bypass.{node.id}", bypassed),
        help="What feeds it goes past it, as if it were not there; its settings are kept.",
    )  # fmt: skip


def _places(graph: Graph, node: Node) -> None:
    number, copy = st.columns(2, vertical_alignment="bottom")
    times = number.number_input("Copies", 1, 100, 1, key=f"node.copies.{node.id}", help="In a chain behind it.")
    copy.button("Duplicate", key="node.duplicate", on_click=_duplicate, args=(node.id, times), width="stretch")
    left, right = st.columns(2)
    left.button("Earlier", key="node.earlier", args=(node.id, -1), on_click=_move, width="stretch",
                icon=":material/arrow_back:", help="Change places with the node before it in the chain.")  # fmt: skip
    right.button("Later", key="node.later", args=(node.id, 1), on_click=_move, width="stretch",
                 icon=":material/arrow_forward:", help="Change places with the node behind it in the chain.")  # fmt: skip
    one = len(graph.into(node.id)) == 1 and bool(graph.out_of(node.id))
    st.button("Take out of the chain", key="node.out", on_click=_take_out, args=(node.id,), width="stretch", disabled=not one,
              icon=":material/link:", help="Delete it and connect what feeds it to what it feeds.")  # fmt: skip


def edge_actions(graph: Graph, edge: tuple[str, str, str]) -> None:
    """For the selected edge."""
    st.caption("**Insert a node** into the middle of this edge:")
    through = [kind for kind in ordered() if kind.inputs and kind.output and kind.role != "subgraph"]
    kind_list(through, lambda kind: _insert(edge, kind), "edge.insert", height=320)


def find_node(graph: Graph) -> None:
    """A search field for the node to select; typing narrows it."""
    names = {node.id: f"{node.id} · {node.kind}" for node in graph.nodes}
    found = session.selected() if session.selected() in names else None
    key = forms.synced_key("find.node", found)
    st.selectbox(
        "Find a node", list(names), key=key, format_func=names.get, placeholder="Find a node",
        on_change=_found, args=(key,), index=list(names).index(found) if found else None, label_visibility="collapsed",
    )  # fmt: skip


def _found(key: str) -> None:
    if forms.edited("find.node", key):
        session.select(st.session_state[key])


def alike(graph: Graph, node: Node) -> None:
    """Where there are several of the node's kind: a choice to change them all."""
    several = len(graph.of_kind(node.kind))
    if several < 2:
        return
    chosen = st.session_state.get(session.ALIKE) == node.kind
    key = forms.synced_key(f"alike.{node.kind}", chosen)
    st.toggle(
        f"Change all {several} of this kind", chosen, key=key, on_change=_choose, args=(node.kind, f"alike.{node.kind}", key),
        help=f"A setting made here is made in every {node.kind}.",
    )  # fmt: skip


def _choose(kind: str, field: str, key: str) -> None:
    if forms.edited(field, key):
        st.session_state[session.ALIKE] = kind if st.session_state[key] else None


def _move(node_id: str, by: int) -> None:
    session.edit(lambda graph: move_along(graph, node_id, by) if node_id in graph else graph)


def _duplicate(node_id: str, times: int) -> None:
    def change(graph: Graph) -> Graph:
        if node_id not in graph:
            return graph
        after, made = duplicate(graph, node_id, times)
        if is_tidy(graph):
            return tidy(after)
        after = replace(after, layout=graph.layout)
        for before, copy in itertools.pairwise([node_id, *made]):
            after = after.move({copy: place_behind(after, before)})
        return after

    session.edit(change)


def _rename(node_id: str, field: str, key: str) -> None:
    new = re.sub(r"\s+", "_", st.session_state[key].strip())
    if forms.edited(field, key) and new:
        after = session.edit(lambda graph: rename_node(graph, node_id, new) if node_id in graph else graph)
        session.select(new if new in after else node_id)


def _bypass(node_id: str, field: str, key: str) -> None:
    if forms.edited(field, key):
        wanted = st.session_state[key]
        session.edit(lambda graph: graph.with_bypass(node_id, wanted) if node_id in graph else graph)


def _note(node_id: str, field: str, key: str) -> None:
    if forms.edited(field, key):
        text = st.session_state[key]
        session.edit(lambda graph: graph.with_note(node_id, text) if node_id in graph else graph)


def _take_out(node_id: str) -> None:
    session.edit(lambda graph: take_out(graph, node_id) if node_id in graph else graph)


def _delete(node_id: str) -> None:
    session.edit(lambda graph: graph.remove(node_id))


def _insert(edge: tuple[str, str, str], kind: str) -> None:
    added = ""

    def change(graph: Graph) -> Graph:
        nonlocal added
        after, added = insert_on_edge(graph, Edge(*edge), kind)
        if is_tidy(graph):
            return tidy(after)
        return after.move({added: place_between(graph, *edge[:2])})

    session.edit(change)
    session.select(added or None)

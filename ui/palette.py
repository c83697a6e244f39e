"""What can be added to a graph: a node of any kind, a template, or a group made of nodes that are there."""

from __future__ import annotations

import itertools
from typing import Any

import streamlit as st

from cortex import templates
from cortex.graph import Graph, GraphError, Node, Template
from cortex.ports import free_port, ports_of
from cortex.presets import place_behind
from cortex.registry import KINDS, ordered
from cortex.rework import stem
from ui import notices, session
from ui.kind_list import kind_list, row
from ui.plain import plain

_WIDTH, _HEIGHT = 640, 340  # of the list, in pixels; a popover takes 70 % of the window at most
_TEMPLATE = "template/"  # before its name, the id of a template's row

_ADDED = "palette.added"  # id of the node that was added last, and what it was connected behind


def palette(graph: Graph) -> None:
    """The contents of the popover that adds a node: what to connect it behind, and a list of all kinds."""
    givers = [node.id for node in graph.nodes if _gives(node)]
    offered = _offered(graph)
    with st.container(width=_WIDTH):
        key = f"palette.behind.{offered}"
        if givers:
            st.selectbox(
                "Connect it behind", [None, *givers], index=givers.index(offered) + 1 if offered else 0,
                format_func=lambda name: name or "nothing yet", key=key, placeholder="nothing yet",
                help="The selected node, or else the only one whose output goes nowhere, unless you choose another.",
            )  # fmt: skip
        kinds = [kind for kind in ordered() if kind.role != "subgraph"]
        kind_list(
            kinds,
            lambda name: _add(name, key, offered),
            "palette.list",
            more=_templates(graph),
            said=_said(graph),
            height=_HEIGHT,
            focus=True,
        )


def _offered(graph: Graph) -> str | None:
    """What a new node most likely goes behind."""
    selected = session.selected()
    if selected in graph and _gives(graph.node(selected)):
        return selected
    loose = [node.id for node in graph.nodes if _gives(node) and not graph.out_of(node.id)]
    return loose[0] if len(loose) == 1 else None


def _gives(node: Node) -> bool:
    return node.kind in KINDS and KINDS[node.kind].output is not None


def _templates(graph: Graph) -> list[dict[str, Any]]:
    """A row for each template of this graph and for each that is kept."""
    kept = [name for name in templates.saved(session.where().templates) if name not in graph.templates]
    here = [
        row(f"{_TEMPLATE}{name}", name, f"A template of this graph: {_inside(graph.templates[name])}.")
        for name in graph.templates
    ]
    found = here + [row(f"{_TEMPLATE}{name}", name, "A template that was kept for every graph.") for name in kept]
    return found or [row(kind.name, kind.name, kind.help) for kind in KINDS.values() if kind.role == "subgraph"]


def _inside(template: Template, most: int = 6) -> str:
    kinds = [node.kind for node in template.nodes]
    return ", ".join(kinds if len(kinds) <= most else [*kinds[:most], f"{len(kinds) - most} more"])


def _said(graph: Graph) -> str:
    """What came of the last pick, as long as that node is the selected one."""
    added, behind = st.session_state.get(_ADDED, ("", None))
    if not added or added not in graph or session.selected() != added:
        return ""
    return f"Added {added} behind {behind}." if behind else f"Added {added}; nothing is connected to it yet."


def grouping(graph: Graph) -> None:
    """The contents of the popover that makes one card of several nodes."""
    st.caption(
        "Makes one card of the nodes that you choose; the first and the last will do. Its repeat then says how often it stands "
        "there."
    )
    roles = {node.id: KINDS[node.kind].role for node in graph.nodes if node.kind in KINDS}
    names = [name for name, role in roles.items() if role not in ("source", "loss")]
    chosen = st.multiselect("Nodes", names, key="group.nodes", placeholder="Choose nodes")
    likely = itertools.chain(["block"], (f"block {number}" for number in itertools.count(2)))
    free = next(name for name in likely if name not in graph.templates)
    name = st.text_input("Name of the template", value=free, max_chars=64, key=f"group.name.{free}")
    problem = None
    if chosen:
        try:
            templates.group(graph, chosen, name)
        except templates.TemplateError as error:
            problem = str(error)
            st.error(plain(problem[0].upper() + problem[1:]))
            missed = [name for name in templates.between(graph, chosen) if name in names]
            if missed:
                st.button(f"Choose what lies between too ({len(missed)})", on_click=_choose_more, args=(missed,))
    ready = bool(chosen) and problem is None
    st.button("Group as template", on_click=_group, args=(chosen, name), type="primary", disabled=not ready)


def _choose_more(ids: list[str]) -> None:
    st.session_state["group.nodes"] = [*st.session_state["group.nodes"], *ids]


def _group(ids: list[str], name: str) -> None:
    made: list[str] = []

    def change(graph: Graph) -> Graph:
        try:
            graph, card = templates.group(graph, ids, name)
        except templates.TemplateError as error:  # another tab has changed the graph meanwhile
            notices.notify(str(error))
            return graph
        made[:] = [card]
        return graph

    session.edit(change)
    if made:
        session.select(made[0])


def _add(picked: str, key: str, offered: str | None) -> None:
    template = picked.removeprefix(_TEMPLATE) if picked.startswith(_TEMPLATE) else None
    if template is None and (picked not in KINDS or KINDS[picked].role == "subgraph"):
        notices.notify("There is no template yet. Group, beside Add a node, makes one of nodes on the canvas.")
        return
    chosen = st.session_state.get(key, offered)
    added, behind = "", None

    def change(graph: Graph) -> Graph:
        nonlocal added, behind
        before = graph
        # A second pick can come before the first is drawn: unless another node was chosen, it goes behind that first one.
        behind = _offered(graph) if chosen == offered else chosen
        if template is not None:
            found = graph.templates if template in graph.templates else templates.load(session.where().templates, template)
            graph, added = templates.insert(graph, templates.needed(found, template), template)
        else:
            added = graph.free_id(stem(picked))
            graph = graph.add(Node(added, picked))
        if behind not in before or not ports_of(graph, graph.node(added)):
            behind = None
        graph = graph.move({added: place_behind(before, behind)})
        return graph.connect(behind, added, free_port(graph, added)) if behind else graph

    try:
        session.edit(change)
    except (templates.TemplateError, GraphError) as error:
        notices.notify(str(error))
    else:
        session.select(added)
        st.session_state[_ADDED] = (added, behind)

"""What can be added to a graph: a node of any kind, a template, or a group made of nodes that are there."""

from __future__ import annotations

import itertools
from dataclasses import replace

import streamlit as st

from cortex import templates
from cortex.graph import Graph, GraphError, Node
from cortex.kind import FAMILIES
from cortex.ports import free_port
from cortex.registry import KINDS, ordered
from ui import session
from ui.plain import plain

_GROUP, _KIND = "palette.family", "palette.kind"


def palette(graph: Graph) -> None:
    """The contents of the popover that adds a node."""
    groups = [family for family in FAMILIES if any(kind.family == family for kind in KINDS.values())]
    family = st.pills("Group", groups, format_func=FAMILIES.get, key=_GROUP)
    kinds = [kind.name for kind in ordered() if family in (None, kind.family)]
    kind = st.selectbox("Kind", kinds, key=f"{_KIND}.{family}")
    st.caption(plain(KINDS[kind].help))
    template = _template(graph) if KINDS[kind].role == "subgraph" else None
    if KINDS[kind].role == "subgraph" and template is None:
        return
    after = [node.id for node in graph.nodes if node.kind in KINDS and KINDS[node.kind].output]
    behind = None
    if KINDS[kind].inputs and after:
        chosen = session.selected() if session.selected() in after else None
        behind = st.selectbox(
            "Connect it behind", [None, *after], index=(after.index(chosen) + 1) if chosen else 0,
            format_func=lambda name: name or "nothing yet", key=f"palette.after.{kind}.{chosen}",
        )  # fmt: skip
    st.button("Add", on_click=_add, args=(kind, behind, template), type="primary", icon=":material/add:")


def _template(graph: Graph) -> str | None:
    """A choice of the templates of this graph and of those that are kept."""
    kept = [name for name in templates.saved(session.where().templates) if name not in graph.templates]
    names = [*graph.templates, *kept]
    if not names:
        st.info("There is no template yet. Group nodes makes one of nodes that are on the canvas.", icon=":material/info:")
        return None
    return st.selectbox(
        "Template",
        names,
        key="palette.template",
        format_func=lambda name: name if name in graph.templates else f"{name} (kept)",
    )


def grouping(graph: Graph) -> None:
    """The contents of the popover that makes one card of several nodes."""
    st.caption("Makes one card of the nodes that you choose. Its repeat then says how often it stands there.")
    roles = {node.id: KINDS[node.kind].role for node in graph.nodes if node.kind in KINDS}
    names = [name for name, role in roles.items() if role not in ("source", "loss")]
    chosen = st.multiselect("Nodes", names, key="group.nodes", placeholder="Choose nodes")
    names = itertools.chain(["block"], (f"block {number}" for number in itertools.count(2)))
    free = next(name for name in names if name not in graph.templates)
    name = st.text_input("Name of the template", value=free, max_chars=64, key=f"group.name.{free}")
    problem = None
    if chosen:
        try:
            templates.group(graph, chosen, name)
        except templates.TemplateError as error:
            problem = str(error)
            st.error(plain(problem[0].upper() + problem[1:]))
    ready = bool(chosen) and problem is None
    st.button("Group as template", on_click=_group, args=(chosen, name), type="primary", disabled=not ready)


def _group(ids: list[str], name: str) -> None:
    made: list[str] = []

    def change(graph: Graph) -> Graph:
        try:
            graph, card = templates.group(graph, ids, name)
        except templates.TemplateError as error:  # another tab has changed the graph meanwhile
            session.notify(str(error))
            return graph
        made[:] = [card]
        return graph

    session.edit(change)
    if made:
        session.select(made[0])


def _add(kind: str, behind: str | None, template: str | None) -> None:
    added = ""

    def change(graph: Graph) -> Graph:
        nonlocal added
        across = [place[0] for place in graph.layout.values()]
        down = [place[1] for place in graph.layout.values()]
        place = (min(across, default=0.0), max(down, default=-120.0) + 120.0)
        if behind and behind in graph.layout:
            place = (graph.layout[behind][0] + 60.0, graph.layout[behind][1] + 80.0)
        if template:
            found = graph.templates if template in graph.templates else templates.load(session.where().templates, template)
            graph, added = templates.insert(graph, templates.needed(found, template), template)
            graph = replace(graph, layout={**graph.layout, added: place})
        else:
            added = graph.free_id(stem(kind))
            graph = graph.add(Node(added, kind), place)
        return graph.connect(behind, added, free_port(graph, added)) if behind and behind in graph else graph

    try:
        session.edit(change)
    except (templates.TemplateError, GraphError) as error:
        session.notify(str(error))
    else:
        session.select(added)


def stem(kind: str) -> str:
    """`gpt_block` for GPTBlock: a name that a person would give."""
    words = []
    for index, letter in enumerate(kind):
        starts = letter.isupper() and index and (kind[index - 1].islower() or kind[index + 1 : index + 2].islower())
        words.append(("_" if starts else "") + letter.lower())
    return "".join(words)

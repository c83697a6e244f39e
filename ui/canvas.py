"""Graph -> streamlit-flow; this file and canvas_events.py alone know the component.

The component's value is an event and not the truth: it can be old, and it can have been made before the last push arrived.
So every push carries a revision inside each node, which comes back with every event and tells which push the browser's
picture is based on; an event is read as the difference to that very picture and then applied to the graph as it is now.

Times are the browser's: a push is stamped one past the last event that was read. The component takes a push only when it
has sent nothing newer, so a push never wipes out what the user did while it was on its way; that newer event arrives, is
based on an older revision, and the push is sent again on top of it. Two clocks that differ cannot get in the way.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from streamlit_flow import streamlit_flow
from streamlit_flow.elements import StreamlitFlowEdge, StreamlitFlowNode
from streamlit_flow.state import StreamlitFlowState

from cortex.builder import Plan
from cortex.graph import Edge, Graph, Node
from cortex.picture import port_label
from cortex.registry import KINDS
from ui.canvas_events import Changes, is_place, read
from ui.cards import WIDTH, card, card_style
from ui.theme import Theme

_KEPT_PUSHES = 8
_OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


def draw(planned: Plan, memory: dict[str, Any], selected: str | None, theme: Theme, height: int = 440) -> Changes:
    """Show the graph and give back what the user did to it; `memory` is kept between script runs.

    The caller applies the changes with `canvas_events.take` and reruns; a call whose graph is not what the browser shows
    sends it anew.
    """
    begin(memory)
    changes = read(_shown(_push(planned, memory, selected, theme), theme, height), memory)
    if not (changes.structural or changes.moved):
        memory.update(changes.learnt)
    return changes


def begin(memory: dict[str, Any]) -> None:
    """Give a new memory numbers of its own: the browser may still show, and tell of, what another one pushed, for another
    document or before the server was killed."""
    memory.setdefault("revision", secrets.randbelow(2**40))


def _shown(state: StreamlitFlowState, theme: Theme, height: int) -> StreamlitFlowState:
    """Send the state to the component; its last event comes back, or the state where it has sent none that can be read."""
    try:
        return _component(state, theme, height)
    except (AssertionError, AttributeError, KeyError, TypeError):  # what the browser sent has not the form of an event
        return state


def _component(state: StreamlitFlowState, theme: Theme, height: int) -> StreamlitFlowState:
    return streamlit_flow(
        "canvas.flow",
        state,
        height=height,
        fit_view=True,
        show_controls=True,
        show_minimap=False,
        allow_new_edges=True,
        get_node_on_click=True,
        get_edge_on_click=True,
        min_zoom=0.1,
        hide_watermark=True,
        style={"backgroundColor": theme.background, "borderRadius": "6px"},
    )


def _place(graph: Graph, node_id: str) -> tuple[float, float]:
    place = graph.layout.get(node_id, (0.0, 0.0))
    return place if is_place(place) else (0.0, 0.0)


def _push(planned: Plan, memory: dict[str, Any], selected: str | None, theme: Theme) -> StreamlitFlowState:
    """The state to send: stamped anew when the graph is not what was last sent, else exactly as it was."""
    graph = planned.graph
    cards = {node.id: (card(planned, node, theme), card_style(planned, node, theme)) for node in graph.nodes}
    places = {node.id: _place(graph, node.id) for node in graph.nodes}
    edges = {_edge_id(edge): edge for edge in graph.edges}
    look = json.dumps([cards, sorted(edges), theme.dark])
    signature = hashlib.sha256(look.encode()).hexdigest()
    shown = memory.get("pushed", {}).get(str(memory.get("revision")))
    in_place = shown is not None and shown["positions"] == {node_id: list(place) for node_id, place in places.items()}
    selection_shown = selected == memory.get("shown")
    asked = memory.pop("resend", False)
    if signature != memory.get("signature") or not in_place or not selection_shown or asked:
        memory["signature"], memory["shown"] = signature, selected
        memory["revision"] = memory.get("revision", 0) + 1
        memory["timestamp"] = max(memory.get("timestamp", 0), memory.get("accepted", 0)) + 1
        memory["arrived"] = None
        pushed = memory.setdefault("pushed", {})
        pushed[str(memory["revision"])] = {
            "positions": {node_id: list(place) for node_id, place in places.items()},
            "edges": {edge_id: (edge.source, edge.target, edge.port) for edge_id, edge in edges.items()},
        }
        for old in list(pushed)[:-_KEPT_PUSHES]:
            del pushed[old]
    nodes = [_flow_node(graph, node, cards[node.id], places, selected, memory["revision"]) for node in graph.nodes]
    flow_edges = [_flow_edge(planned, edge, theme) for edge in graph.edges]
    return StreamlitFlowState(nodes, flow_edges, timestamp=memory["timestamp"])


def _flow_node(
    graph: Graph,
    node: Node,
    drawn: tuple[str, dict[str, str]],
    places: Mapping[str, tuple[float, float]],
    selected: str | None,
    revision: int,
) -> StreamlitFlowNode:
    kind = KINDS.get(node.kind)
    role = kind.role if kind else "module"
    before = [edge.source for edge in graph.into(node.id)]
    after = [edge.target for edge in graph.out_of(node.id)]
    # A dot that nothing is connected to yet keeps clear of the other one, or no edge could be drawn from it.
    sides = [side for name in before if (side := _turn(places, node.id, [name], -1) or _side(places, node.id, [name]))]
    leaves = _turn(places, node.id, after, 1) or _side(places, node.id, after) or _OPPOSITE[sides[0] if sides else "left"]
    enters = next((side for side in sides if side != leaves), None)
    if enters is None:
        enters = ("top" if leaves in ("left", "right") else "left") if sides else _OPPOSITE[leaves]
    return StreamlitFlowNode(
        node.id,
        places[node.id],
        {"content": drawn[0], "revision": revision},
        node_type="input" if role == "source" else "output" if role == "loss" else "default",
        source_position=leaves,
        target_position=enters,
        selected=node.id == selected,
        selectable=True,
        connectable=True,
        deletable=True,
        style=drawn[1],
    )


def _side(places: Mapping[str, tuple[float, float]], here: str, others: list[str]) -> str | None:
    """The side of a card that faces what it is connected to; None when it is not connected."""
    other = next((name for name in others if name in places), None)
    if other is None:
        return None
    across, down = places[other][0] - places[here][0], places[other][1] - places[here][1]
    if abs(across) >= WIDTH:
        return "right" if across > 0 else "left"
    return "bottom" if down > 0 else "top"


def _turn(places: Mapping[str, tuple[float, float]], here: str, others: list[str], way: int) -> str | None:
    """The bottom of a card whose edge goes back to the start of a row below, and the top of the card there: from the sides it
    would lie over the cards between them. `way`: 1 for what the card feeds, -1 for what feeds it."""
    other = next((name for name in others if name in places), None)
    if other is None:
        return None
    across, down = (way * (places[other][axis] - places[here][axis]) for axis in (0, 1))
    if across > -WIDTH or down < WIDTH / 2:
        return None
    return "bottom" if way > 0 else "top"


def _flow_edge(planned: Plan, edge: Edge, theme: Theme) -> StreamlitFlowEdge:
    label = port_label(planned.graph, edge)
    return StreamlitFlowEdge(
        _edge_id(edge),
        edge.source,
        edge.target,
        edge_type="default",
        marker_start={},
        marker_end={"type": "arrowclosed", "color": theme.muted},
        deletable=True,
        focusable=True,
        label=label,
        label_show_bg=bool(label),
        label_style={"fill": theme.text, "fontSize": "11px"} if label else {},
        label_bg_style={"fill": theme.background} if label else {},
        style={"stroke": theme.muted, "strokeWidth": 1.5},
    )


def _edge_id(edge: Edge) -> str:
    return f"{edge.source}>{edge.target}.{edge.port}"

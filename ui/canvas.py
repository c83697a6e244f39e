"""Graph <-> streamlit-flow; the only file that knows the component.

The component's value is an event and not the truth: it can be old, and it can have been made before the last push arrived.
So every push carries a revision inside each node, which comes back with every event and tells which push the browser's
picture is based on; an event is read as the difference to that very picture and then applied to the graph as it is now.

Times are the browser's: a push is stamped one past the last event that was read. The component takes a push only when it
has sent nothing newer, so a push never wipes out what the user did while it was on its way; that newer event arrives, is
based on an older revision, and the push is sent again on top of it. Two clocks that differ cannot get in the way.
"""

from __future__ import annotations

import hashlib
import html
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamlit_flow import streamlit_flow
from streamlit_flow.elements import StreamlitFlowEdge, StreamlitFlowNode
from streamlit_flow.state import StreamlitFlowState

from cortex import units
from cortex.builder import Plan, shape_text
from cortex.graph import Edge, Graph, Node
from cortex.ports import free_port, ports_of
from cortex.registry import KINDS
from ui.plain import one_line
from ui.theme import FAMILY_COLOURS, Theme

_CARD_WIDTH = 184
_KEPT_PUSHES = 8
# For so long after a push the component sends events of itself: that it took it, that it laid it out.
_ECHO_MILLISECONDS = 1500
# The last moment that a browser can name, and how far from the middle a card can be dragged, in pixels.
_LAST_TIME = 8_640_000_000_000_000
_FARTHEST = 1e6
_OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


@dataclass
class Changes:
    """What the user did on the canvas since the push that the event is based on."""

    moved: dict[str, tuple[float, float]] = field(default_factory=dict)
    connected: list[tuple[str, str]] = field(default_factory=list)
    disconnected: list[Edge] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    selected: str | None = None
    selected_edge: tuple[str, str, str] | None = None
    deselected: bool = False
    stale: bool = False  # the browser has not taken the last push, so it has to be sent again
    learnt: dict[str, Any] = field(default_factory=dict)  # what to remember once the changes are made

    @property
    def structural(self) -> bool:
        return bool(self.connected or self.disconnected or self.removed)


def draw(planned: Plan, memory: dict[str, Any], selected: str | None, theme: Theme, height: int = 440) -> Changes:
    """Show the graph and give back what the user did to it; `memory` is kept between script runs.

    The caller applies the changes with `take` and reruns; a call whose graph is not what the browser shows sends it anew.
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


def apply(graph: Graph, changes: Changes) -> Graph:
    """The graph with the user's changes; what is already so, or no longer there, is passed over."""
    for node_id in changes.removed:
        graph = graph.remove(node_id) if node_id in graph else graph
    for edge in changes.disconnected:
        graph = graph.disconnect(edge)
    for source, target in changes.connected:
        if source in graph and target in graph:
            graph = graph.connect(source, target, free_port(graph, target))
    return graph.move(changes.moved)


def take(graph: Graph, changes: Changes, memory: dict[str, Any]) -> Graph:
    """`apply`, and the event counts as read from now on.

    Both in one: a script that is stopped between reading and applying leaves the event to be read again by the next.
    """
    graph = apply(graph, changes)
    memory.update(changes.learnt)
    return graph


def read(value: StreamlitFlowState, memory: Mapping[str, Any]) -> Changes:
    """The changes that an event of the component means; none when it is one of ours or was read before.

    An event of which a part is not as the component sends it says nothing, since what it leaves out would be read as deleted:
    the picture is sent again. `memory` stays as it is; what is to be remembered is in `learnt`.
    """
    at = value.timestamp
    if type(at) is not int or not max(memory["timestamp"], memory.get("accepted", 0)) < at <= _LAST_TIME:
        return Changes()
    learnt: dict[str, Any] = {"accepted": at}
    if not _sound(value):
        return Changes(stale=True, learnt={**learnt, "resend": True})
    heard = _revision(value, memory)
    stale = heard != str(memory["revision"])
    base = memory["pushed"].get(heard)
    if base is None or not _follows(value, base):
        return Changes(stale=True, learnt={**learnt, "resend": True})
    arrived = memory.get("arrived")
    if not stale:
        arrived = learnt["arrived"] = at if arrived is None else arrived
    echo = stale or at - arrived < _ECHO_MILLISECONDS
    changes = Changes(stale=stale, learnt=learnt)
    there = {node.id: (node.position["x"], node.position["y"]) for node in value.nodes}
    known = {node_id: tuple(place) for node_id, place in base["positions"].items()}
    changes.removed = [node_id for node_id in known if node_id not in there]
    changes.moved = {
        node_id: place for node_id, place in there.items() if place != known.get(node_id, place) and _is_place(place)
    }
    edge_ids = {edge.id for edge in value.edges}
    gone = set(changes.removed)
    for edge_id, (source, target, port) in base["edges"].items():
        if edge_id not in edge_ids and not {source, target} & gone:
            changes.disconnected.append(Edge(source, target, port))
    drawn = {edge.id: (edge.source, edge.target) for edge in value.edges if edge.id not in base["edges"]}
    changes.connected = [ends for edge_id, ends in drawn.items() if edge_id not in base.get("drawn", ())]
    if value.selected_id in there:
        changes.selected = value.selected_id
    elif value.selected_id in base["edges"]:
        changes.selected_edge = tuple(base["edges"][value.selected_id])
    elif value.selected_id is None and not (echo or changes.structural or changes.moved):
        changes.deselected = True  # nothing else sends an event that says nothing: a click on the empty canvas
    if changes.selected or changes.selected_edge or changes.deselected:
        learnt["shown"] = changes.selected  # the browser draws its ring by itself
    # What the browser shows now is known; the next event is told apart from it.
    shows = {
        "positions": {node_id: list(changes.moved.get(node_id, place)) for node_id, place in known.items() if node_id in there},
        "edges": {edge_id: ends for edge_id, ends in base["edges"].items() if edge_id in edge_ids},
        "drawn": list(drawn),
    }
    learnt["pushed"] = {**memory["pushed"], heard: shows}
    learnt["heard"] = heard
    if stale or changes.structural or not all(map(_is_place, there.values())):
        learnt["resend"] = True  # also where the graph stays as it is: an edge that it has already, a disk that is full
    return changes


def _sound(value: StreamlitFlowState) -> bool:
    """Whether each part of an event is of the type that the component sends."""
    selected = value.selected_id
    return (
        (selected is None or isinstance(selected, str))
        and all(isinstance(node.id, str) and isinstance(node.data, dict) for node in value.nodes)
        and all(isinstance(part, str) for edge in value.edges for part in (edge.id, edge.source, edge.target))
    )


def _follows(value: StreamlitFlowState, base: Mapping[str, Any]) -> bool:
    """Whether a person can have come from the picture of a push to this one: cards and edges deleted, edges drawn."""
    nodes, edges = {node.id for node in value.nodes}, {edge.id for edge in value.edges}
    if len(nodes) < len(value.nodes) or len(edges) < len(value.edges) or not nodes <= base["positions"].keys():
        return False
    for edge in value.edges:
        known = base["edges"].get(edge.id)
        drawn = edge.id == f"st-flow-edge_{edge.source}-{edge.target}" and {edge.source, edge.target} <= nodes
        if not (drawn if known is None else tuple(known[:2]) == (edge.source, edge.target)):
            return False
    return True


def _revision(value: StreamlitFlowState, memory: Mapping[str, Any]) -> str:
    """The push that an event is based on. A picture without nodes cannot say it: then the last one that was heard of, unless
    the last push had no nodes either."""
    now = str(memory["revision"])
    said = {str(node.data.get("revision")) for node in value.nodes}
    if said:
        return said.pop() if len(said) == 1 else ""  # no push has that name
    return now if not memory["pushed"][now]["positions"] else memory.get("heard", now)


def _is_place(place: tuple[Any, ...]) -> bool:
    """Whether a card can stand there: a document can hold numbers that no browser can, and a browser say none."""
    return all(type(at) in (int, float) and abs(at) <= _FARTHEST for at in place)


def _place(graph: Graph, node_id: str) -> tuple[float, float]:
    place = graph.layout.get(node_id, (0.0, 0.0))
    return place if _is_place(place) else (0.0, 0.0)


def _push(planned: Plan, memory: dict[str, Any], selected: str | None, theme: Theme) -> StreamlitFlowState:
    """The state to send: stamped anew when the graph is not what was last sent, else exactly as it was."""
    graph = planned.graph
    cards = {node.id: card(planned, node, theme) for node in graph.nodes}
    places = {node.id: _place(graph, node.id) for node in graph.nodes}
    edges = {_edge_id(edge): edge for edge in graph.edges}
    look = json.dumps([cards, sorted(edges), [node.id for node in graph.nodes], theme.dark], sort_keys=True)
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
    nodes = [_flow_node(planned, node, cards[node.id], places, selected, theme, memory["revision"]) for node in graph.nodes]
    flow_edges = [_flow_edge(planned, edge, theme) for edge in graph.edges]
    return StreamlitFlowState(nodes, flow_edges, timestamp=memory["timestamp"])


def _flow_node(
    planned: Plan,
    node: Node,
    content: str,
    places: Mapping[str, tuple[float, float]],
    selected: str | None,
    theme: Theme,
    revision: int,
) -> StreamlitFlowNode:
    kind = KINDS.get(node.kind)
    issues = planned.issues_of(node.id)
    faulty = any(issue.follows is None for issue in issues)
    colour = FAMILY_COLOURS[kind.family] if kind else theme.fault
    border = f"1px solid {theme.line}"
    if faulty:
        border = f"2px solid {theme.fault}"
    elif issues or node.bypass:
        border = f"2px dashed {theme.muted}"
    style = {
        "width": f"{_CARD_WIDTH}px",
        "padding": "7px 9px 6px 10px",
        "textAlign": "left",
        "background": theme.card,
        "color": theme.text,
        "border": border,
        "borderLeft": f"5px solid {theme.fault if faulty else colour}",
        "borderRadius": "6px",
        "fontSize": "12px",
        "lineHeight": "1.35",
    }
    role = kind.role if kind else "module"
    before = [edge.source for edge in planned.graph.into(node.id)]
    after = [edge.target for edge in planned.graph.out_of(node.id)]
    # A dot that nothing is connected to yet keeps clear of the other one, or no edge could be drawn from it.
    sides = [side for name in before if (side := _side(places, node.id, [name]))]
    leaves = _side(places, node.id, after) or _OPPOSITE[sides[0] if sides else "left"]
    enters = next((side for side in sides if side != leaves), None)
    if enters is None:
        enters = ("top" if leaves in ("left", "right") else "left") if sides else _OPPOSITE[leaves]
    return StreamlitFlowNode(
        node.id,
        places[node.id],
        {"content": content, "revision": revision},
        node_type="input" if role == "source" else "output" if role == "loss" else "default",
        source_position=leaves,
        target_position=enters,
        selected=node.id == selected,
        selectable=True,
        connectable=True,
        deletable=True,
        style=style,
    )


def _side(places: Mapping[str, tuple[float, float]], here: str, others: list[str]) -> str | None:
    """The side of a card that faces what it is connected to; None when it is not connected."""
    other = next((name for name in others if name in places), None)
    if other is None:
        return None
    across, down = places[other][0] - places[here][0], places[other][1] - places[here][1]
    if abs(across) >= _CARD_WIDTH:
        return "right" if across > 0 else "left"
    return "bottom" if down > 0 else "top"


def _flow_edge(planned: Plan, edge: Edge, theme: Theme) -> StreamlitFlowEdge:
    return StreamlitFlowEdge(
        _edge_id(edge),
        edge.source,
        edge.target,
        edge_type="default",
        marker_start={},
        marker_end={"type": "arrowclosed", "color": theme.muted},
        deletable=True,
        focusable=True,
        label=_label(planned.graph, edge),
        label_show_bg=True,
        label_style={"fill": theme.text, "fontSize": "11px"},
        label_bg_style={"fill": theme.background},
        style={"stroke": theme.muted, "strokeWidth": 1.5},
    )


def _label(graph: Graph, edge: Edge) -> str:
    """The port of an edge where its target has several; two edges between the same cards lie on each other and share it."""
    if len(ports_of(graph, graph.node(edge.target))) < 2:
        return ""
    together = [other.port for other in graph.into(edge.target) if other.source == edge.source]
    return ", ".join(together) if together[0] == edge.port else ""


def _edge_id(edge: Edge) -> str:
    return f"{edge.source}>{edge.target}.{edge.port}"


def card(planned: Plan, node: Node, theme: Theme) -> str:
    """The HTML of a node's card: kind and id; shape; parameters with their share of the whole, or the fault."""
    issues = planned.issues_of(node.id)
    shape = shape_text(planned.shapes[node.id]) if node.id in planned.shapes else units.UNKNOWN
    if KINDS.get(node.kind) and KINDS[node.kind].role == "loss":
        shape = "nats per token"
    note = _safe(node.note).replace('"', "&quot;")
    cut = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
    rows = [
        f'<div style="margin:0;font-weight:600;{cut}" title="{note}">{_safe(_title(node))}{" ✎" if node.note else ""}</div>',
        f'<div style="margin:0;display:flex;justify-content:space-between;gap:8px;color:{theme.muted}">'
        f'<span style="margin:0;white-space:nowrap;font-variant-numeric:tabular-nums">{_safe(shape)}</span>'
        f'<span style="margin:0;{cut}">{_safe(node.id)}</span></div>',
    ]
    if issues:
        colour = theme.muted if issues[0].follows else theme.fault
        two_lines = (
            "display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;overflow:hidden;overflow-wrap:anywhere"
        )
        rows.append(f'<div style="margin:0;color:{colour};{two_lines}">{_safe(issues[0].message)}</div>')
    elif node.bypass:
        rows.append(f'<div style="margin:0;color:{theme.muted}">bypassed</div>')
    else:
        rows.append(_parameters(planned, node, theme))
    return (_sheet(theme) if node is planned.graph.nodes[0] else "") + "".join(rows)


def _title(node: Node) -> str:
    """The kind; of a subgraph what it stands for and how often."""
    kind = KINDS.get(node.kind)
    if kind is None or kind.role != "subgraph":
        return node.kind
    name, repeat = node.params.get("template", ""), node.params.get("repeat", 1)
    return f"{repeat} × {name}" if name and repeat != 1 else name or node.kind


def _parameters(planned: Plan, node: Node, theme: Theme) -> str:
    number, total = planned.parameters.get(node.id), planned.total
    share = f"{number / total:.1%}" if number and total else "0"
    text = "no parameters" if number == 0 else f"{units.count(number)} parameters" if number else "parameters not known yet"
    return (
        f'<div style="margin:0">{text}</div>'
        f'<div style="height:3px;margin:4px 0 0;background:{theme.line};border-radius:2px">'
        f'<div style="margin:0;height:3px;width:{share};background:{theme.ring};border-radius:2px"></div></div>'
    )


def _safe(text: str) -> str:
    """Text of a document as HTML that says only itself, in one line, so that Markdown finds nothing in it either."""
    escaped = html.escape(one_line(text)[:200], quote=False)
    return "".join(f"&#{ord(sign)};" if sign in "_*`[]~\\|#$:" else sign for sign in escaped)


def _sheet(theme: Theme) -> str:
    """Style of what the component draws itself; its frame takes none but through the content of a card."""
    return (
        f"<style>.react-flow__node.selected{{box-shadow:0 0 0 3px {theme.ring}!important}}"
        f".react-flow__edge.selected .react-flow__edge-path{{stroke:{theme.ring}!important;stroke-width:3px!important}}"
        f".react-flow__controls-button{{background:{theme.card};border-color:{theme.line};fill:{theme.text}}}"
        f".react-flow__controls-button:hover{{background:{theme.background}}}"
        f".react-flow__handle{{background:{theme.muted};border-color:{theme.card};width:9px;height:9px}}</style>"
    )

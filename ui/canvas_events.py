"""What an event of the canvas means: the difference between the picture that it shows and the push that it is based on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamlit_flow.state import StreamlitFlowState

from cortex.graph import Edge, Graph
from cortex.ports import free_port

# After a push the component sends events of itself: that it took it, that it laid it out. On a busy machine they are seconds
# apart; one that has not come after the longer time was overtaken by another.
_ECHOES = 2
_ECHO_MILLISECONDS, _LATE_MILLISECONDS = 1500, 10_000
# The last moment that a browser can name, and how far from the middle a card can be dragged, in pixels.
_LAST_TIME = 8_640_000_000_000_000
_FARTHEST = 1e6


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


def apply(graph: Graph, changes: Changes) -> Graph:
    """The graph with the user's changes; what is already so, or no longer there, is passed over."""
    for node_id in changes.removed:
        graph = graph.remove(node_id) if node_id in graph else graph
    for edge in changes.disconnected:
        graph = graph.disconnect(edge)
    for source, target in changes.connected:
        port = port_of_drawn(graph, source, target)
        graph = graph.connect(source, target, port) if port else graph
    return graph.move(changes.moved)


def port_of_drawn(graph: Graph, source: str, target: str) -> str | None:
    """The port that a drawn edge leads to: the first free one, else the first; None for one more edge between two cards where
    every port is taken, and where one of them is gone."""
    if source not in graph or target not in graph:
        return None
    port, into = free_port(graph, target), graph.into(target)
    again = any(edge.source == source for edge in into) and any(edge.port == port for edge in into)
    return None if again else port


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
    echo = stale
    if not stale:
        arrived, told = memory.get("arrived") or (at, 0)
        learnt["arrived"] = arrived, told + 1
        echo = at - arrived < (_ECHO_MILLISECONDS if told >= _ECHOES else _LATE_MILLISECONDS)
    changes = Changes(stale=stale, learnt=learnt)
    there = {node.id: (node.position["x"], node.position["y"]) for node in value.nodes}
    known = {node_id: tuple(place) for node_id, place in base["positions"].items()}
    changes.removed = [node_id for node_id in known if node_id not in there]
    changes.moved = {
        node_id: place for node_id, place in there.items() if place != known.get(node_id, place) and is_place(place)
    }
    edge_ids = {edge.id for edge in value.edges}
    gone = set(changes.removed)
    for edge_id, (source, target, port) in base["edges"].items():
        if edge_id not in edge_ids and not {source, target} & gone:
            changes.disconnected.append(Edge(source, target, port))
    drawn = {edge.id: (edge.source, edge.target) for edge in value.edges if edge.id not in base["edges"]}
    changes.connected = [ends for edge_id, ends in drawn.items() if edge_id not in base.get("drawn", ())]
    if value.selected_id not in edge_ids:  # one more between the same cards is not added there, only named
        shown = {(edge.source, edge.target) for edge in value.edges}
        named = [ends for ends in shown if _drawn_id(*ends) == value.selected_id]
        changes.connected += named if len(named) == 1 else []
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
    if stale or changes.structural or not all(map(is_place, there.values())):
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
        drawn = edge.id == _drawn_id(edge.source, edge.target) and {edge.source, edge.target} <= nodes
        if not (drawn if known is None else tuple(known[:2]) == (edge.source, edge.target)):
            return False
    return True


def _drawn_id(source: str, target: str) -> str:
    """The name that the component gives an edge that is drawn."""
    return f"st-flow-edge_{source}-{target}"


def _revision(value: StreamlitFlowState, memory: Mapping[str, Any]) -> str:
    """The push that an event is based on. A picture without nodes cannot say it: then the last one that was heard of, unless
    the last push had no nodes either."""
    now = str(memory["revision"])
    said = {str(node.data.get("revision")) for node in value.nodes}
    if said:
        return said.pop() if len(said) == 1 else ""  # no push has that name
    return now if not memory["pushed"][now]["positions"] else memory.get("heard", now)


def is_place(place: tuple[Any, ...]) -> bool:
    """Whether a card can stand there: a document can hold numbers that no browser can, and a browser say none."""
    return all(type(at) in (int, float) and abs(at) <= _FARTHEST for at in place)

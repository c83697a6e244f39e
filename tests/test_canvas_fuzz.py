"""Events that no user makes: torn, foreign, repeated, late, hostile. None may change the graph, or end in an exception."""

from __future__ import annotations

import copy
import functools
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from streamlit_flow.elements import StreamlitFlowEdge, StreamlitFlowNode
from streamlit_flow.state import StreamlitFlowState
from test_canvas import Browser, Session

from cortex.builder import plan
from cortex.graph import Node, from_json, to_json
from cortex.presets import preset
from ui import canvas, canvas_events
from ui.theme import LIGHT

SMALL = preset("small")
HOSTILE = "<img src=x onerror=alert(1)>"
ACTIONS = ["drag", "connect", "loop", "delete", "click", "pane", "add", "undo", "elsewhere", "old", "again", "spoiled", "lost"]
WRONG = [None, True, -1, 0, 10**400, 1e308, math.nan, math.inf, "", HOSTILE, "norm", [], [1], {}, {"x": 1}]


@pytest.fixture
def session() -> Session:
    return Session(SMALL, Browser()).settle()


def shows_the_graph(session: Session) -> bool:
    shown = session.browser.shown
    return (
        {node.id: (node.position["x"], node.position["y"]) for node in shown.nodes} == dict(session.graph.layout)
        and {edge.id for edge in shown.edges} == {canvas._edge_id(edge) for edge in session.graph.edges}
        and len(shown.nodes) == len(session.graph.nodes)
        and len(shown.edges) == len(session.graph.edges)
    )


def spoiled(session: Session, spoil: Callable[[StreamlitFlowState], Any]) -> StreamlitFlowState:
    """A new event of the browser in which something was changed."""
    session.browser.send()
    event = copy.deepcopy(session.browser.event)
    spoil(event)
    session.browser.event = event
    return event


def node_of(event: StreamlitFlowState, node_id: str = "norm") -> StreamlitFlowNode:
    return next(node for node in event.nodes if node.id == node_id)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: repr(wrong)[:20])
@pytest.mark.parametrize("part", ["id", "data", "revision", "x", "y", "edge id", "source", "target", "selected", "timestamp"])
def test_a_part_that_the_component_never_sends_changes_nothing(part: str, wrong: Any, session: Session) -> None:
    def spoil(event: StreamlitFlowState) -> None:
        edge = StreamlitFlowEdge("st-flow-edge_data-norm", "data", "norm")
        if part in ("id", "data"):
            setattr(node_of(event, "head"), part, wrong)
        elif part == "revision":
            node_of(event).data["revision"] = wrong
        elif part in ("x", "y"):
            node_of(event).position[part] = math.nan if type(wrong) is int and abs(wrong) < 10 else wrong
        elif part in ("edge id", "source", "target"):
            setattr(edge, part.split()[-1], wrong if (part, wrong) != ("target", "norm") else "nobody")
            event.edges.append(edge)
        else:
            setattr(event, {"selected": "selected_id"}.get(part, part), wrong if wrong != "norm" else "nobody")

    spoiled(session, spoil)
    session.settle()
    assert session.graph == SMALL and session.selected is None
    assert shows_the_graph(session)
    assert from_json(to_json(session.graph)) == session.graph


def test_what_the_component_says_in_no_known_form_is_passed_over(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    said: Any
    for said in ("", 7, [], {}, {"nodes": None}, {"nodes": [{}], "edges": []}, {"nodes": [], "edges": [{"type": "x"}]}):
        monkeypatch.setattr("streamlit_flow._st_flow_func", lambda said=said, **_: said)
        memory: dict[str, Any] = {}
        changes = canvas.draw(plan(SMALL), memory, None, LIGHT)
        assert not (changes.structural or changes.moved or changes.stale)


def test_an_event_with_one_card_twice_or_one_that_nobody_pushed_deletes_nothing(session: Session) -> None:
    def twice(event: StreamlitFlowState) -> None:
        event.nodes = [*event.nodes[:-1], copy.deepcopy(event.nodes[0])]

    def foreign(event: StreamlitFlowState) -> None:
        event.nodes[-1].id = "foreign"

    for spoil in (twice, foreign):
        spoiled(session, spoil)
        session.settle()
        assert session.graph == SMALL and shows_the_graph(session)


def test_the_picture_of_another_document_or_of_a_server_that_was_killed_changes_nothing() -> None:
    """Presets have the same ids: what the browser still shows of one would be read as deletions and drags in the other."""
    session = Session(SMALL, Browser()).settle()
    session.browser.delete("block_2")
    session.browser.drag("loss", 500.0, 500.0)
    session.memory = {}
    session.settle()
    assert session.graph == SMALL and shows_the_graph(session)


def test_everything_deleted_before_a_push_arrives_leaves_what_the_push_added(session: Session) -> None:
    session.graph = session.graph.add(Node("extra", "LayerNorm"), (0.0, 500.0))
    pushed = session.sent()
    for node in SMALL.nodes:
        session.browser.delete(node.id)
    session.browser.receive(pushed)
    session.settle()
    assert [node.id for node in session.graph.nodes] == ["extra"] and shows_the_graph(session)


def test_everything_can_be_deleted_and_put_back(session: Session) -> None:
    for node in SMALL.nodes:
        session.browser.delete(node.id)
    session.settle()
    assert session.graph.nodes == () and shows_the_graph(session)
    before = session.pushes
    session.settle()
    assert session.pushes == before
    session.graph = SMALL
    session.settle()
    assert session.graph == SMALL and shows_the_graph(session)


def test_an_event_read_by_a_script_that_was_stopped_is_read_again_by_the_next(session: Session) -> None:
    session.browser.delete("block_2")
    changes = canvas_events.read(session.browser.event, session.memory)
    assert changes.removed == ["block_2"]  # and the script was stopped here
    session.settle()
    assert "block_2" not in session.graph


def test_what_could_not_be_kept_is_shown_again_as_it_was(session: Session) -> None:
    """A full disk: the event counts as read, and the graph is as before."""
    session.browser.disconnect("head", "loss")
    canvas_events.take(session.graph, canvas_events.read(session.browser.event, session.memory), session.memory)
    session.settle()
    assert session.graph == SMALL and shows_the_graph(session)


def test_a_drawn_edge_is_made_once_though_the_push_that_follows_is_late() -> None:
    graph = SMALL.add(Node("sum", "Add"), (0.0, 500.0))
    session = Session(graph, Browser()).settle()
    session.browser.connect("block_1", "sum")
    session.run(deliver=False)
    session.browser.drag("sum", 10.0, 510.0)  # the browser still shows the edge as it drew it
    session.run(deliver=False)
    session.browser.drag("sum", 20.0, 520.0)
    session.settle()
    assert [(edge.source, edge.port) for edge in session.graph.into("sum")] == [("block_1", "in")]
    assert session.graph.layout["sum"] == (20.0, 520.0) and shows_the_graph(session)


def test_a_card_whose_place_no_browser_can_hold_stands_at_the_corner_until_it_is_dragged() -> None:
    session = Session(SMALL.move({"norm": (10**400, 0), "head": (2**60 + 1, 1e300)}), Browser()).settle()
    assert node_of(session.browser.event).position == {"x": 0.0, "y": 0.0}
    before = session.pushes
    session.browser.drag("head", 3.0, 4.0)
    session.settle()
    assert session.pushes == before
    assert session.graph.layout["norm"] == (10**400, 0) and session.graph.layout["head"] == (3.0, 4.0)


def test_a_canvas_that_says_no_number_for_a_place_is_sent_its_picture_once(session: Session) -> None:
    before = session.pushes
    spoiled(session, lambda event: [node.position.update(x=None) for node in event.nodes])
    session.settle()
    assert session.pushes == before + 1 and session.graph == SMALL


def test_random_events_of_every_age_and_kind_make_no_edit_of_their_own_and_end_with_the_graph_on_the_canvas() -> None:
    for seed in range(15):
        draw = random.Random(seed)
        session = Session(SMALL, Browser()).settle()
        past: list[StreamlitFlowState] = []
        kept, still = set(SMALL.edges), set(SMALL._by_id)  # what nobody has deleted, and which cards nobody has dragged
        names = set(SMALL._by_id)
        for _ in range(25):
            ids = [node.id for node in session.browser.shown.nodes]
            action = draw.choice(
                [
                    "drag",
                    "connect",
                    "loop",
                    "delete",
                    "click",
                    "pane",
                    "add",
                    "undo",
                    "elsewhere",
                    "old",
                    "again",
                    "spoiled",
                    "lost",
                ]
            )
            late = draw.random() < 0.3
            if action == "drag" and ids:
                still.discard(name := draw.choice(ids))
                session.browser.drag(name, draw.uniform(-2000, 2000), draw.uniform(-2000, 2000))
            elif action in ("connect", "loop") and ids:
                a = draw.choice(ids)
                session.browser.connect(a, a if action == "loop" else draw.choice(ids))
            elif action == "delete" and ids:
                gone = draw.choice(ids)
                session.browser.delete(gone)
                names.discard(gone)
            elif action in ("click", "pane"):
                session.browser.send(draw.choice(ids) if ids and action == "click" else None)
            elif action == "add":
                name = session.graph.free_id(f"made_{len(past)}")
                session.graph = session.graph.add(Node(name, draw.choice(["LayerNorm", "Add", "Nothing"])), (1.0, 2.0))
                names.add(name)
            elif action == "undo":
                session.settle()
                session.graph, names, kept, still = SMALL, set(SMALL._by_id), set(SMALL.edges), set(SMALL._by_id)
                session.settle()
            elif action == "elsewhere" and session.graph.nodes:  # another tab
                gone = draw.choice(session.graph.nodes).id
                session.graph = session.graph.remove(gone)
                names.discard(gone)
            elif action == "old" and past:
                session.browser.event = copy.deepcopy(draw.choice(past))
                late = False
            elif action == "spoiled":
                spoiled(session, functools.partial(_spoil, draw=draw))
            elif action == "lost":
                session.memory = {}
            if session.browser.event is not None and action != "spoiled":
                past.append(copy.deepcopy(session.browser.event))
            session.run(deliver=not late)
            kept = {edge for edge in kept if edge.source in names and edge.target in names}
            assert names <= set(session.graph._by_id), (seed, action)
            assert kept <= set(session.graph.edges), (seed, action)
            assert all(session.graph.layout[name] == SMALL.layout[name] for name in still & names), (seed, action)
        session.browser.send()
        session.settle()
        session.settle()
        assert shows_the_graph(session), seed
        assert from_json(to_json(session.graph)) == session.graph


def _spoil(event: StreamlitFlowState, draw: random.Random) -> None:
    """Something of the event in a form that the component does not send."""
    wrong = draw.choice(WRONG)
    things = [node.position for node in event.nodes] + [node.data for node in event.nodes]
    what = draw.randrange(5)
    if what == 0 and things:
        thing = draw.choice(things)
        key = draw.choice(["x", "y", "revision"])
        if key in thing and not (key != "revision" and type(wrong) is int and abs(wrong) < 10):
            thing[key] = wrong
    elif what == 1 and event.nodes:
        draw.choice(event.nodes).id = wrong
    elif what == 2:
        event.edges.append(StreamlitFlowEdge(wrong, draw.choice(["data", "nobody", wrong]), wrong))
    elif what == 3:
        event.selected_id = wrong if wrong != "norm" else "nobody"
    else:
        event.timestamp = draw.choice([wrong, -5, 1.5])

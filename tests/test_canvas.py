"""The canvas adapter: what is sent, and what the component's events mean."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from streamlit_flow.elements import StreamlitFlowEdge, StreamlitFlowNode
from streamlit_flow.state import StreamlitFlowState

from cortex.builder import plan
from cortex.graph import Graph, Node
from cortex.presets import preset
from ui import canvas, canvas_events, cards
from ui.plain import plain
from ui.theme import DARK, LIGHT


class Browser:
    """The component as its source has it: takes a push unless it has sent something newer, and tells of each change."""

    def __init__(self, clock: int = 1_000_000) -> None:
        self.clock, self.last, self.shown = clock, 0, None
        self.event: StreamlitFlowState | None = None

    def receive(self, state: StreamlitFlowState) -> None:
        if self.last <= state.timestamp:
            self.shown = copy.deepcopy(state)
            self.send()

    def send(self, selected: str | None = None) -> None:
        self.clock += 7
        self.last = self.clock
        sent = StreamlitFlowState.__new__(StreamlitFlowState)
        sent.nodes = [StreamlitFlowNode.from_dict(copy.deepcopy(node.asdict())) for node in self.shown.nodes]
        sent.edges = [StreamlitFlowEdge.from_dict(copy.deepcopy(edge.asdict())) for edge in self.shown.edges]
        sent.selected_id, sent.timestamp = selected, self.last
        self.event = sent

    def drag(self, node_id: str, x: float, y: float) -> None:
        next(node for node in self.shown.nodes if node.id == node_id).position = {"x": x, "y": y}
        self.send()

    def connect(self, source: str, target: str) -> None:
        edge = StreamlitFlowEdge(f"st-flow-edge_{source}-{target}", source, target)
        if (source, target) not in {(shown.source, shown.target) for shown in self.shown.edges}:
            self.shown.edges.append(edge)
        self.send(edge.id)

    def disconnect(self, source: str, target: str) -> None:
        self.shown.edges = [edge for edge in self.shown.edges if (edge.source, edge.target) != (source, target)]
        self.send()

    def delete(self, node_id: str) -> None:
        self.shown.nodes = [node for node in self.shown.nodes if node.id != node_id]
        self.shown.edges = [edge for edge in self.shown.edges if node_id not in (edge.source, edge.target)]
        self.send()


class Session:
    """A session's side: the graph as the truth, and script runs."""

    def __init__(self, graph: Graph, browser: Browser) -> None:
        self.graph, self.browser, self.memory = graph, browser, {}
        self.selected: str | None = None
        self.pushes = 0
        self.planned = plan(graph, 100)

    def sent(self) -> StreamlitFlowState:
        canvas.begin(self.memory)
        before = self.memory["revision"]
        if self.planned.graph != self.graph:
            self.planned = plan(self.graph, 100)
        state = canvas._push(self.planned, self.memory, self.selected, LIGHT)
        self.pushes += self.memory["revision"] > before
        return state

    def run(self, deliver: bool = True) -> canvas_events.Changes:
        """One script run: what is sent reaches the browser unless it is held back; then the last event is read."""
        state = self.sent()
        event = self.browser.event or state
        changes = canvas_events.read(event, self.memory)
        if deliver:
            self.browser.receive(state)
        self.graph = canvas_events.take(self.graph, changes, self.memory)
        if changes.selected or changes.selected_edge or changes.deselected:
            self.selected = changes.selected
        return changes

    def settle(self) -> Session:
        for _ in range(6):
            self.run()
        return self


@pytest.fixture
def session() -> Session:
    return Session(preset("small"), Browser()).settle()


def test_what_is_sent_is_the_graph(session: Session) -> None:
    shown = session.browser.shown
    assert [node.id for node in shown.nodes] == [node.id for node in session.graph.nodes]
    assert {(edge.source, edge.target) for edge in shown.edges} == {(e.source, e.target) for e in session.graph.edges}


def test_script_runs_without_a_change_send_nothing_new(session: Session) -> None:
    before = session.pushes
    for _ in range(10):
        session.run()
    assert session.pushes == before and session.graph == preset("small")


def test_a_drag_moves_the_node_and_is_not_sent_back(session: Session) -> None:
    before = session.pushes
    session.browser.drag("loss", 300.0, 400.0)
    session.settle()
    assert session.graph.layout["loss"] == (300.0, 400.0)
    assert session.pushes == before


def test_a_drawn_edge_is_an_edge_of_the_graph(session: Session) -> None:
    session.browser.disconnect("head", "loss")
    session.settle()
    assert not session.graph.into("loss")
    session.browser.connect("head", "loss")
    session.settle()
    assert [edge.source for edge in session.graph.into("loss")] == ["head"]
    assert session.graph.nodes == preset("small").nodes


def test_a_second_edge_between_the_same_cards_takes_the_next_port() -> None:
    """The component adds none, and only names the edge that it would have been."""
    graph = preset("small").add(Node("sum", "Add")).connect("block_1", "sum")
    session = Session(graph, Browser()).settle()
    session.browser.connect("block_1", "sum")
    session.settle()
    session.browser.connect("block_1", "norm")
    session.settle()
    session.browser.connect("block_1", "norm")
    session.settle()
    assert [(edge.source, edge.port) for edge in session.graph.into("sum")] == [("block_1", "in"), ("block_1", "in_2")]
    assert [edge.source for edge in session.graph.into("norm")].count("block_1") == 1


def test_a_deleted_node_takes_its_edges_along(session: Session) -> None:
    session.browser.delete("block_2")
    session.settle()
    assert "block_2" not in session.graph and len(session.graph.edges) == 6


def test_a_click_selects_and_a_click_beside_deselects(session: Session) -> None:
    session.browser.send("block_1")
    session.settle()
    assert session.selected == "block_1"
    session.browser.clock += 5000
    session.browser.send(None)
    session.run()
    assert session.selected is None


def test_the_events_that_follow_a_push_do_not_deselect(session: Session) -> None:
    session.graph = session.graph.add(Node("extra", "LayerNorm"), (0.0, 500.0))
    session.selected = "extra"
    session.settle()
    assert session.selected == "extra"
    assert next(node for node in session.browser.shown.nodes if node.id == "extra").selected


def test_a_browser_that_is_slow_to_lay_a_push_out_does_not_deselect(session: Session) -> None:
    """The component tells of a push twice: that it took it, and that it laid it out; on a busy machine seconds apart."""
    session.graph = session.graph.add(Node("extra", "LayerNorm"), (0.0, 500.0))
    session.selected = "extra"
    session.run()
    session.run()
    session.browser.clock += 4000
    session.browser.send(None)
    session.run()
    assert session.selected == "extra"
    session.browser.clock += 4000
    session.browser.send(None)
    session.run()
    assert session.selected is None


def test_a_drag_made_while_a_push_was_on_its_way_is_kept_and_so_is_the_push(session: Session) -> None:
    session.graph = session.graph.add(Node("extra", "LayerNorm"), (0.0, 500.0))
    pushed = session.sent()
    session.browser.drag("loss", 300.0, 400.0)  # the push has not arrived yet
    session.browser.receive(pushed)  # too late: the browser has sent something newer
    session.settle()
    assert "extra" in session.graph and session.graph.layout["loss"] == (300.0, 400.0)
    assert {node.id for node in session.browser.shown.nodes} == {node.id for node in session.graph.nodes}


def test_an_old_event_is_not_read_twice(session: Session) -> None:
    session.browser.delete("block_2")
    session.settle()
    session.graph = session.graph.add(Node("block_2", "GPTBlock"), (0.0, 0.0))
    event = session.browser.event
    session.settle()
    session.browser.event = event
    session.run()
    assert "block_2" in session.graph


@pytest.mark.parametrize("clock", [0, 10**15])
def test_a_browser_whose_clock_is_years_off_works_the_same(clock: int) -> None:
    session = Session(preset("small"), Browser(clock)).settle()
    session.browser.drag("loss", 300.0, 400.0)
    session.settle()
    session.graph = session.graph.add(Node("extra", "LayerNorm"), (0.0, 500.0))
    session.settle()
    assert session.graph.layout["loss"] == (300.0, 400.0)
    assert "extra" in {node.id for node in session.browser.shown.nodes}


def test_random_actions_end_with_the_browser_showing_the_graph() -> None:
    import random

    draw = random.Random(7)
    for _ in range(20):
        session = Session(preset("small"), Browser()).settle()
        for _ in range(30):
            ids = [node.id for node in session.browser.shown.nodes]
            action: Any = draw.choice(("drag", "connect", "delete", "add", "run", "hold"))
            if action == "drag" and ids:
                session.browser.drag(draw.choice(ids), draw.random() * 900, draw.random() * 500)
            elif action == "connect" and len(ids) > 1:
                session.browser.connect(*draw.sample(ids, 2))
            elif action == "delete" and len(ids) > 4:
                session.browser.delete(draw.choice(ids))
            elif action == "add":
                name = session.graph.free_id("extra")
                session.graph = session.graph.add(Node(name, "LayerNorm"), (draw.random() * 900, 0.0))
            session.run(deliver=action != "hold")
        session.settle()
        shown = session.browser.shown
        assert {node.id for node in shown.nodes} == {node.id for node in session.graph.nodes}
        assert {(e.source, e.target) for e in shown.edges} == {(e.source, e.target) for e in session.graph.edges}


def test_text_of_a_document_is_escaped_in_its_card() -> None:
    graph = Graph(nodes=(Node("x", "<script>alert(1)</script>**bold** `code`", {}),))
    content = cards.card(plan(graph), graph.nodes[0], DARK)
    assert "<script>" not in content and "**" not in content and "`" not in content


def test_text_of_others_never_turns_ours_around() -> None:
    assert plain("a\u202eb\u2066c\x00d\x1b\ne") == "abcd e"
    graph = Graph(nodes=(Node("x", "\u202eevil", {}),))
    assert "\u202e" not in cards.card(plan(graph), graph.nodes[0], DARK)
    assert plain("שלום 日本 ümlaut 👩\u200d👧") == "שלום 日本 ümlaut 👩\u200d👧"


def test_a_fault_is_on_its_card_and_what_follows_is_dashed() -> None:
    graph = preset("small").disconnect(preset("small").edges[0])
    session = Session(graph, Browser())
    state = session.sent()
    nodes = {node.id: node for node in state.nodes}
    assert "nothing is connected to it" in nodes["embedding"].data["content"]
    assert nodes["embedding"].style["borderColor"].startswith(LIGHT.fault)
    assert nodes["block_1"].style["borderStyle"].startswith("dashed")


def test_a_card_that_is_mended_keeps_the_edge_of_its_family() -> None:
    """Of a style the browser is told what has changed: a changed `border` would wipe out a `borderLeft` that has not."""
    graph = preset("small").disconnect(preset("small").edges[0])
    styles = [node.style for shown in (graph, preset("small")) for node in Session(shown, Browser()).sent().nodes]
    names = {name for style in styles for name in style}
    assert not [(one, other) for one in names for other in names if one != other and other.startswith(one)]
    assert all(style["borderWidth"].endswith(" 5px") and style["borderStyle"].endswith(" solid") for style in styles)


def test_an_edit_changes_the_text_of_its_own_card_alone() -> None:
    """The browser reads a card anew when its text changes; in a graph of a hundred nodes that is what takes the time."""
    session = Session(preset("small"), Browser())
    before = {node.id: node for node in session.sent().nodes}
    session.graph = session.graph.with_param("block_2", "dim_feedforward", 900)
    after = {node.id: node for node in session.sent().nodes}
    assert [name for name in after if after[name].data["content"] != before[name].data["content"]] == ["block_2"]
    assert after["block_1"].style["--cn-share"] < before["block_1"].style["--cn-share"]


def test_an_edge_back_to_the_start_of_a_row_below_leaves_downwards_and_enters_from_above() -> None:
    graph = preset("small")
    rows = {node.id: (250.0 * (at % 5), 200.0 * (at // 5)) for at, node in enumerate(graph.nodes)}
    graph = graph.move(rows)
    sides = {node.id: (node.source_position, node.target_position) for node in Session(graph, Browser()).sent().nodes}
    last, first = graph.nodes[4].id, graph.nodes[5].id
    assert (sides[last], sides[first]) == (("bottom", "left"), ("right", "top"))
    assert sides[graph.nodes[3].id] == ("right", "left")

"""A graph as an SVG picture: cards and edges where the user has put them, for pages that only show it and for reports.

Colours are CSS variables with those of a light page behind them, so whoever embeds the picture decides about light and dark.
Text of a document is escaped; a picture holds no script and fetches nothing.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import replace

from cortex import units
from cortex.builder import Plan, plan, shape_text
from cortex.colours import FAMILY_COLOURS
from cortex.graph import Edge, Graph, Node
from cortex.ports import ports_of
from cortex.presets import tidy
from cortex.registry import KINDS

# CSS variable: its value on a light page.
COLOURS = {
    "card": "#ffffff", "text": "#1c2230", "muted": "#667085", "line": "#d9dde7",
    "added": "#00794f", "removed": "#c92a2a", "changed": "#b45f00",
}  # fmt: skip
MARKS = {"added": "+", "removed": "−", "changed": "≠"}

_WIDTH, _HEIGHT, _MARGIN = 184, 66, 12
_LETTERS, _SMALL = 20, 21  # that fit a line of a card: of the bold first one, of shape and id together


def picture(graph: Graph, planned: Plan | None = None, marks: Mapping[str, str] | None = None, *, font: str = "inherit") -> str:
    """The graph as one `<svg>`: kind, shape, id and parameters on each node's card.

    Args:
        planned: the plan of this very graph with its vocabulary; made without one where it is not given.
        marks: "added", "removed" or "changed" for nodes that differ from another graph; drawn as a border and a sign.
        font: family as CSS has it; that of the page around it unless the picture stands alone.
    """
    if not graph.nodes:
        return ""
    planned, places = planned or plan(graph), _places(graph)
    left, top = (min(place[axis] for place in places.values()) - _MARGIN for axis in (0, 1))
    right, bottom = (max(place[axis] for place in places.values()) for axis in (0, 1))
    width, height = right + _WIDTH + _MARGIN - left, bottom + _HEIGHT + _MARGIN - top
    edges = "".join(_edge(graph, edge, places) for edge in graph.edges if edge.source in places and edge.target in places)
    cards = "".join(_card(planned, node, places[node.id], (marks or {}).get(node.id)) for node in graph.nodes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{_safe(f"Graph {graph.name}", 200)}" '
        f'viewBox="{left:.6g} {top:.6g} {width:.6g} {height:.6g}" style="display:block;width:100%;max-width:{width:.0f}px;'
        f'font-family:{html.escape(font)}">{edges}{cards}</svg>'
    )


def picture_of(graph: Graph, vocabulary: int | None, marks: Mapping[str, str] | None = None) -> str:
    """The picture with the shapes and parameters that the graph has with this vocabulary; None where it is not known."""
    return picture(graph, plan(graph, vocabulary), marks)


def _places(graph: Graph) -> dict[str, tuple[float, float]]:
    """Where each card is drawn; a graph with a node that has no place, or cards that would lie on each other, is laid out."""
    places = [graph.layout.get(node.id) for node in graph.nodes]
    sound = all(place and all(abs(at) < 1e6 for at in place) for place in places)  # NaN is not below anything
    if not sound or len(set(places)) < len(places):
        graph = tidy(replace(graph, layout={}))
    return {node.id: graph.layout[node.id] for node in graph.nodes}


def _card(planned: Plan, node: Node, place: tuple[float, float], mark: str | None) -> str:
    x, y = place
    kind = KINDS.get(node.kind)
    family = FAMILY_COLOURS[kind.family] if kind else COLOURS["removed"]
    border, width = (_colour(mark), 2.5) if mark in MARKS else (_colour("muted" if node.bypass else "line"), 1)
    dashed = ";stroke-dasharray:5 4" if node.bypass else ""
    shape = shape_text(planned.shapes[node.id]) if node.id in planned.shapes else units.UNKNOWN
    if kind and kind.role == "loss":
        shape = "nats per token"
    number = planned.parameters.get(node.id)
    weight = (
        "bypassed"
        if node.bypass
        else "no parameters"
        if number == 0
        else f"{units.count(number)} parameters"
        if number
        else "parameters not known"
    )
    sign = _text(x + _WIDTH - 10, y + 20, MARKS[mark], _colour(mark), "font-weight:700;font-size:16px;text-anchor:end") if (
        mark in MARKS
    ) else ""  # fmt: skip
    said = f" ({mark})" if mark in MARKS else ""
    return (
        f"<g><title>{_safe(f'{node.kind} {node.id}{said}', 200)}</title>"
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
        f'style="fill:{_colour("card")};stroke:{border};stroke-width:{width}{dashed}"/>'
        f'<rect x="{x}" y="{y}" width="5" height="{_HEIGHT}" rx="2.5" style="fill:{family}"/>'
        + _text(x + 13, y + 20, _short(title_of(node), _LETTERS), _colour("text"), "font-weight:600;font-size:12.5px")
        + sign
        + _text(x + 13, y + 38, shape, _colour("muted"))
        + _text(
            x + _WIDTH - 9, y + 38, _short(node.id, _SMALL - len(shape)), _colour("muted"), "font-size:11.5px;text-anchor:end"
        )
        + _text(x + 13, y + 55, weight, _colour("muted"))
        + "</g>"
    )


def title_of(node: Node) -> str:
    """The kind of a node; of a subgraph what it stands for and how often."""
    if node.kind not in KINDS or KINDS[node.kind].role != "subgraph":
        return node.kind
    name, repeat = node.params.get("template", ""), node.params.get("repeat", 1)
    return f"{repeat} × {name}" if name and repeat != 1 else name or node.kind


def port_label(graph: Graph, edge: Edge) -> str:
    """The port of an edge where its target has several; two edges between the same cards lie on each other and share it."""
    if len(ports_of(graph, graph.node(edge.target))) < 2 and edge.port == "in":
        return ""
    together = [other.port for other in graph.into(edge.target) if other.source == edge.source]
    return ", ".join(together) if together[0] == edge.port else ""


def _edge(graph: Graph, edge: Edge, places: Mapping[str, tuple[float, float]]) -> str:
    """A curve from the side of one card to the side of the next that faces it, with its arrowhead."""
    (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
    if abs(x2 - x1) >= _WIDTH:
        way = 1 if x2 > x1 else -1
        begin = (x1 + _WIDTH * (way > 0), y1 + _HEIGHT / 2)
        end = (x2 + _WIDTH * (way < 0), y2 + _HEIGHT / 2)
        bend = abs(end[0] - begin[0]) / 2
        curve = f"C{begin[0] + way * bend:.1f},{begin[1]:.1f} {end[0] - way * bend:.1f},{end[1]:.1f} {end[0]:.1f},{end[1]:.1f}"
        head = f"{end[0]:.1f},{end[1]:.1f} {end[0] - way * 8:.1f},{end[1] - 4:.1f} {end[0] - way * 8:.1f},{end[1] + 4:.1f}"
    else:
        way = 1 if y2 > y1 else -1
        begin = (x1 + _WIDTH / 2, y1 + _HEIGHT * (way > 0))
        end = (x2 + _WIDTH / 2, y2 + _HEIGHT * (way < 0))
        bend = abs(end[1] - begin[1]) / 2
        curve = f"C{begin[0]:.1f},{begin[1] + way * bend:.1f} {end[0]:.1f},{end[1] - way * bend:.1f} {end[0]:.1f},{end[1]:.1f}"
        head = f"{end[0]:.1f},{end[1]:.1f} {end[0] - 4:.1f},{end[1] - way * 8:.1f} {end[0] + 4:.1f},{end[1] - way * 8:.1f}"
    line = f'<path d="M{begin[0]:.1f},{begin[1]:.1f} {curve}" style="fill:none;stroke:{_colour("muted")};stroke-width:1.5"/>'
    ports = port_label(graph, edge)
    port = ports and _text(
        (begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2 - 4, _short(ports, 24), _colour("muted"),
        "font-size:11px;text-anchor:middle;paint-order:stroke;stroke:var(--card,#ffffff);stroke-width:3px",
    )  # fmt: skip
    return f'{line}<polygon points="{head}" style="fill:{_colour("muted")}"/>{port}'


def _text(x: float, y: float, text: str, colour: str, style: str = "font-size:11.5px") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" style="fill:{colour};{style}">{_safe(text, 200)}</text>'


def _colour(name: str) -> str:
    return f"var(--{name},{COLOURS[name]})"


def _short(text: str, letters: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= max(letters, 3) else text[: max(letters, 3) - 1] + "…"


def _safe(text: str, letters: int) -> str:
    return html.escape(_short(text, letters))

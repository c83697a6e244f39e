"""Lays out the subgraphs of a graph into their nodes, so that nothing else has to know of them.

The node `attention` of the third copy of the card `block` becomes `block_3_attention`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cortex.checks import Issue
from cortex.graph import MAX_NODES, Edge, Graph, Node, Template
from cortex.params import NodeName, complete, problems
from cortex.registry import KINDS


@dataclass(frozen=True)
class Place:
    """Where a node of a laid-out graph comes from: its card, and the way to it through templates, with the copies."""

    card: str
    path: tuple[str, ...]
    copies: tuple[int, ...]

    @property
    def words(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True)
class Expanded:
    """A graph without subgraphs: where its nodes come from, and the node whose value each card gives.

    `issues` are those of cards that cannot be laid out; they are left as they stand.
    """

    graph: Graph
    places: Mapping[str, Place] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    issues: tuple[Issue, ...] = ()


def expand(graph: Graph) -> Expanded:
    """The graph with every subgraph laid out."""
    cards = [node for node in graph.nodes if _is_card(node)]
    if not cards:
        return Expanded(graph)
    issues = list(_faults(graph, cards))
    bad = {issue.node for issue in issues}
    places: dict[str, Place] = {}
    outputs: dict[str, str] = {}
    while waiting := [node for node in graph.nodes if _is_card(node) and node.id not in bad]:
        taken, sound = {node.id for node in graph.nodes}, []
        for card in waiting:
            template, repeat = graph.templates[card.params["template"]], _repeat(card)
            root = places.get(card.id, Place(card.id, (), ()))
            parts = {
                part_id(card.id, copy, node.id): Place(root.card, (*root.path, node.id), (*root.copies, copy))
                for copy in range(1, repeat + 1)
                for node in template.nodes
            }
            twice = sorted(parts.keys() & taken)
            if twice:
                bad.add(card.id)
                what = f"its part {twice[0]} has the name of another node"
                issues.append(Issue(root.card, "id", what, "rename one of the two"))
                continue
            places |= parts
            taken = (taken - {card.id}) | parts.keys()
            outputs[card.id] = part_id(card.id, repeat, template.output)
            sound.append(card)
        graph = lay_out(graph, *sound)
    return Expanded(graph, places, _followed(outputs), tuple(issues))


def lay_out(graph: Graph, *cards: Node) -> Graph:
    """The graph with the nodes of the templates of these cards, in all their copies, in the places of the cards."""
    parts: dict[str, list[Node]] = {}
    edges: list[Edge] = []
    for card in cards:
        template, repeat = graph.templates[card.params["template"]], _repeat(card)
        parts[card.id] = [node for copy in range(1, repeat + 1) for node in _copy(card.id, copy, template)]
        edges += [
            Edge(part_id(card.id, copy, edge.source), part_id(card.id, copy, edge.target), edge.port)
            for copy in range(1, repeat + 1)
            for edge in template.edges
        ]
        first = next(iter(template.inputs))
        for copy in range(2, repeat + 1):
            before = part_id(card.id, copy - 1, template.output)
            edges += [Edge(before, part_id(card.id, copy, name), port) for name, port in template.inputs[first]]
    for edge in graph.edges:
        source = edge.source
        if source in parts:
            card = graph.node(source)
            source = part_id(source, _repeat(card), graph.templates[card.params["template"]].output)
        if edge.target not in parts:
            edges.append(Edge(source, edge.target, edge.port))
            continue
        card = graph.node(edge.target)
        inputs = graph.templates[card.params["template"]].inputs
        for copy in range(1, 2 if edge.port == next(iter(inputs)) else _repeat(card) + 1):
            edges += [Edge(source, part_id(card.id, copy, name), port) for name, port in inputs.get(edge.port, ())]
    nodes = tuple(one for node in graph.nodes for one in parts.get(node.id, (node,)))
    return replace(graph, nodes=nodes, edges=tuple(dict.fromkeys(edges)))


def part_id(card: str, copy: int, node: str) -> str:
    """The id of a node of a card, laid out."""
    return f"{card}_{copy}_{node}"


def template_at(graph: Graph, card: str, way: Iterable[str] = ()) -> str:
    """The name of the template of a card, or of the card that a way through templates leads to; empty where there is none."""
    name = graph.node(card).params.get("template", "")
    for part in way:
        nodes = graph.templates[name].nodes if name in graph.templates else ()
        name = next((node.params.get("template", "") for node in nodes if node.id == part), "")
    return str(name)


def to_cards(issues: Iterable[Issue], expanded: Expanded) -> Iterator[Issue]:
    """The issues of a laid-out graph with those of parts at their card, what all copies have in common told once."""
    told: set[tuple] = set()
    for issue in issues:
        place = expanded.places.get(issue.node or "")
        follows = expanded.places[issue.follows].card if issue.follows in expanded.places else issue.follows
        card = place.card if place else issue.node
        if place and follows == card:
            continue  # told at its root, which is in the same card
        message, hint = (_in_words(text, card, expanded.places) for text in (issue.message, issue.hint))
        if follows:
            found = Issue(card, None, f"waits for {follows}, which has a fault", follows=follows)
            key: tuple = (card, follows)
        elif place:
            copy = "" if set(place.copies) == {1} else f" of copy {'.'.join(map(str, place.copies))}"
            inside = Issue(place.path[-1], issue.field, message, hint)
            found = Issue(card, None, f"inside, {place.words}{copy}: {message}", hint, inside=inside, way=place.path[:-1])
            key = (card, place.words, issue.field, message)
        else:
            found = replace(issue, message=message, hint=hint)
            key = (card, issue.field, message)
        if key not in told:
            told.add(key)
            yield found


def _in_words(text: str, card: str | None, places: Mapping[str, Place]) -> str:
    """A text with the ids of parts as a person knows them."""

    def word(found: re.Match[str]) -> str:
        place = places.get(found[0])
        if place is None:
            return found[0]
        return place.words if place.card == card else f"{place.card} ({place.words})"

    return re.sub(r"\w+", word, text)


def _is_card(node: Node) -> bool:
    return node.kind in KINDS and KINDS[node.kind].role == "subgraph"


def _repeat(card: Node) -> int:
    return complete(KINDS[card.kind].params, card.params)["repeat"]


def _copy(card: str, copy: int, template: Template) -> Iterator[Node]:
    """The nodes of a copy; a setting that names a node of the same template names it in the same copy."""
    ids = {node.id for node in template.nodes}
    for node in template.nodes:
        params = KINDS[node.kind].params if node.kind in KINDS else {}
        named = {name for name in node.params if isinstance(params.get(name), NodeName) and node.params[name] in ids}
        values = {name: part_id(card, copy, value) if name in named else value for name, value in node.params.items()}
        yield replace(node, id=part_id(card, copy, node.id), params=values)


def _faults(graph: Graph, cards: list[Node]) -> Iterator[Issue]:
    """Why cards of the document cannot be laid out."""
    sizes, total = _sizes(graph.templates), len(graph.nodes)
    known = ", ".join(graph.templates)
    hint = f"expected one of {known}" if known else "choose nodes and group them as a template"
    for card in cards:
        name = card.params.get("template", "")
        faults = problems(KINDS[card.kind].params, card.params)
        yield from (Issue(card.id, field, f"{field}={card.params[field]!r} {text}") for field, text in faults.items())
        if faults:
            continue
        if name not in graph.templates:
            what = f"there is no template {name!r} in this document" if name else "no template is chosen"
            yield Issue(card.id, "template", what, hint)
        elif isinstance(sizes[name], str):
            yield Issue(card.id, "template", sizes[name], "take that node out of the template")
        else:
            most = (MAX_NODES - total + 1) // max(1, sizes[name])
            total += _repeat(card) * sizes[name] - 1
            if total > MAX_NODES:
                what = f"makes a graph of {total:,} nodes, expected at most {MAX_NODES:,}"
                yield Issue(card.id, "repeat", what, f"try {most} or fewer" if most > 0 else "take nodes out of the graph")


def _sizes(templates: Mapping[str, Template]) -> dict[str, int | str]:
    """How many nodes each template lays out to, or in words why it cannot be laid out."""
    sizes: dict[str, int | str] = {}

    def size(name: str, above: tuple[str, ...]) -> int | str:
        if name in above:
            return f"template {name} contains itself: {' -> '.join((*above[above.index(name) :], name))}"
        if name not in sizes:
            found: int | str = 0
            for node in templates[name].nodes:
                part = one(name, node, above)
                found = part if isinstance(part, str) else found + part
                if isinstance(found, str):
                    break
            sizes[name] = found
        return sizes[name]

    def one(name: str, node: Node, above: tuple[str, ...]) -> int | str:
        if node.kind in KINDS and KINDS[node.kind].role in ("source", "loss"):
            return f"template {name} has {node.id}, a {node.kind}, which cannot stand in a group"
        if not _is_card(node):
            return 1
        faults = problems(KINDS[node.kind].params, node.params)
        if faults:
            field, text = next(iter(faults.items()))
            return f"template {name} has {node.id}, whose {field}={node.params[field]!r} {text}"
        if node.params.get("template", "") not in templates:
            return f"template {name} has {node.id}, whose template {node.params.get('template', '')!r} is not in this document"
        inner = size(node.params["template"], (*above, name))
        return inner if isinstance(inner, str) else inner * _repeat(node)

    for name in templates:
        size(name, ())
    return sizes


def _followed(outputs: Mapping[str, str]) -> dict[str, str]:
    """Each card with the node that gives its value, which may itself have been a card."""
    found = {}
    for card, name in outputs.items():
        while name in outputs:
            name = outputs[name]
        found[card] = name
    return found

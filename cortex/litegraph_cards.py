"""Subgraphs of the original as templates and cards, where each of them gives one value and nothing in it is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cortex.elements import NAME
from cortex.graph import Edge, Node, Template
from cortex.litegraph import INPUT, INSIDE, OUTPUT, Box, Sheet
from cortex.litegraph_flat import ends_of
from cortex.litegraph_ids import Ids

CARD = "Subgraph"

# The node of a box by the way to it and its id; the port of a node that its input of that number is.
MakeNode = Callable[[str, str], Node]
PortOf = Callable[[str, int], str]


class NoCard(ValueError):
    """A subgraph that cannot be one card; the text says why."""


@dataclass
class Cards:
    """Makes the nodes of a sheet, with a card for each subgraph.

    Args:
        ids: the id of each box by the way to it; of one inside a card, the card's.
    """

    make: MakeNode
    port: PortOf
    templates: dict[str, Template] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)

    def sheet(self, sheet: Sheet, way: str = "", card: str = "") -> Template:
        """The nodes and edges of a sheet; of the outermost one only these count.

        Raises:
            NoCard: a subgraph cannot be one card.
        """
        names: dict[str, str] = {}
        ids = Ids()
        nodes: list[Node] = []
        ports: dict[str, list[str]] = {}
        inputs = {box.key: number for number, box in enumerate(ends_of(sheet, INPUT))} if way else {}
        outputs = [box.key for box in ends_of(sheet, OUTPUT)] if way else []
        for box in sheet.boxes:
            here = f"{way}{box.key}"
            if box.type in (INPUT, OUTPUT):
                continue
            names[box.key] = ids.free(box)
            self.ids[here] = card or names[box.key]
            if box.type in INSIDE:
                template = self._template(box, here, card or names[box.key])
                ports[box.key] = list(self.templates[template].inputs)
                nodes.append(Node(names[box.key], CARD, {"template": template}))
            else:
                nodes.append(self.make(here, names[box.key]))
            self.nodes[here] = nodes[-1]
        edges, leads = [], {}
        for link in sheet.links:
            if link.target not in names:
                continue
            taken = ports.get(link.target)
            if taken is not None and link.port >= len(taken):
                raise NoCard("a link goes into an input that a subgraph has not")
            port = taken[link.port] if taken is not None else self.port(f"{way}{link.target}", link.port)
            if link.source in inputs:
                leads.setdefault(inputs[link.source], []).append((names[link.target], port))
            elif link.source in names:
                if link.source in ports and link.slot > 0:
                    raise NoCard("a subgraph gives more than one value")
                edges.append(Edge(names[link.source], names[link.target], port))
            else:
                raise NoCard("a value passes through a subgraph untouched")
        given = [names.get(link.source) for link in sheet.links if link.target in outputs]
        if way and (len(outputs) != 1 or len(given) != 1 or given[0] is None):
            raise NoCard("a subgraph does not give exactly one value")
        if (way and set(leads) != set(range(len(inputs)))) or (way and not inputs):
            raise NoCard("an input of a subgraph leads nowhere")
        found = {("in" if number == 0 else f"in_{number + 1}"): tuple(leads[number]) for number in sorted(leads)}
        return Template(tuple(nodes), tuple(dict.fromkeys(edges)), found, given[0] if way and given[0] else "")

    def _template(self, box: Box, here: str, card: str) -> str:
        """The name of the template of a subgraph; equal ones share one."""
        if box.inner is None:
            raise NoCard("a subgraph is empty")
        made = self.sheet(box.inner, f"{here}/", card)
        titles = (str(box.properties.get("template_name", "")), re.sub(r"\.json$", "", box.file), box.title, "group")
        stem = next(name for name in map(_named, titles) if name)
        name, number = stem, 2
        while self.templates.get(name, made) != made:
            name, number = f"{stem} {number}", number + 1
        self.templates[name] = made
        return name


def _named(title: str) -> str:
    """A title as the name of a template; empty where it cannot be one."""
    name = re.sub(r"[^A-Za-z0-9 _.-]+", "", title).strip()[:56].strip()
    return name if NAME.fullmatch(name) else ""

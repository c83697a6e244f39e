"""Layers that take their width from the data and are no heads: in the middle of a model, as wide as the vocabulary."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from cortex.bypass import passed_by
from cortex.expand import Place, expand, template_at
from cortex.graph import Graph
from cortex.kind import Kind
from cortex.params import AUTO, FROM_VOCABULARY
from cortex.registry import KINDS


@dataclass(frozen=True)
class Middle:
    """`part`: the layer's id where the subgraphs are laid out; `place`: where it comes from, None where it stands in none."""

    part: str
    setting: str
    place: Place | None

    @property
    def node(self) -> str:
        """The node of the document: the layer itself, or the card that it is inside."""
        return self.place.card if self.place else self.part


def middles(graph: Graph) -> Iterator[Middle]:
    """The layers whose width is left to the data, though another one behind them gives the scores that are compared."""
    expanded = expand(passed_by(graph)[0])
    laid_out = expanded.graph
    for node in laid_out.nodes:
        setting = _from_data(KINDS.get(node.kind))
        if setting and node.params.get(setting, AUTO) == AUTO and _is_middle(laid_out, node.id):
            yield Middle(node.id, setting, expanded.places.get(node.id))


def made_middles(before: Graph, after: Graph) -> bool:
    """Whether an edit has put in such a layer, or left the width of one to the data that had its own."""
    for found in middles(after):
        path = found.place.path if found.place else (found.part,)
        template = template_at(after, found.node, path[:-1]) if found.place else ""
        if template and template not in before.templates:
            continue
        old = before.templates[template].nodes if template else before.nodes
        new = after.templates[template].nodes if template else after.nodes
        was = next((node for node in old if node.id == path[-1]), None)
        if len(new) > len(old) if was is None else was.params.get(found.setting, AUTO) != AUTO:
            return True
    return False


def _from_data(kind: Kind | None) -> str | None:
    """The setting of a kind that decides how wide it is, and can be left to the data."""
    names = (kind.output or ()) if kind else ()
    return next((name for name in names if kind and name in kind.params and kind.params[name].auto == FROM_VOCABULARY), None)


def _is_middle(graph: Graph, name: str) -> bool:
    """Whether losses stand behind it, and before each of them a layer that gives another width."""
    waiting, seen, compared = [(name, True)], set(), False
    while waiting:
        at, same_width = waiting.pop()
        for edge in graph.out_of(at):
            kind = KINDS.get(graph.node(edge.target).kind)
            if kind and kind.role == "loss":
                if same_width:
                    return False
                compared = True
            onward = (edge.target, same_width and kind is not None and _keeps_width(kind))
            if onward not in seen:
                seen.add(onward)
                waiting.append(onward)
    return compared


def _keeps_width(kind: Kind) -> bool:
    """Whether what comes out is as wide as what comes in."""
    return bool(kind.joins) or not kind.output or kind.output[-1] in itertools.chain(*kind.inputs.values())

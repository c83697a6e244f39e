"""Edits of one node alone that may mend its fault: another id, another kind, another value of the setting that is at fault."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from cortex.builder import Plan
from cortex.checks import Issue
from cortex.graph import Graph, Node
from cortex.params import AUTO, Bool, Choice, Int, NodeName, Param, Text, complete
from cortex.registry import KINDS
from cortex.rework import rename_node, set_many

# A whole number is tried this far up and down from the one that does not fit.
_NEAREST = 64

Guess = tuple[str, Graph]


def identities(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """Another id or another kind."""
    graph = planned.graph
    if issue.field == "id":
        plain = unicodedata.normalize("NFKC", node.id)
        for flags in (re.NOFLAG, re.ASCII):
            name = re.sub(r"\W+", "_", plain, flags=flags).strip("_") or "node"
            for candidate in (name, f"{name}_1", f"node_{name}"):
                if candidate not in graph:
                    yield f"Rename it to {candidate}", rename_node(graph, node.id, candidate)
    if issue.field == "kind":
        lower = {name.lower(): name for name in KINDS}
        for near in difflib.get_close_matches(node.kind.lower(), lower, 3, 0.5):
            made = replace(node, kind=lower[near])
            yield f"Make it {lower[near]}", _with_node(graph, made)
            if isinstance(KINDS[lower[near]].params.get("causal"), Bool):
                causal = replace(made, params={**node.params, "causal": True})
                yield f"Make it {lower[near]}, causal", _with_node(graph, causal)


def values_of(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """Another value of the setting that is at fault, or none."""
    graph, kind, name = planned.graph, KINDS.get(node.kind), issue.field
    if kind is None or name is None:
        return
    if name not in kind.params:
        near = difflib.get_close_matches(name, kind.params, 1, 0.6) if name in node.params else []
        for right in near if near and near[0] not in node.params else ():
            value = node.params[name]
            yield f"Make it {right}={value}", graph.without_param(node.id, name).with_param(node.id, right, value)
    elif not kind.params[name].applies(complete(kind.params, node.params)) and name in node.params:
        yield f"Remove {name} of {node.id}", graph.without_param(node.id, name)
    else:
        found = node.params.get(name, kind.params[name].default)
        if kind.role == "subgraph" and name == "template" and found not in graph.templates:
            near = difflib.get_close_matches(str(found), graph.templates, 1, 0.4)
            for other in dict.fromkeys([*near, *graph.templates]):
                yield "", graph.with_param(node.id, name, other)
        if isinstance(kind.params[name], NodeName):
            yield from _shared(graph, node, name)
        offered = [int(number) for number in re.findall(r"\d+", _tries(issue.hint))] if type(found) is int else []
        offered.sort(key=lambda value: abs(value - found))
        alike = _alike(planned, node, issue)
        for value in (*offered, *values(kind.params[name], found), *_fitting(planned, node, name)):
            what = node.id if len(alike) == 1 else f"{len(alike)} nodes"
            label = f"Make {what} causal" if name == "causal" and value is True else _emptied(name, what, value)
            yield label, set_many(graph, alike, name, value)
    if name in node.params:
        yield f"Remove {name} of {node.id}", graph.without_param(node.id, name)


def _alike(planned: Plan, node: Node, issue: Issue) -> list[str]:
    """This node and those of its kind that have the very same fault: all blocks, where the width was changed before them."""
    same = [found.node for found in planned.issues if found.follows is None and replace(found, node=node.id) == issue]
    return [one.id for one in planned.graph.of_kind(node.kind) if one.id in same] or [node.id]


def values(param: Param, found: object) -> Iterator[object]:
    """Values that a setting can have: what the one found reads as; auto; its default where the one found is none at all, else
    those nearest to it."""
    wrong = param.problem(found) is not None
    if wrong:
        yield from _read(param, found)
    if param.auto is not None:
        yield AUTO
    if isinstance(param, Choice) and isinstance(found, str):
        near = difflib.get_close_matches(found.lower(), [option.lower() for option in param.options], 1, 0.4)
        yield from (option for option in param.options if option.lower() in near)
    if isinstance(param, Bool) and isinstance(found, bool):
        yield not found
    if wrong:
        yield param.default
    if isinstance(param, Int) and type(found) in (int, float):
        start = round(min(max(found, param.low), param.high))
        for distance in range(_NEAREST + 1):
            yield from (value for value in (start - distance, start + distance) if param.low <= value <= param.high)
    if isinstance(param, Text):
        yield ""
    yield param.default


def _read(param: Param, found: object) -> Iterator[object]:
    """What a value of the wrong type was meant as: 8 for "8" and 8.0, true for "True" and 1."""
    texts = [str(found)] if isinstance(found, str | int | float) else []
    if isinstance(found, float) and found.is_integer():
        texts.append(str(int(found)))
    if isinstance(param, Bool) and found in (0, 1):
        texts.append(str(bool(found)))
    if isinstance(found, bool) and not isinstance(param, Bool):
        return
    for text in texts:
        try:
            yield param.parse(text)
        except ValueError:
            continue


def _tries(hint: str) -> str:
    """The numbers that a hint tells to try."""
    found = re.match(r"try (\d+(?: or \d+)*)", hint)
    return found[1] if found else ""


def _emptied(name: str, node_id: str, value: object) -> str:
    return f"Leave {name} of {node_id} empty" if value == "" else ""


def _shared(graph: Graph, node: Node, name: str) -> Iterator[Guess]:
    """Weights that are shared: sizes that come from the data made so, another node, sizes made equal."""
    other = node.params.get(name)
    for one in (node.id, *([other] if isinstance(other, str) and other in graph else [])):
        params = KINDS[graph.node(one).kind].params if graph.node(one).kind in KINDS else {}
        for setting, param in params.items():
            if param.auto and graph.node(one).params.get(setting, param.default) != AUTO:
                yield "", graph.with_param(one, setting, AUTO)
    for table in graph.of_kind("Embedding"):
        yield "", graph.with_param(node.id, name, table.id)


def _fitting(planned: Plan, node: Node, name: str) -> Iterator[int]:
    """Sizes that stand elsewhere in the graph: of the sequence, of what comes in."""
    if not isinstance(KINDS[node.kind].params[name], Int):
        return
    sizes = [dim.size for shape in planned.shapes.values() for dim in shape if dim.letter == "T"]
    for edge in planned.graph.into(node.id):
        sizes += [dim.size for dim in planned.shapes.get(edge.source, ())[-1:]]
    yield from dict.fromkeys(size for size in sizes if size)


def _with_node(graph: Graph, node: Node) -> Graph:
    return replace(graph, nodes=tuple(node if other.id == node.id else other for other in graph.nodes))

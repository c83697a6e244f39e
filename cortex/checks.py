"""Faults of a graph's wiring: unknown kinds, bad ids, ports without or with two sources, cycles, dead ends."""

from __future__ import annotations

import difflib
import keyword
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import nn

from cortex.graph import Edge, Graph, Node
from cortex.ports import ports_of
from cortex.registry import KINDS

# Names that a node may not have: the model class and its exported form use them. A leading underscore is ours as well.
_OURS = {"logits", "outputs", "new_cache", "loss_weights", "heads", "self"}
RESERVED = frozenset(dir(nn.Module)) | frozenset(vars(nn.Module())) | _OURS


@dataclass(frozen=True)
class Issue:
    """One fault, pinned to a node and a field where it has them. `follows` names the node whose fault this comes from.

    Args:
        inside: of a card's fault the fault of the node inside, as told there; `way`: the cards inside cards that lead to it.
    """

    node: str | None
    field: str | None
    message: str
    hint: str = ""
    follows: str | None = None
    inside: Issue | None = None
    way: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = ".".join(filter(None, (self.node, self.field))) or "graph"
        return f"{where}: {self.message}" + (f"; {self.hint}" if self.hint else "")


@dataclass
class Wiring:
    """`order`: nodes that can be computed, each after its inputs; `inputs`: port -> source of each node."""

    order: list[Node] = field(default_factory=list)
    inputs: dict[str, dict[str, str]] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


def wiring_issues(graph: Graph) -> Wiring:
    """The order of computation and every fault of the wiring."""
    wiring = Wiring()
    known = [node for node in graph.nodes if _known(node, wiring)]
    for node in known:
        wiring.inputs[node.id] = _inputs(graph, node, wiring)
    _order(graph, known, wiring)
    _check_roles(graph, known, wiring)
    return wiring


def _known(node: Node, wiring: Wiring) -> bool:
    same = unicodedata.normalize("NFKC", node.id) == node.id  # Python reads other spellings as this one
    if not same or not node.id.isidentifier() or keyword.iskeyword(node.id) or node.id.startswith("_"):
        wiring.issues.append(
            Issue(
                node.id,
                "id",
                f"{node.id!r} cannot name a node",
                "use letters, digits and _, a letter first, no Python keyword",
            )
        )
    elif node.id in RESERVED:
        wiring.issues.append(Issue(node.id, "id", f"{node.id!r} is a name that torch uses", f"try {node.id}_1"))
    if node.kind not in KINDS:
        near = difflib.get_close_matches(node.kind, KINDS, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(KINDS)}"
        wiring.issues.append(Issue(node.id, "kind", f"there is no node kind {node.kind!r}", hint))
        return False
    return True


def _inputs(graph: Graph, node: Node, wiring: Wiring) -> dict[str, str]:
    """The source of each port, in the order of the ports."""
    kind = KINDS[node.kind]
    ports = ports_of(graph, node)
    edges: dict[str, list[Edge]] = {}
    for edge in graph.into(node.id):
        edges.setdefault(edge.port, []).append(edge)
    for port, found in edges.items():
        if port not in ports:
            what = f"has no input port {port!r}" if ports else "is a source and takes no input"
            most = f" … in_{kind.most}" if kind.most else ""
            hint = f"expected {', '.join(ports)}{most}" if ports else f"remove the edge from {found[0].source}"
            wiring.issues.append(Issue(node.id, port, what, hint))
        elif len(found) > 1:
            names = ", ".join(edge.source for edge in found)
            wiring.issues.append(Issue(node.id, port, f"{len(found)} sources go into one port: {names}", "keep one of them"))
    inputs: dict[str, str] = {}
    for port in ports:
        for edge in edges.get(port, ()):
            source = graph.node(edge.source)
            if source.kind in KINDS and KINDS[source.kind].output is None:
                wiring.issues.append(Issue(node.id, port, f"{edge.source} is a loss and gives nothing on", "remove this edge"))
            elif len(edges[port]) == 1:
                inputs[port] = edge.source
        served = kind.defaults.get(port)
        if port not in edges and served:
            if served in inputs:
                inputs[port] = inputs[served]
        elif port not in edges:
            what = "nothing is connected to it" if len(ports) == 1 else f"nothing is connected to its port {port}"
            wiring.issues.append(Issue(node.id, port, what, "draw an edge into it, or delete the node"))
    return inputs


def _order(graph: Graph, known: list[Node], wiring: Wiring) -> None:
    """Nodes in document order, each after its inputs; what is left over stands in a cycle or behind one."""
    ids = {node.id for node in known}
    sources = {name: {edge.source for edge in graph.into(name)} & ids for name in ids}  # a doubled input can close a cycle too
    missing, at = {name: len(found) for name, found in sources.items()}, {node.id: at for at, node in enumerate(known)}
    ready = [node.id for node in known if not missing[node.id]]
    while ready:
        wiring.order.extend(known[at[name]] for name in ready)
        fed = [target for name in ready for target in {edge.target for edge in graph.out_of(name)} & ids]
        for name in fed:
            missing[name] -= 1
        ready = sorted({name for name in fed if not missing[name]}, key=at.__getitem__)
    done = {node.id for node in wiring.order}
    waiting = [node for node in known if node.id not in done]
    remaining = {node.id for node in waiting}
    left = {node.id: sources[node.id] & remaining for node in waiting}
    in_cycle = [name for name in left if _reaches(name, name, left.__getitem__)]
    told: list[str] = []  # one node of each knot of cycles
    for name in sorted(in_cycle, key=lambda name: not sources[name] - set(in_cycle)):  # what is fed from outside as well first
        root = next((other for other in told if _reaches(name, other, left.__getitem__)), None)
        if root is not None and _reaches(root, name, left.__getitem__):
            wiring.issues.append(Issue(name, None, f"stands in the same cycle as {root}", follows=root))
            continue
        told.append(name)
        cycle = _cycle(name, left)
        others = " -> ".join(cycle if len(cycle) <= 8 else [*cycle[:4], "…", *cycle[-3:]])
        wiring.issues.append(Issue(name, None, f"stands in a cycle: {others}", "remove one edge of it"))
    for name in left:
        if name not in in_cycle:
            root = next(other for other in told if _reaches(name, other, left.__getitem__))
            wiring.issues.append(Issue(name, None, f"waits for {root}, which stands in a cycle", follows=root))


def _reaches(start: str, goal: str, inputs: Callable[[str], set[str]]) -> bool:
    stack, seen = list(inputs(start)), set()
    while stack:
        name = stack.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            stack.extend(inputs(name))
    return False


def _cycle(name: str, left: dict[str, set[str]]) -> list[str]:
    """A shortest cycle through `name`, beginning and ending with it; the names as they feed each other."""
    feeds: dict[str, str] = {}  # a node -> what it feeds on the way to `name`
    front = [name]
    while name not in feeds:
        front = [source for node in front for source in sorted(left[node]) if feeds.setdefault(source, node) is node]
    path = [name, feeds[name]]
    while path[-1] != name:
        path.append(feeds[path[-1]])
    return path


def _check_roles(graph: Graph, known: list[Node], wiring: Wiring) -> None:
    roles = {node.id: KINDS[node.kind].role for node in known}
    sources = [name for name, role in roles.items() if role == "source"]
    if not sources:
        wiring.issues.append(Issue(None, None, "there is no data source", "add one, for example Shakespeare"))
    for extra in sources[1:]:
        wiring.issues.append(Issue(extra, None, f"is a second data source beside {sources[0]}", "keep one of them"))
    losses = [name for name, role in roles.items() if role == "loss"]
    if not losses:
        wiring.issues.append(
            Issue(None, None, "there is no Loss, so nothing could be trained", "add a Loss after the last Linear")
        )
    for name, role in roles.items():
        if role != "loss" and not graph.out_of(name):
            wiring.issues.append(Issue(name, None, "its output goes nowhere", "connect it, or delete the node"))

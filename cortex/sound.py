"""What can be checked once all sizes of a graph are known: shared weights, and losses that would be told the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cortex.call import Call
from cortex.kind import Kind
from cortex.params import Bool, Choice, complete
from cortex.registry import KINDS
from cortex.resolve import Resolver
from cortex.shapes import Shape


def tie(found: Resolver) -> None:
    """Check every layer that shares its weights with another, and count them once."""
    known = {call.node: call for call in found.calls}
    for call in found.calls:
        wanted = call.args.get("tie_to")
        if not wanted or any((issue.node, issue.field) == (call.node, "tie_to") for issue in found.issues):
            continue
        other = known.get(wanted)
        if other is None or other.kind not in _partners(call) or wanted == call.node:
            _no_partner(found, call, other)
        elif other.args.get("tie_to"):
            whose = other.args["tie_to"]
            message = f"tie_to={wanted!r} shares the weights of {whose} itself"
            hint = "leave one of the two empty" if whose == call.node else f"set tie_to={whose}, or leave one of the two empty"
            found.fault(call.node, "tie_to", message, hint)
        elif (mine := _table(call)) != (its := _table(other)):
            sizes = [f"{'V' if rows is None else f'{rows:,}'}×{width:,}" for rows, width in (mine, its)]
            message = f"tie_to={wanted!r} has weights of {sizes[1]}, this layer needs {sizes[0]}"
            found.fault(call.node, "tie_to", message, "make the sizes equal, or leave tie_to empty")
        elif found.parameters.get(call.node) is not None:
            found.parameters[call.node] -= mine[0] * mine[1]


def _no_partner(found: Resolver, call: Call, other: Call | None) -> None:
    wanted = call.args["tie_to"]
    if wanted in found.root:
        return  # that node's own fault is told
    what = "is this node itself" if wanted == call.node else f"is {other.kind}" if other else "is no node here"
    kinds = _partners(call)
    names = [node.id for node in found.graph.of_kind(*kinds) if node.id != call.node]
    hint = f"set it to {' or '.join(names[:4])}, or leave it empty" if names else "leave it empty"
    found.fault(call.node, "tie_to", f"tie_to={wanted!r} {what}, expected {' or '.join(kinds)}", hint)


def leaks(found: Resolver) -> None:
    """The fault of every node that lets a loss of the next token see that token."""
    told = {issue.node for issue in found.issues}
    for loss in found.targets.of_next_token():
        before = set(_ancestors(found, loss))
        for node in found.wiring.order:
            if node.id not in before or node.id not in found.shapes:
                continue
            node_id, kind = node.id, KINDS[node.kind]
            seen = kind.seen_whole(complete(kind.params, node.params)) if kind.inputs else ()
            sources = {port: found.wiring.inputs[node_id].get(port) for port in seen}
            later = [port for port, source in sources.items() if "T" in _letters(found.shapes.get(source))]
            if not later or node_id in told or not _letters(found.shapes.get(node_id)):
                continue
            told.add(node_id)
            where = f" of port {later[0]}" if len(kind.inputs) > 1 else ""
            hint = "choose a causal kind, or a Loss with target Masked"
            setting, value = _makes_causal(kind, complete(kind.params, node.params))
            if setting:
                hint = f"set {setting} to {value}, or choose a Loss with target Masked"
            elif later[0] in kind.whole:
                hint = f"connect {later[0]} to another sequence, SourceTokens of Pairs for one"
            found.fault(
                node_id, setting,
                f"sees later positions{where}, and {loss} compares the next token: the answer would be seen", hint,
            )  # fmt: skip


def _makes_causal(kind: Kind, values: Mapping[str, Any]) -> tuple[str | None, str]:
    """The setting that makes a node look at no later position, and the value that does; None where there is none."""
    for name, param in kind.params.items():
        options = (True, False) if isinstance(param, Bool) else param.options if isinstance(param, Choice) else ()
        for value in options:
            if not kind.is_causal(values) and kind.is_causal({**values, name: value}):
                return name, str(value).lower() if isinstance(value, bool) else value
    return None, ""


def _ancestors(found: Resolver, node_id: str) -> Iterator[str]:
    waiting, seen = [node_id], {node_id}
    while waiting:
        for source in found.wiring.inputs.get(waiting.pop(), {}).values():
            if source not in seen:
                seen.add(source)
                waiting.append(source)
                yield source


def _letters(shape: Shape | None) -> str:
    return "".join(dim.letter for dim in shape or () if dim.is_time)


def _partners(call: Call) -> tuple[str, ...]:
    """The kinds whose weights a layer can share."""
    return ("Embedding",) if "out_features" in call.args else ("Linear", "Embedding")


def _table(call: Call) -> tuple[int | None, int]:
    """Rows and width of a layer's weights."""
    args = call.args
    return (
        (args["out_features"], args["in_features"])
        if "out_features" in args
        else (args["num_embeddings"], args["embedding_dim"])
    )

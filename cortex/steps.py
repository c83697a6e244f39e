"""What an edit of a graph was, in a few words: the name under which it can be undone."""

from __future__ import annotations

from cortex.graph import Edge, Graph, Node


def step_name(before: Graph, after: Graph) -> tuple[str, str]:
    """The edit in words, "Set dropout of block_1 to 0.2", and what it was made to, "block_1.dropout": two edits about the same
    thing can be one step. The second is empty for an edit that stands alone."""
    for find in (_renamed, _nodes, _settings, _training, _edges, _places):
        found = find(before, after)
        if found:
            return found
    return "Change the graph", ""


def _renamed(before: Graph, after: Graph) -> tuple[str, str] | None:
    return (f"Name the graph {after.name}", "name") if after.name != before.name else None


def _nodes(before: Graph, after: Graph) -> tuple[str, str] | None:
    """Nodes that are there no longer, or only now."""
    gone = [node for node in before.nodes if node.id not in after]
    new = [node for node in after.nodes if node.id not in before]
    if len(gone) == len(new) == 1 and gone[0].kind == new[0].kind:
        return f"Rename {gone[0].id} to {new[0].id}", ""
    if new and gone:
        return f"Replace {_listed(gone)} by {_listed(new)}", ""
    if gone or new:
        return f"{'Delete' if gone else 'Add'} {_listed(gone or new)}", ""
    return None


def _listed(nodes: list[Node]) -> str:
    return nodes[0].id if len(nodes) == 1 else f"{len(nodes)} nodes"


def _settings(before: Graph, after: Graph) -> tuple[str, str] | None:
    changed = [
        node for node in after.nodes if before.node(node.id) != node or _differing(before.node(node.id).params, node.params)
    ]
    if not changed:
        return None
    if len(changed) == 1 and before.node(changed[0].id).kind != changed[0].kind:
        return f"Make {changed[0].id} {changed[0].kind}", ""
    if len(changed) == 1 and changed[0].note != before.node(changed[0].id).note:
        return f"Note on {changed[0].id}", f"{changed[0].id}.note"
    if all(node.bypass != before.node(node.id).bypass for node in changed):
        return f"{'Bypass' if changed[0].bypass else 'Use'} {_listed(changed)}", ""
    names = {name for node in changed for name in _differing(before.node(node.id).params, node.params)}
    where = changed[0].id if len(changed) == 1 else f"{len(changed)} nodes"
    if len(names) != 1:
        return f"Change {where}", ""
    (name,) = names
    values = {_written(node.params.get(name, "its default")) for node in changed}
    value = f" to {values.pop()[:40]}" if len(values) == 1 else ""
    return f"Set {name} of {where}{value}", f"{','.join(node.id for node in changed)}.{name}"


def _training(before: Graph, after: Graph) -> tuple[str, str] | None:
    names = _differing(before.training, after.training)
    if len(names) == 1:
        value = _written(after.training.get(names[0], "its default"))
        return f"Set {names[0]} to {value[:40]}", f"training.{names[0]}"
    return (f"Set {len(names)} training settings", "") if names else None


def _edges(before: Graph, after: Graph) -> tuple[str, str] | None:
    gone = [edge for edge in before.edges if edge not in after.edges]
    new = [edge for edge in after.edges if edge not in before.edges]
    if len(new) == 1 and len(gone) <= 1:
        return f"Connect {_ends(new[0])}", ""
    if len(gone) == 1 and not new:
        return f"Disconnect {_ends(gone[0])}", ""
    return (f"Change {len(gone) + len(new)} edges", "") if gone or new else None


def _ends(edge: Edge) -> str:
    return f"{edge.source} to {edge.target}"


def _places(before: Graph, after: Graph) -> tuple[str, str] | None:
    moved = _differing(before.layout, after.layout)
    if not moved:
        return None
    return f"Move {moved[0] if len(moved) == 1 else f'{len(moved)} nodes'}", "layout"


def _written(value: object) -> str:
    return str(value) if value != "" else "nothing"


def _differing(before: dict, after: dict) -> list[str]:
    """Keys whose values differ, in their type too: 1 and true are equal in Python and not in a document."""
    names = dict.fromkeys([*before, *after])
    return [name for name in names if (type(before.get(name)), before.get(name)) != (type(after.get(name)), after.get(name))
            or (name in before) != (name in after)]  # fmt: skip

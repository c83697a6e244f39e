"""Kinds, plans and issues as JSON-ready data, for the command line and the node reference."""

from __future__ import annotations

from typing import Any

from cortex.builder import TRAINING, Plan, shape_text
from cortex.checks import Issue
from cortex.params import complete
from cortex.registry import ordered


def describe_kinds() -> list[dict[str, Any]]:
    """Every node kind with its role, shape rule, help and parameters, sources first, losses last."""
    return [
        {
            "kind": kind.name,
            "role": kind.role,
            "family": kind.family,
            "shape": kind.shape,
            "inputs": list(kind.inputs),
            "causal": kind.is_causal(complete(kind.params, {})),
            "causal_as_set": callable(kind.causal),
            "help": kind.help,
            "params": [
                {"name": name, "default": param.default, "expected": param.expected(), "help": param.help}
                for name, param in kind.params.items()
            ],
        }
        for kind in ordered()
    ]


def reference() -> str:
    """The node reference page as Markdown: docs/nodes.md, made by `make docs`."""
    lines = ["# Node reference", "", "Made from the registry by `make docs`; a test compares the two.", ""]
    letters = "B batch, T time, S time of the source side of Pairs, C width, V scores; … any dimensions before"
    lines += [f"Letters: {letters}; a name that is a parameter stands for its value.", ""]
    for kind in describe_kinds():
        facts = [f"role {kind['role']}", f"shape `{kind['shape']}`"]
        if kind["causal_as_set"]:
            facts.append("whether it looks at later positions hangs on its settings")
        elif kind["role"] == "module":
            facts.append("looks at no later position" if kind["causal"] else "looks at later positions")
        lines += [f"## {kind['kind']}", "", kind["help"], "", "; ".join(facts), ""]
        lines += ["| parameter | default | allowed | what it is |", "| --- | --- | --- | --- |"]
        for param in kind["params"]:
            default = f"`{param['default']}`" if param["default"] != "" else "none"
            lines.append(f"| `{param['name']}` | {default} | {param['expected']} | {param['help']} |")
        lines.append("")
    lines += [
        "## Training settings",
        "",
        "What belongs to the whole run: `training` in a document, `--set training.NAME=VALUE`.",
        "",
    ]
    lines += ["| setting | default | allowed | what it is |", "| --- | --- | --- | --- |"]
    lines += [f"| `{name}` | `{param.default}` | {param.expected()} | {param.help} |" for name, param in TRAINING.items()]
    return "\n".join([*lines, ""])


def describe_plan(planned: Plan) -> dict[str, Any]:
    """Parameters, vocabulary, and every node with its shape and parameter count; None where not known."""
    return {
        "name": planned.graph.name,
        "parameters": planned.total if not planned.issues else None,
        "vocabulary": planned.vocabulary,
        "nodes": [
            {
                "id": node.id,
                "kind": node.kind,
                "shape": shape_text(planned.shapes[node.id]) if node.id in planned.shapes else "",
                "parameters": planned.parameters.get(node.id),
            }
            for node in planned.graph.nodes
        ],
    }


def describe_issue(issue: Issue) -> dict[str, Any]:
    """`node`, `field`, `message`, `hint`, and in `follows` the node whose fault this comes from."""
    return {
        "node": issue.node,
        "field": issue.field,
        "message": issue.message,
        "hint": issue.hint,
        "follows": issue.follows,
    }

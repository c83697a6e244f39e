"""Edits of a graph written as text: `training.lr=3e-4`, `nodes.data.seq_len=128`, `nodes.data.kind=CustomData`,
`model.embedding_dim=256`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cortex.builder import TRAINING
from cortex.graph import Graph, Node
from cortex.params import Param
from cortex.presets import MODEL, set_model
from cortex.registry import KINDS
from cortex.templates import set_part


class SettingError(ValueError):
    """A setting that does not exist or a value that it cannot have; the text says what was expected."""


def apply_setting(graph: Graph, text: str) -> Graph:
    """The graph with the setting `KEY=VALUE` made; SettingError says why it cannot be."""
    key, equals, value = text.partition("=")
    scope, *rest = key.strip().split(".")
    if not equals or scope not in ("training", "nodes", "model", "templates"):
        raise SettingError(
            "expected training.NAME=VALUE, nodes.ID.NAME=VALUE, templates.NAME.ID.NAME=VALUE or model.NAME=VALUE"
        )
    if scope == "templates" and len(rest) >= 3:
        return _set_in_template(graph, ".".join(rest[:-2]), rest[-2], rest[-1], value)
    if scope == "nodes" and len(rest) == 2:
        node_id, name = rest
        if node_id not in graph:
            raise SettingError(f"there is no node {node_id}; the nodes are {', '.join(node.id for node in graph.nodes)}")
        kind = KINDS.get(graph.node(node_id).kind)
        own = kind is not None and "kind" in kind.params and value.strip() not in KINDS  # Loss has a setting of that name
        if name == "kind" and not own:
            return change_kind(graph, node_id, value.strip())
        if kind is None:
            raise SettingError(f"node {node_id} is of the unknown kind {graph.node(node_id).kind!r}")
        return graph.with_param(node_id, name, _parsed(kind.params, name, value))
    if scope in ("nodes", "templates") or len(rest) != 1:
        raise SettingError(f"{key} names no setting; expected training.NAME, nodes.ID.NAME or model.NAME")
    if scope == "training":
        return graph.with_training(rest[0], _parsed(TRAINING, rest[0], value))
    value = _parsed(MODEL, rest[0], value)
    try:
        return set_model(graph, rest[0], value)
    except ValueError as error:
        raise SettingError(str(error)) from None


def _set_in_template(graph: Graph, template: str, node_id: str, name: str, value: str) -> Graph:
    if template not in graph.templates:
        raise SettingError(f"there is no template {template}; the templates are {', '.join(graph.templates) or 'none'}")
    nodes = {node.id: node for node in graph.templates[template].nodes}
    if node_id not in nodes or nodes[node_id].kind not in KINDS:
        raise SettingError(f"template {template} has no node {node_id}; its nodes are {', '.join(nodes)}")
    params = KINDS[nodes[node_id].kind].params
    return set_part(graph, template, node_id, name, _parsed(params, name, value))


def change_kind(graph: Graph, node_id: str, kind: str) -> Graph:
    """The graph with a node of another kind in place of this one; settings that both kinds have are kept.

    Raises:
        SettingError: there is no such kind.
    """
    if kind not in KINDS:
        raise SettingError(f"there is no node kind {kind!r}; expected one of {', '.join(KINDS)}")
    known = KINDS[kind].params
    kept = {
        name: value for name, value in graph.node(node_id).params.items() if name in known and not known[name].problem(value)
    }
    changed = Node(node_id, kind, kept)
    return replace(graph, nodes=tuple(changed if node.id == node_id else node for node in graph.nodes))


def _parsed(params: Mapping[str, Param], name: str, text: str) -> Any:
    if name not in params:
        raise SettingError(f"{name} is not a setting here; expected one of {', '.join(params)}")
    try:
        return params[name].parse(text)
    except ValueError as error:
        raise SettingError(f"{name}: {error}") from None

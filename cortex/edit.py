"""Edits of a graph written as text: `training.lr=3e-4`, `nodes.data.seq_len=128`, `nodes.data.kind=CustomData`,
`model.embedding_dim=256`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cortex.builder import TRAINING
from cortex.graph import Graph, Node
from cortex.params import Choice, Param
from cortex.presets import MODEL, set_model
from cortex.registry import KINDS
from cortex.templates import set_part

_SCOPES = ("training", "nodes", "model", "templates")


class SettingError(ValueError):
    """A setting that does not exist or a value that it cannot have; the text says what was expected."""


def apply_setting(graph: Graph, text: str) -> Graph:
    """The graph with the setting `KEY=VALUE` made; SettingError says why it cannot be."""
    key, equals, value = text.partition("=")
    scope, *rest = key.strip().split(".")
    if not equals or scope not in _SCOPES:
        raise SettingError(
            "expected training.NAME=VALUE, nodes.ID.NAME=VALUE, templates.NAME.ID.NAME=VALUE or model.NAME=VALUE"
        )
    params, name = _params(graph, key.strip())
    if scope == "templates":
        return set_part(graph, ".".join(rest[:-2]), rest[-2], name, _parsed(params, name, value))
    if scope == "nodes":
        own = "kind" in params and value.strip() not in KINDS  # Loss has a setting of that name
        if name == "kind" and not own:
            return change_kind(graph, rest[0], value.strip())
        _check_known(graph.node(rest[0]))
        return graph.with_param(rest[0], name, _parsed(params, name, value))
    if scope == "training":
        return graph.with_training(name, _parsed(params, name, value))
    value = _parsed(params, name, value)
    try:
        return set_model(graph, name, value)
    except ValueError as error:
        raise SettingError(str(error)) from None


def param_of(graph: Graph, key: str) -> Param:
    """The setting that a key names; the kind of a node is a choice among the kinds of its role.

    Raises:
        SettingError: the graph has no such setting.
    """
    params, name = _params(graph, key)
    scope, *rest = key.split(".")
    if scope == "nodes":
        _check_known(graph.node(rest[0]))
        if name == "kind" and name not in params:
            kind = graph.node(rest[0]).kind
            alike = tuple(other for other in KINDS if KINDS[other].role == KINDS[kind].role)
            return Choice(default=kind, options=alike, help="What the node is.")
    if name not in params:
        raise SettingError(f"{name} is not a setting here; expected one of {', '.join(params)}")
    return params[name]


def _params(graph: Graph, key: str) -> tuple[Mapping[str, Param], str]:
    """The settings beside the one that a key names, and its name."""
    scope, *rest = key.split(".")
    if scope == "nodes" and len(rest) == 2:
        if rest[0] not in graph:
            raise SettingError(f"there is no node {rest[0]}; the nodes are {', '.join(node.id for node in graph.nodes)}")
        kind = KINDS.get(graph.node(rest[0]).kind)
        return kind.params if kind else {}, rest[1]
    if scope == "templates" and len(rest) >= 3:
        return _params_in_template(graph, ".".join(rest[:-2]), rest[-2]), rest[-1]
    if scope not in _SCOPES or scope in ("nodes", "templates") or len(rest) != 1:
        raise SettingError(f"{key} names no setting; expected training.NAME, nodes.ID.NAME or model.NAME")
    return TRAINING if scope == "training" else MODEL, rest[0]


def _check_known(node: Node) -> None:
    if node.kind not in KINDS:
        raise SettingError(f"node {node.id} is of the unknown kind {node.kind!r}")


def _params_in_template(graph: Graph, template: str, node_id: str) -> Mapping[str, Param]:
    if template not in graph.templates:
        raise SettingError(f"there is no template {template}; the templates are {', '.join(graph.templates) or 'none'}")
    nodes = {node.id: node for node in graph.templates[template].nodes}
    if node_id not in nodes or nodes[node_id].kind not in KINDS:
        raise SettingError(f"template {template} has no node {node_id}; its nodes are {', '.join(nodes)}")
    return KINDS[nodes[node_id].kind].params


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
    changed = replace(graph.node(node_id), kind=kind, params=kept)
    return replace(graph, nodes=tuple(changed if node.id == node_id else node for node in graph.nodes))


def _parsed(params: Mapping[str, Param], name: str, text: str) -> Any:
    if name not in params:
        raise SettingError(f"{name} is not a setting here; expected one of {', '.join(params)}")
    try:
        return params[name].parse(text)
    except ValueError as error:
        raise SettingError(f"{name}: {error}") from None

"""What the guide's buttons do: each is an edit of a graph, as a person would make it on the Build page."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cortex.builder import TRAINING
from cortex.edit import SettingError, apply_setting, change_kind
from cortex.graph import Graph, Node, from_json
from cortex.params import Param, complete
from cortex.presets import preset, tidy
from cortex.recipes import apply_recipe
from cortex.registry import KINDS
from cortex.rework import insert_on_edge, stem

EXAMPLES = Path(__file__).parents[1] / "examples"


class StepError(ValueError):
    """A step that cannot be done on this graph.

    Attributes:
        why: what the page says of it, by its name among the guide's words; empty where it has none for this.
        node: the node that is there already, where that is why.
    """

    def __init__(self, message: str, why: str = "", node: str = "") -> None:
        super().__init__(message)
        self.why, self.node = why, node


def opening(verb: str, *arguments: str) -> Graph:
    """The graph that a step opens: a preset, an example, or an empty one.

    Raises:
        StepError: there is no such step or document.
    """
    if verb == "open":
        return preset(*arguments)
    if verb == "example":
        path = EXAMPLES / f"{arguments[0]}.json"
        if not path.is_file():
            raise StepError(f"there is no example {arguments[0]}")
        return from_json(path.read_text(encoding="utf-8"), path.name)
    if verb == "new":
        return Graph("my-gpt", training={name: TRAINING[name].default for name in ("optimizer", "lr", "epochs")})
    raise StepError(f"there is no step {verb}")


def opens(verb: str) -> bool:
    """Whether a step opens a new graph."""
    return verb in ("open", "example", "new")


def step(graph: Graph, verb: str, *arguments: str) -> Graph:
    """The graph after a step of the guide.

    Raises:
        StepError: it cannot be done on this graph.
    """
    try:
        return _STEPS[verb](graph, *arguments)
    except SettingError as error:
        raise StepError(str(error)) from None


def _source(graph: Graph, kind: str) -> Graph:
    """With this source in the place of the one there is, or as the first node."""
    sources = [node for node in graph.nodes if _role(node) == "source"]
    if sources:
        return change_kind(graph, sources[0].id, kind)
    added = Node(graph.free_id("data"), kind)
    return tidy(Graph(graph.name, (added, *graph.nodes), graph.edges, graph.training, graph.layout, graph.templates))


def _add(graph: Graph, kind: str, *settings: str) -> Graph:
    """With a node behind the last one of the chain. A second block stands behind the first."""
    same = graph.of_kind(kind)
    if same and KINDS[kind].family != "attention":
        raise StepError(f"there is a {kind} already: {same[0].id}", "there already", same[0].id)
    onward = graph.out_of(same[-1].id) if same else []
    if len(onward) == 1:
        graph, added = insert_on_edge(graph, onward[0], kind)
    else:
        sources = [node for node in graph.nodes if node.kind in KINDS and KINDS[node.kind].output]
        ends = [node for node in sources if not graph.out_of(node.id)]
        if not sources:
            raise StepError("there is no node to connect it behind; add a source first", "no source")
        if not ends:
            raise StepError("the chain has its end; click an edge of the canvas to put a node into it", "no end")
        added = graph.free_id(stem(kind))
        graph = graph.add(Node(added, kind)).connect(ends[-1].id, added, next(iter(KINDS[kind].inputs)))
    for setting in settings:
        graph = apply_setting(graph, f"nodes.{added}.{setting}")
    return tidy(graph)


def _blocks(graph: Graph, count: str, *settings: str) -> Graph:
    for _ in range(int(count)):
        graph = _add(graph, "GPTBlock", *settings)
    return graph


def _tie(graph: Graph) -> Graph:
    """With the head sharing the weights of the embedding; which has no bias, so the head's goes."""
    embeddings, heads = graph.of_kind("Embedding"), graph.of_kind("Linear")
    if not embeddings or not heads:
        raise StepError("there is no Embedding and Linear to share weights; add both first", "no head")
    return graph.with_param(heads[-1].id, "tie_to", embeddings[0].id).with_param(heads[-1].id, "bias", False)


def _set(graph: Graph, *settings: str) -> Graph:
    """With settings made; `nodes.*.seq_len` is that of the source."""
    for setting in settings:
        graph = apply_setting(graph, setting.replace("nodes.*.", f"nodes.{_source_of(graph).id}."))
    return graph


def _times(graph: Graph, setting: str, factor: str) -> Graph:
    name = setting.removeprefix("training.")
    value = complete(TRAINING, graph.training)[name]
    return apply_setting(graph, f"{setting}={float(f'{value * float(factor):.2g}')}")


def _halve(graph: Graph) -> Graph:
    """With half the sequences at once and twice as many times before a step."""
    source = _source_of(graph)
    rows = complete(KINDS[source.kind].params, source.params)["batch_size"]
    if type(rows) is not int or rows < 2:
        raise StepError("one sequence at once cannot be halved; shorten seq_len, or make the model smaller", "one sequence")
    times = complete(TRAINING, graph.training)["accumulate"]
    return graph.with_param(source.id, "batch_size", rows // 2).with_training("accumulate", 2 * times)


def _recipe(graph: Graph, name: str) -> Graph:
    return apply_recipe(graph, name)


def _source_of(graph: Graph) -> Node:
    found = next((node for node in graph.nodes if _role(node) == "source"), None)
    if found is None:
        raise StepError("there is no source; add one first", "no source")
    return found


def _role(node: Node) -> str | None:
    return KINDS[node.kind].role if node.kind in KINDS else None


def changes(before: Graph, after: Graph, most: int = 4) -> str:
    """What a step has made of a graph, in signs that any language reads: `+ norm`, `data.seq_len = 256`; empty if nothing."""
    found = [f"+ {node.id}" for node in after.nodes if node.id not in before]
    for node in after.nodes:
        if node.id in before:
            old = before.node(node.id)
            if old.kind != node.kind:
                found.append(f"{node.id}: {node.kind}")
            elif node.kind in KINDS:
                found += _settings(f"{node.id}.", KINDS[node.kind].params, old.params, node.params)
    found += _settings("", TRAINING, before.training, after.training)
    return ", ".join([*found[:most], f"… (+{len(found) - most})"] if len(found) > most + 1 else found)


def _settings(place: str, params: Mapping[str, Param], old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    was, now = complete(params, old), complete(params, new)
    return [f"{place}{name} = {now[name]}" for name in params if was[name] != now[name]]


def chain(graph: Graph, most: int = 12) -> str:
    """The nodes of a graph in a line: `data → embedding → …`."""
    ids = [node.id for node in graph.nodes]
    shown = ids if len(ids) <= most else [*ids[: most - 3], "…", *ids[-2:]]
    return " → ".join(itertools.islice(shown, most + 1))


_STEPS: dict[str, Callable[..., Graph]] = {
    "source": _source, "add": _add, "blocks": _blocks, "tie": _tie, "set": _set, "times": _times, "halve": _halve,
    "recipe": _recipe,
}  # fmt: skip

"""The example documents that come with the application, ready to be trained as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cortex.graph import Graph, Node, from_json
from cortex.presets import PRESETS, preset
from cortex.registry import KINDS
from cortex.source_params import BATCH_PARAMS
from cortex.targets import LABELLED, TAGGED, task_of

_FOLDER = Path(__file__).parents[1] / "examples"

# What each is; the presets are opened by their size.
EXAMPLES = {
    "classifier": "a text's label: a BERT-like encoder, pooled",
    "ner": "people and places in sentences: a BERT-like encoder with a tag for each word",
    "encoder-decoder": "pairs of texts: an encoder, and a decoder that looks at it",
    "masked-encoder": "hidden words: an encoder that fills gaps",
    "multi-token": "a GPT with three heads: the next token and the two after it",
    "gpt-conv": "a GPT of gated convolutions and attention, its residual connections drawn by hand",
}
# What came of each on its validation split, best weights, seed 1; the command and the machine are in README.md.
MEASURED = {
    "classifier": "accuracy 100 %, macro F1 100 %",
    "ner": "F1 over spans 95.7 %",
    "encoder-decoder": "whole rows right 100 %",
    "masked-encoder": "accuracy 89.2 %, 0.361 nats",
    "multi-token": "0.542, 0.814, 1.344 nats one, two, three ahead",
    "gpt-conv": "perplexity 1.76",
}
_BY_TASK = {LABELLED: "classifier", TAGGED: "ner", "Pairs": "encoder-decoder"}


def example(name: str) -> Graph:
    """The document of that name."""
    return from_json((_FOLDER / f"{name}.json").read_text(encoding="utf-8"), name)


def graph_for(source: Node) -> Graph:
    """A graph that learns what this source's data is for: the small preset for a text, else the example of its task.

    Batches are those of the graph; all else of the source is taken over.
    """
    task = KINDS[source.kind].task(source.params) if KINDS[source.kind].task and "type" in source.params else "Text"
    params = {name: value for name, value in source.params.items() if name not in BATCH_PARAMS}
    if task not in _BY_TASK:
        return preset(next(iter(PRESETS)), source.kind, params)
    graph = example(_BY_TASK[task])
    (own,) = [node for node in graph.nodes if KINDS[node.kind].role == "source"]
    batches = {name: value for name, value in own.params.items() if name in BATCH_PARAMS}
    new = Node(own.id, source.kind, {**batches, **params})
    found = replace(graph, nodes=tuple(new if node.id == own.id else node for node in graph.nodes))
    assert task_of(found) == task
    return found

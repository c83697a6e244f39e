"""Graphs for tests: one with a node of each kind, and those that no example shows."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

from conftest import tiny_graph

from cortex.graph import Edge, Graph, Node, Template
from cortex.kind import Kind

PAIR = Template(
    (Node("one", "Linear", {"out_features": 8}), Node("two", "GELU")), (Edge("one", "two"),), {"in": (("one", "in"),)}, "two"
)


def graph_with(kind: Kind, path: Path) -> Graph:
    """A tiny graph in which a node of this kind does its work, every setting at its default."""
    graph = tiny_graph(path)
    if kind.role == "source":
        return dataclasses.replace(graph, nodes=(Node("data", kind.name), *graph.nodes[1:]))
    if kind.reads or kind.whole:
        return encoder_decoder(path, kind.name if kind.whole else "TransformerDecoderLayer")
    same = next((node for node in graph.nodes if node.kind == kind.name), None)
    if same:
        return dataclasses.replace(graph, nodes=tuple(Node(n.id, n.kind) if n is same else n for n in graph.nodes))
    params = {"causal": True} if "causal" in kind.params else {"template": "pair"} if kind.role == "subgraph" else {}
    graph = graph.disconnect(Edge("norm", "head")).add(Node("added", kind.name, params)).connect("added", "head")
    if "C" not in (kind.output or ()) or "T" in (kind.output or ()) or kind.output[0] == "…":
        graph = graph.with_templates({"pair": PAIR})
    else:
        graph = graph.with_param("data", "type", "Labelled")
    for port, source in zip(kind.inputs, itertools.cycle(("norm", "block_1"))):
        graph = graph.connect(source, "added", port)
    return graph


def encoder_decoder(path: Path, decoder: str = "TransformerDecoder") -> Graph:
    """Pairs: an encoder over the source, a decoder over the target that looks at it."""
    graph = tiny_graph(path, {"type": "Pairs"}).remove("block_1").disconnect(Edge("positions", "norm"))
    graph = graph.add(Node("source", "SourceTokens")).add(Node("source_embedding", "Embedding", {"embedding_dim": 8}))
    graph = graph.add(Node("encoder", "TransformerEncoder", {"nhead": 2, "dim_feedforward": 16, "num_layers": 1}))
    graph = graph.add(Node("decoder", decoder, {"nhead": 2, "dim_feedforward": 16}))
    graph = graph.connect("data", "source").connect("source", "source_embedding").connect("source_embedding", "encoder")
    return graph.connect("positions", "decoder", "tgt").connect("encoder", "decoder", "memory").connect("decoder", "norm")


def shapes_no_example_shows(path: Path) -> dict[str, Graph]:
    """Graphs that people could draw and that no example shows."""
    tiny = tiny_graph(path, blocks=3)
    without_positions = tiny.remove("positions").connect("embedding", "block_1")
    between = tiny.disconnect(Edge("norm", "head")).add(Node("narrow", "Linear", {"out_features": 4, "bias": False}))
    through_v = between.without_param("narrow", "out_features").connect("norm", "narrow").connect("narrow", "head")
    nothing_between = Graph(
        "bare",
        (tiny.node("data"), Node("embedding", "Embedding", {"embedding_dim": 5}), Node("head", "Linear"), Node("loss", "Loss")),
        (Edge("data", "embedding"), Edge("embedding", "head"), Edge("head", "loss")),
        tiny.training,
    )
    return {
        "three blocks": tiny,
        "no positions": without_positions,
        "two Linears": between.connect("norm", "narrow").connect("narrow", "head"),
        "a Linear as wide as the vocabulary before the head": through_v,
        "nothing between": nothing_between,
        "norms set differently": tiny.with_param("norm", "eps", 1e-3).with_param("embedding", "embedding_dim", 24),
        "settings of init": tiny.with_param("block_2", "init", "normal").with_param("block_3", "attention_dropout", 0.2),
        "embedding scaled": tiny.with_param("embedding", "init_std", 0.125).with_param("embedding", "scale", 8),
        "tied": tiny.with_param("head", "tie_to", "embedding"),
        "smoothed and weighted": tiny.with_param("loss", "label_smoothing", 0.1).with_param("loss", "weight", 0.5),
        "bigger heads": tiny.with_param("head", "out_features", 40).with_param("embedding", "num_embeddings", 50),
        "whole numbers where fractions may stand": tiny.with_param("positions", "dropout", 0).with_param("loss", "weight", 2),
        **kinds_together(path),
    }


def behind(graph: Graph, *nodes: Node) -> Graph:
    """The graph with these nodes between norm and head."""
    graph, last = graph.disconnect(Edge("norm", "head")), "norm"
    for node in nodes:
        graph, last = graph.add(node).connect(last, node.id), node.id
    return graph.connect(last, "head")


def with_block(graph: Graph, **settings: Any) -> Graph:
    for name, value in settings.items():
        graph = graph.with_param("block_1", name, value)
    return graph


def encoder(graph: Graph) -> Graph:
    """With an encoder layer in the place of the block."""
    graph = graph.remove("block_1").add(Node("encoder", "TransformerEncoderLayer", {"nhead": 2}))
    return graph.connect("positions", "encoder").connect("encoder", "norm")


def kinds_together(path: Path) -> dict[str, Graph]:
    """Graphs of several tasks, streams and losses."""
    tiny = tiny_graph(path)
    second = tiny.add(Node("ahead", "Linear")).add(Node("loss_2", "Loss", {"target": "Offset", "weight": 0.5}))
    three = behind(tiny, Node("wide", "Linear", {"out_features": 4}), Node("side", "Concat"))
    residual = behind(tiny, Node("act", "SiLU"), Node("sum", "Add")).connect("block_1", "sum", "in_2")
    return {
        "two losses of two heads": second.connect("norm", "ahead").connect("ahead", "loss_2"),
        "two losses of one head": second.remove("ahead").connect("head", "loss_2"),
        "a loss of an early block": second.connect("positions", "ahead").connect("ahead", "loss_2"),
        "a residual connection by hand": residual,
        "a Concat of three": three.connect("embedding", "side", "in_2").connect("block_1", "side", "in_3"),
        "Concat with scores of an unknown vocabulary": behind(
            tiny, Node("early", "Linear"), Node("side", "Concat")
        ).connect("block_1", "side", "in_2"),
        "every option of a block": with_block(
            tiny, activation="SwiGLU", norm="RMSNorm", positions="rotary", bias=False, attention="window", window=3,
            num_kv_heads=1,
        ),
        "ALiBi": tiny.with_param("block_1", "positions", "ALiBi"),
        "a convolution": behind(tiny, Node("conv", "Conv1d", {"kernel_size": 3, "dilation": 2, "groups": 8})),
        "an embedding tied to the head": tiny.with_param("embedding", "tie_to", "head"),
        "an encoder and a decoder": encoder_decoder(path),
        "a convolution over the source": encoder_decoder(path).disconnect(Edge("source_embedding", "encoder"))
        .add(Node("conv", "Conv1d", {"causal": False})).connect("source_embedding", "conv").connect("conv", "encoder"),
        "attention over another sequence": encoder_decoder(path).remove("decoder")
        .add(Node("cross", "MultiheadAttention", {"causal": False, "num_heads": 2})).connect("positions", "cross", "query")
        .connect("encoder", "cross", "key").connect("cross", "norm"),
        "a label of a text": behind(tiny, Node("pool", "Pool")).with_param("data", "type", "Labelled"),
        "a label and the next token": second.with_param("data", "type", "Labelled").disconnect(Edge("norm", "head"))
        .add(Node("pool", "Pool", {"kind": "last"})).connect("norm", "pool").connect("pool", "head")
        .connect("block_1", "ahead").connect("ahead", "loss_2"),
        "tags": encoder(tiny).with_param("data", "type", "Tagged"),
        "hidden tokens": encoder(tiny).with_param("loss", "target", "Masked"),
        "hidden tokens, tied": tiny.with_param("loss", "target", "Masked").with_param("head", "tie_to", "embedding"),
        "twelve copies on one card": tiny.remove("block_1").add(Node("blocks", "Subgraph", {"template": "pair", "repeat": 12}))
        .connect("positions", "blocks").connect("blocks", "norm").with_templates({"pair": PAIR}),
    }  # fmt: skip

"""Kinds combined in ways that no example shows: each combination trains, or says at the node why not and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import tiny_graph
from kind_graphs import behind, encoder, encoder_decoder, kinds_together
from same_model import LABELS, batch_for

from cortex.builder import build, plan, shape_text
from cortex.graph import Edge, Graph, Node, Template

V = 25
PATH = Path("text.txt")
Make = Callable[[], Graph]


def tiny() -> Graph:
    return tiny_graph(PATH)


def two_losses() -> Graph:
    graph = tiny().add(Node("other", "Linear")).add(Node("loss_2", "Loss", {"target": "Offset"}))
    return graph.connect("norm", "other").connect("other", "loss_2")


def unequal(kind: str) -> Graph:
    return behind(tiny(), Node("narrow", "Linear", {"out_features": 6}), Node("sum", kind)).connect("norm", "sum", "in_2")


def two_sequences() -> Graph:
    """Source and target one behind the other, which no decoder could write."""
    graph = encoder_decoder(PATH).remove("decoder").add(Node("both", "Concat", {"dim": "time"}))
    return graph.connect("encoder", "both").connect("positions", "both", "in_2").connect("both", "norm")


DECODER = Template(
    (Node("decoder", "TransformerDecoderLayer", {"nhead": 2}), Node("norm", "LayerNorm")),
    (Edge("decoder", "norm"),),
    {"in": (("decoder", "tgt"),), "memory": (("decoder", "memory"),)},
    "norm",
)


def decoder_card(repeat: int = 2) -> Graph:
    graph = encoder_decoder(PATH).remove("decoder").add(Node("card", "Subgraph", {"template": "dec", "repeat": repeat}))
    graph = graph.connect("positions", "card").connect("encoder", "card", "memory").connect("card", "norm")
    return graph.with_templates({"dec": DECODER})


# name: the graph, the node that is told of, what is said of it
WRONG: dict[str, tuple[Make, str, str]] = {
    "unequal widths into Add": (
        lambda: unequal("Add"),
        "sum",
        "norm gives B×T×8 at port in_2; put a Linear with out_features=8 behind narrow",
    ),
    "unequal widths into Multiply": (lambda: unequal("Multiply"), "sum", "its inputs do not fit together: narrow gives B×T×6"),
    "Add of one": (lambda: behind(tiny(), Node("sum", "Add")), "sum", "nothing is connected to its port in_2"),
    "Add of seventeen": (
        lambda: behind(tiny(), Node("sum", "Add")).connect("norm", "sum", "in_2").connect("norm", "sum", "in_17"),
        "sum",
        "has no input port 'in_17'; expected in, in_2 … in_16",
    ),
    "token numbers into Add": (
        lambda: behind(tiny(), Node("sum", "Add")).connect("data", "sum", "in_2"),
        "sum",
        "token numbers B×T",
    ),
    "token numbers into Concat": (
        lambda: behind(tiny(), Node("side", "Concat")).connect("data", "side", "in_2"),
        "side",
        "token numbers B×T at port in_2",
    ),
    "source and target into Add": (
        lambda: (
            encoder_decoder(PATH)
            .add(Node("sum", "Add"))
            .disconnect(Edge("decoder", "norm"))
            .connect("decoder", "sum")
            .connect("encoder", "sum", "in_2")
            .connect("sum", "norm")
        ),
        "sum",
        "encoder gives B×S×8 at port in_2; connect values of equal",
    ),
    "source and target side by side": (
        lambda: (
            encoder_decoder(PATH)
            .add(Node("side", "Concat"))
            .disconnect(Edge("decoder", "norm"))
            .connect("decoder", "side")
            .connect("encoder", "side", "in_2")
            .connect("side", "norm")
        ),
        "side",
        "encoder gives B×S×8; they may differ in width alone",
    ),
    "a decoder without memory": (
        lambda: encoder_decoder(PATH).disconnect(Edge("encoder", "decoder", "memory")),
        "decoder",
        "nothing is connected to its port memory",
    ),
    "a decoder whose memory is its own text": (
        lambda: (
            encoder_decoder(PATH).disconnect(Edge("encoder", "decoder", "memory")).connect("positions", "decoder", "memory")
        ),
        "decoder",
        "sees later positions of port memory, and loss compares the next token",
    ),
    "the answer through the source": (
        lambda: (
            encoder_decoder(PATH)
            .add(Node("cross", "MultiheadAttention", {"causal": False, "num_heads": 2}))
            .disconnect(Edge("encoder", "decoder", "memory"))
            .connect("encoder", "cross", "query")
            .connect("positions", "cross", "key")
            .connect("cross", "decoder", "memory")
        ),
        "cross",
        "sees later positions of port key",
    ),
    "causal attention over another sequence": (
        lambda: (
            encoder_decoder(PATH)
            .remove("decoder")
            .add(Node("cross", "MultiheadAttention", {"num_heads": 2}))
            .connect("positions", "cross", "query")
            .connect("encoder", "cross", "key")
            .connect("cross", "norm")
        ),
        "cross",
        "causal=True counts positions of one sequence, and key is of S, query of T; set causal to false",
    ),
    "a Pool before a token loss": (
        lambda: behind(tiny(), Node("pool", "Pool")),
        "pool",
        "gives one vector for a whole text, and loss compares every token",
    ),
    "a Pool of the source side before a token loss": (
        lambda: (
            encoder_decoder(PATH).remove("decoder").add(Node("pool", "Pool")).connect("encoder", "pool").connect("pool", "norm")
        ),
        "pool",
        "gives one vector for a whole text, and loss compares every token",
    ),
    "a Pool before a block": (
        lambda: behind(tiny(), Node("pool", "Pool"), Node("block", "GPTBlock", {"nhead": 2})),
        "block",
        "received B×8, expected B×T×width; it has no positions any more",
    ),
    "a Pool inside a card": (
        lambda: behind(tiny(), Node("card", "Subgraph", {"template": "p"})).with_templates(
            {"p": Template((Node("pool", "Pool"),), (), {"in": (("pool", "in"),)}, "pool")}
        ),
        "card",
        "inside, pool: gives one vector for a whole text",
    ),
    "a label without a Pool": (
        lambda: tiny().with_param("data", "type", "Labelled"),
        "loss",
        "received scores of every token, B×T×4, expected one row a text",
    ),
    "an encoder before the next token": (
        lambda: encoder(tiny()),
        "encoder",
        "sees later positions, and loss compares the next token",
    ),
    "a convolution that sees later positions": (
        lambda: behind(tiny(), Node("conv", "Conv1d", {"causal": False})),
        "conv",
        "set causal to true, or choose a Loss with target",
    ),
    "two sequences one behind the other": (
        two_sequences,
        "both",
        "joins two sequences into one, and loss compares every token",
    ),
    "SourceTokens of a text": (
        lambda: encoder_decoder(PATH).with_param("data", "type", "Text"),
        "source",
        "gives the source side of Pairs, and the data is Text",
    ),
    "two losses of which one is unreachable": (
        lambda: two_losses().disconnect(Edge("norm", "other")),
        "other",
        "nothing is connected to it",
    ),
    "two losses of which nothing reaches one": (lambda: two_losses().remove("other"), "loss_2", "nothing is connected to it"),
    "one head for a tag and for a token": (
        lambda: encoder(two_losses()).remove("other").connect("head", "loss_2").with_param("data", "type", "Tagged"),
        "head",
        "out_features=auto is not one number: the losses behind it compare labels and vocabulary; give each Loss a Linear",
    ),
    "a tag of an encoder and the next token of it": (
        lambda: encoder(two_losses()).with_param("data", "type", "Tagged"),
        "encoder",
        "and loss_2 compares the next token",
    ),
    "two that share each other's weights": (
        lambda: tiny().with_param("head", "tie_to", "embedding").with_param("embedding", "tie_to", "head"),
        "head",
        "tie_to='embedding' shares the weights of head itself",
    ),
    "shared with a norm": (
        lambda: tiny().with_param("embedding", "tie_to", "norm"),
        "embedding",
        "is LayerNorm, expected Linear or Embed",
    ),
    "a card with an open second port": (
        lambda: decoder_card().disconnect(Edge("encoder", "card", "memory")),
        "card",
        "nothing is connected to its port memory",
    ),
    "odd heads turned in pairs": (
        lambda: tiny().with_param("block_1", "positions", "rotary").with_param("embedding", "embedding_dim", 6),
        "block_1",
        "positions=rotary turns pairs of numbers, and d_model=6 / nhead=2 = 3 is odd",
    ),
    "shared heads that do not divide": (
        lambda: tiny().with_param("block_1", "nhead", 4).with_param("block_1", "num_kv_heads", 3),
        "block_1",
        "num_kv_heads=3 must divide",
    ),
    "groups that do not divide": (
        lambda: behind(tiny(), Node("conv", "Conv1d", {"groups": 3})),
        "conv",
        "groups=3 must divide in_channels=8; try 2 or 4",
    ),
    "too few positions": (
        lambda: behind(tiny(), Node("places", "LearnedPositionalEmbedding", {"max_len": 4})),
        "places",
        "max_len=4 is shorter than seq_len=8",
    ),
    "rows for fewer tokens than are hidden": (
        lambda: encoder(tiny()).with_param("loss", "target", "Masked").with_param("embedding", "num_embeddings", 25),
        "embedding",
        "num_embeddings=25",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_told_once_at_its_node(case: str) -> None:
    make, node, says = WRONG[case]
    planned = plan(make(), V, LABELS)
    roots = [issue for issue in planned.issues if issue.follows is None]
    assert len([issue for issue in roots if issue.node == node and says in str(issue)]) == 1, planned.issues
    assert len({issue.node for issue in roots}) == len(roots) <= 2, planned.issues
    assert {issue.follows for issue in planned.issues} <= {None, *(issue.node for issue in roots)}


@pytest.mark.parametrize("case", ["unequal widths into Add", "a decoder without memory", "a Pool before a token loss"])
def test_it_is_told_before_the_data_is_prepared_too(case: str) -> None:
    make, node, says = WRONG[case]
    issues = [str(issue) for issue in plan(make()).issues_of(node)]
    assert len(issues) == 1 and says.split(";")[0] in issues[0]


def gated() -> Graph:
    """Two inputs into nested cards."""
    inner = Template(
        (Node("gate", "Sigmoid"), Node("turn", "Multiply")),
        (Edge("gate", "turn", "in_2"),),
        {"in": (("turn", "in"),), "gate": (("gate", "in"),)},
        "turn",
    )
    outer = Template(
        (Node("one", "Subgraph", {"template": "inner", "repeat": 2}), Node("norm", "LayerNorm")),
        (Edge("one", "norm"),),
        {"in": (("one", "in"),), "side": (("one", "gate"),)},
        "norm",
    )
    graph = behind(tiny(), Node("card", "Subgraph", {"template": "outer", "repeat": 3})).connect("embedding", "card", "side")
    return graph.with_templates({"inner": inner, "outer": outer})


def sixteen() -> Graph:
    graph = behind(tiny(), Node("sum", "Add"))
    for number in range(2, 17):
        graph = graph.connect("norm", "sum", f"in_{number}")
    return graph


RIGHT: dict[str, Make] = {
    **{name: lambda name=name: kinds_together(PATH)[name] for name in kinds_together(PATH)},
    "two losses": two_losses,
    "nested cards of two inputs": gated,
    "a decoder on a card": decoder_card,
    "an unused template": lambda: tiny().with_templates({"dec": DECODER}),
    "Softmax, LeakyReLU and Identity": lambda: behind(
        tiny(), Node("a", "Softmax"), Node("b", "LeakyReLU"), Node("c", "Identity"), Node("d", "Dropout"), Node("e", "RMSNorm")
    ),
    "sixteen into Add": sixteen,
    "a label of two sequences": lambda: behind(
        encoder(tiny()).with_param("data", "type", "Labelled"), Node("both", "Concat", {"dim": "time"}), Node("pool", "Pool")
    ).connect("encoder", "both", "in_2"),
    "learned positions": lambda: behind(tiny(), Node("places", "LearnedPositionalEmbedding")),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_can_be_trains(case: str) -> None:
    planned = plan(RIGHT[case](), V, LABELS)
    assert planned.issues == (), planned.issues
    assert plan(RIGHT[case]()).issues == (), "it is sound before the data is prepared too"
    torch.manual_seed(1)
    model = build(planned)
    batch = batch_for(planned.graph, V)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    sums = []
    for _ in range(8):
        means = [total / count for total, count in model(batch).values()]
        loss = torch.stack(means).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums.append(loss.item())
    assert sums[-1] < sums[0]
    assert planned.total == sum(parameter.numel() for parameter in model.parameters())
    shapes = {name: x.shape for name, x in model.outputs(batch).items()}
    assert all(shape[0] == 2 for shape in shapes.values())


def test_three_side_by_side_are_as_wide_as_all_of_them() -> None:
    planned = plan(RIGHT["a Concat of three"](), V)
    assert shape_text(planned.shapes["side"]) == "B×T×20"
    planned = plan(RIGHT["Concat with scores of an unknown vocabulary"](), V)
    assert shape_text(planned.shapes["side"]) == f"B×T×{V + 8}"

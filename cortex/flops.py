"""Floating-point operations of training, by formula: runs of different sizes on one axis.

    per token   6 N + 12 L d T       (Chowdhery et al. 2022, appendix B; 6 N: Kaplan et al. 2020, section 2.1)

N: parameters that are multiplied with every token, which is all but those that are only looked up or added by position
(embeddings); a head that shares an embedding's weights multiplies them, so they count. L attention layers of width d over T
tokens, a decoder's over its memory among them: 2 × 2 d T for scores and weighted sums, times 3 for the way back. Nothing is
taken off for the mask, dropout, norms or activations, nor is validation counted.
"""

from __future__ import annotations

from cortex.builder import Plan, plan
from cortex.expand import expand
from cortex.graph import Graph
from cortex.registry import KINDS

FORMULA = "FLOPs = tokens × (6 N + 12 L d T)"
IN_WORDS = (
    "N: parameters without those of embeddings that are only looked up; L: attention layers of width d; T: seq_len "
    "(Kaplan et al. 2020, section 2.1; Chowdhery et al. 2022, appendix B). Validation is not counted."
)


def flops_per_token(graph: Graph, vocabulary: int | None, labels: int | None = None) -> float | None:
    """FLOPs of training on one token, forward and back; None where the graph or its vocabulary does not tell.

    Args:
        vocabulary: number of tokens of the data that the run was started with.
        labels: number of its labels, where it has some.
    """
    planned = plan(expand(graph).graph, vocabulary, labels)
    if planned.issues or planned.total is None:
        return None
    return 6.0 * multiplied(planned) + attention(planned)


def multiplied(planned: Plan) -> int:
    """N: the parameters that every token is multiplied with."""
    tied = {call.args["tie_to"] for call in planned.calls if call.args.get("tie_to")}
    looked_up = (call.node for call in planned.calls if KINDS[call.kind].family == "embedding" and call.node not in tied)
    return planned.total - sum(planned.parameters[node] for node in looked_up)


def attention(planned: Plan) -> float:
    """12 L d T."""
    length = next(call.args["seq_len"] for call in planned.calls if KINDS[call.kind].role == "source")
    layers = (
        (1 + len(KINDS[call.kind].whole), call.args, KINDS[call.kind].output[-1])  # a decoder attends to its memory too
        for call in planned.calls
        if KINDS[call.kind].family == "attention"
    )
    return 12.0 * length * sum(each * args.get("num_layers", 1) * args[width] for each, args, width in layers)

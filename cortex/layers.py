"""The node kinds that are torch modules, all in one place: their code is in kinds/, a file a subject.

A module that mixes or counts positions takes `(x, cache=None)`: `cache` is a dict of its own, empty at first, in which it
keeps what it needs of the positions already seen; `x` then holds only the positions that follow them. One that looks at
positions whose number differs from row to row takes `mask=None`, (B, T) of bool, true where a position is real.
"""

from __future__ import annotations

from cortex.kinds.attention import CausalSelfAttention, MultiheadAttention
from cortex.kinds.basic import (
    GELU,
    Identity,
    LayerNorm,
    LeakyReLU,
    Linear,
    ReLU,
    RMSNorm,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from cortex.kinds.common import Dropout
from cortex.kinds.embedding import Embedding, LearnedPositionalEmbedding, PositionalEncoding, SourceTokens
from cortex.kinds.gpt import GPTBlock
from cortex.kinds.merge import Add, Concat, Multiply
from cortex.kinds.sequence import Conv1d, Pool
from cortex.kinds.subgraph import Subgraph
from cortex.kinds.transformer import (
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "GELU", "Add", "CausalSelfAttention", "Concat", "Conv1d", "Dropout", "Embedding", "GPTBlock", "Identity", "LayerNorm",
    "LeakyReLU", "LearnedPositionalEmbedding", "Linear", "MultiheadAttention", "Multiply", "Pool", "PositionalEncoding",
    "RMSNorm", "ReLU", "SiLU", "Sigmoid", "Softmax", "SourceTokens", "Subgraph", "Tanh", "TransformerDecoder",
    "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
]  # fmt: skip

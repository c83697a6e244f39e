"""What the original calls things, and what it takes where a document says nothing: names alone, beside the registry's own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cortex.litegraph_json import tidy
from cortex.registry import KINDS

# Its node types that go by another name here; all others are looked for among the kinds as they are called.
_TYPES = {"dense": "Linear", "traininggoal": "Loss", "criterion": "Loss", "ptb": "PennTreebank", "textdata": "CustomData"}

# Its node types for pictures.
PICTURES = frozenset(
    {
        "mnist", "fashionmnist", "cifar10", "conv2d", "convtranspose2d", "maxpool", "avgpool", "adaptiveavgpool", "upsample",
        "resize", "pixelshuffle", "zeropad2d", "batchnorm2d", "instancenorm2d", "dropout2d",
    }
)  # fmt: skip

# The layers that it builds and that have a place here, by the only spelling that it knows.
BUILT = frozenset(
    {
        "Add", "Concat", "Dense", "Dropout", "Embedding", "GELU", "GPTBlock", "Identity", "LayerNorm", "LeakyReLU", "Linear",
        "MultiheadAttention", "Multiply", "PositionalEncoding", "ReLU", "SiLU", "Sigmoid", "Softmax", "Tanh",
        "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
    }
)  # fmt: skip

_FLATTEN = "flatten"

# Its other node types without a counterpart, each with what to do instead.
ELSEWHERE = {
    "prelu": "take LeakyReLU",
    "elu": "take GELU or SiLU",
    "hardswish": "take SiLU",
    "hardsigmoid": "take Sigmoid",
    "softplus": "take SiLU",
    "logsoftmax": "delete it, CrossEntropy takes the logarithm itself",
    "alphadropout": "take Dropout",
    "batchnorm1d": "take LayerNorm, which mixes neither positions nor sequences",
    "groupnorm": "take LayerNorm",
    _FLATTEN: "take Pool, which makes one vector of a sequence",
    "reroute": "delete it and link past it",
    "note": "delete it; nodes have notes of their own here",
    "customlayer": "its code is not run; docs/adding-a-kind.md shows how to add a kind",
}

# Settings by another name; the first of these that a kind has is meant.
ALIASES: dict[str, tuple[str, ...]] = {
    "p": ("p", "dropout"),
    "num_heads": ("num_heads", "nhead"),
    "nhead": ("nhead", "num_heads"),
    "seq_length": ("seq_len",),
    "sequence_length": ("seq_len",),
    "batchsize": ("batch_size",),
    "learning_rate": ("lr",),
    "kernel": ("kernel_size",),
    "vocab_size": ("num_embeddings", "vocab_size"),
    "layers": ("num_layers",),
}

# Settings that name the width of what comes in. The original has them and goes by what is connected.
WIDTHS = ("d_model", "embed_dim", "normalized_shape", "in_features")

# What the original takes where a node says nothing.
DEFAULTS: dict[str, dict[str, Any]] = {
    "Embedding": {"embedding_dim": 128},
    "PositionalEncoding": {"max_len": 512, "dropout": 0.1},
    "GPTBlock": {"nhead": 8, "dim_feedforward": 512, "dropout": 0.1},
    "TransformerEncoderLayer": {"nhead": 8, "dim_feedforward": 512, "dropout": 0.1, "norm_first": False},
    "TransformerEncoder": {
        "nhead": 8,
        "num_layers": 6,
        "dim_feedforward": 512,
        "dropout": 0.1,
        "norm_first": False,
        "norm": False,
    },
    "TransformerDecoderLayer": {"nhead": 8, "dim_feedforward": 512, "dropout": 0.1, "norm_first": False},
    "TransformerDecoder": {
        "nhead": 8,
        "num_layers": 6,
        "dim_feedforward": 512,
        "dropout": 0.1,
        "norm_first": False,
        "norm": False,
    },
    "MultiheadAttention": {"num_heads": 8, "dropout": 0.0},
    "Dropout": {"p": 0.5, "dropout": 0.5},
    "LeakyReLU": {"negative_slope": 0.01},
}
TRAINING = {"optimizer": "Adam", "lr": 0.001, "epochs": 10}
BATCH_SIZE, SEQ_LEN, MOMENTUM = 64, 35, 0.9
ADAMW_DECAY = 0.01  # torch's own, which the original leaves as it is

# Its texts; where their files are missing it goes on with random numbers of this many tokens.
TEXTS = ("WikiText2", "WikiText103", "PennTreebank")
MADE_UP = 100


# Its losses and optimizers, the first of each in the place of any other name.
LOSSES = ("CrossEntropy", "MSE", "SmoothL1")
OPTIMIZERS = ("Adam", "SGD", "AdamW")

# Its attention without a mask.
SEES_ALL = (
    "MultiheadAttention",
    "TransformerEncoderLayer",
    "TransformerEncoder",
    "TransformerDecoderLayer",
    "TransformerDecoder",
)

# What a sentence is about (the way to a box, None for the whole document), and the sentence.
Sentence = tuple[str | None, str]

_LARGEST = 10**12  # past it nothing is meant


def normal(name: str) -> str:
    """A type's name by its letters and digits alone."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def kind_of(type_name: str) -> str | None:
    """The kind of this registry that a node type stands for, None where there is none."""
    return _kind_of(type_name, len(KINDS))


@lru_cache(maxsize=4096)
def _kind_of(type_name: str, kinds: int) -> str | None:
    """`kinds`: their number, so that a kind that is registered later is found."""
    known = _known(kinds)
    for name in (type_name, type_name.rpartition("/")[2]):
        found = known.get(normal(name)) or known.get(normal(_TYPES.get(normal(name), "")))
        if found:
            return found
    return None


@lru_cache(maxsize=1)
def _known(kinds: int) -> dict[str, str]:
    return {normal(name): name for name, kind in KINDS.items() if kind.role != "subgraph"}


def last(type_name: str) -> str:
    """The letters and digits of a node type behind its groups: `conv2d` of vision/Conv2d."""
    return normal(type_name.rpartition("/")[2])


def is_picture(type_name: str) -> bool:
    """Whether a node type is for pictures."""
    return last(type_name) in PICTURES


def is_flatten(type_name: str) -> bool:
    """Whether a node type is the one that makes a vector of a picture."""
    return last(type_name) == _FLATTEN


def number(value: Any) -> int | None:
    """A whole number as the original reads it, from a text too; None for anything else."""
    try:
        found = int(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None
    return None if found is None or abs(found) > _LARGEST else found


def count(many: int, what: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{many:,} {what}{'' if many == 1 else 's'}"


def shown(value: Any) -> str:
    """A value of a document for a sentence: short, on one line, without what a terminal would obey."""
    return tidy(repr(value[:80]) if isinstance(value, str) else str(value), 40)

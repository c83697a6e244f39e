"""Plain layers: linear, norms, activations. They work on each vector alone, with any number of dimensions before it."""

from __future__ import annotations

from torch import nn

from cortex.kinds.common import INCOMING_WIDTH
from cortex.params import FROM_VOCABULARY, Bool, Choice, Float, Int, NodeName
from cortex.registry import register


@register(
    role="module",
    family="linear",
    shape="… in_features -> … out_features",
    params={
        "in_features": INCOMING_WIDTH,
        "out_features": Int(
            default="auto",
            low=1,
            high=10_000_000,
            auto=FROM_VOCABULARY,
            help="Width of what goes out; before a Loss, one score for each token or label.",
        ),
        "bias": Bool(default=True, help="Whether a learned number is added to each output."),
        "tie_to": NodeName(
            default="", help="Name of an Embedding whose weights this layer shares; empty for weights of its own."
        ),
    },
)
class Linear(nn.Linear):
    """Multiplies by a learned matrix; before the Loss it turns a vector into one score for each token."""

    def __init__(self, in_features: int, out_features: int, bias: bool, tie_to: str) -> None:
        super().__init__(in_features, out_features, bias)
        self.tie_to = tie_to


@register(
    role="module",
    family="norm",
    shape="… normalized_shape -> … normalized_shape",
    params={
        "normalized_shape": INCOMING_WIDTH,
        "eps": Float(default=1e-5, low=1e-12, high=0.1, help="Added to the variance, so that nothing is divided by 0."),
    },
)
class LayerNorm(nn.LayerNorm):
    """Scales each token's vector to mean 0 and variance 1, then by learned weights (Ba et al. 2016)."""

    def __init__(self, normalized_shape: int, eps: float) -> None:
        super().__init__(normalized_shape, eps=eps)


@register(
    role="module",
    family="norm",
    shape="… normalized_shape -> … normalized_shape",
    params={
        "normalized_shape": INCOMING_WIDTH,
        "eps": Float(default=1e-6, low=1e-12, high=0.1, help="Added to the mean square, so that nothing is divided by 0."),
    },
)
class RMSNorm(nn.RMSNorm):
    """Scales each token's vector to mean square 1, then by learned weights (Zhang & Sennrich 2019)."""

    def __init__(self, normalized_shape: int, eps: float) -> None:
        super().__init__(normalized_shape, eps=eps)


@register(role="module", family="activation", shape="… C -> … C", params={})
class ReLU(nn.ReLU):
    """Sets what is below 0 to 0."""

    def __init__(self) -> None:
        super().__init__()


@register(
    role="module",
    family="activation",
    shape="… C -> … C",
    params={"negative_slope": Float(default=0.01, low=0.0, high=1.0, help="Factor of what is below 0.")},
)
class LeakyReLU(nn.LeakyReLU):
    """Makes what is below 0 smaller, by a slope (Maas et al. 2013)."""

    def __init__(self, negative_slope: float) -> None:
        super().__init__(negative_slope)


@register(
    role="module",
    family="activation",
    shape="… C -> … C",
    params={
        "approximate": Choice(
            default="none", options=("none", "tanh"), help="none: the formula itself. tanh: the estimate that GPT-2 has."
        )
    },
)
class GELU(nn.GELU):
    """Weights each number by the share of a normal distribution below it (Hendrycks & Gimpel 2016)."""

    def __init__(self, approximate: str) -> None:
        super().__init__(approximate)


@register(role="module", family="activation", shape="… C -> … C", params={})
class SiLU(nn.SiLU):
    """Weights each number by its own sigmoid (Elfwing et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()


@register(role="module", family="activation", shape="… C -> … C", params={})
class Sigmoid(nn.Sigmoid):
    """Brings each number between 0 and 1."""

    def __init__(self) -> None:
        super().__init__()


@register(role="module", family="activation", shape="… C -> … C", params={})
class Tanh(nn.Tanh):
    """Brings each number between -1 and 1."""

    def __init__(self) -> None:
        super().__init__()


@register(role="module", family="activation", shape="… C -> … C", params={})
class Softmax(nn.Softmax):
    """Makes each token's vector a share of 1 by its exponentials. A Loss takes scores as they are, without it."""

    def __init__(self) -> None:
        super().__init__(-1)


@register(role="module", family="activation", shape="… C -> … C", params={})
class Identity(nn.Identity):
    """Gives on what comes in: a place to connect several lines to."""

    def __init__(self) -> None:
        super().__init__()

"""The node kinds that are losses: what training makes small, as a sum in nats and the number of tokens in it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import LinearCrossEntropyOptions

from cortex.params import Choice, Float
from cortex.registry import register

# Rows of logits alive at once. 128 to 512 measured alike on a CPU, torch's own choice slower (docs/decisions.md).
_CHUNK = 512


@register(
    role="loss",
    family="loss",
    shape="B T V ->",
    params={
        "kind": Choice(
            default="CrossEntropy",
            options=("CrossEntropy",),
            help="CrossEntropy: minus the log of the probability given to the right token.",
        ),
        "target": Choice(default="Label", options=("Label",), help="Label: the next token of the text."),
        "weight": Float(default=1.0, low=1e-6, high=1000.0, help="Factor of this loss in the sum that is trained."),
    },
)
class Loss(nn.Module):
    """Compares the scores with the next token of the text; training makes it small."""

    def __init__(self, kind: str, target: str, weight: float) -> None:
        super().__init__()
        self.kind, self.target, self.weight = kind, target, weight

    def forward(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, int]:
        """Sum of the cross-entropy in nats over all targets (B, T), and their number; logits (B, T, V)."""
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum"), targets.numel()

    def from_hidden(self, x: Tensor, head: nn.Linear, targets: Tensor) -> tuple[Tensor, int]:
        """The same of head(x) for x (B, T, C), in chunks, so that the logits never exist as a whole."""
        options = LinearCrossEntropyOptions(batch_chunk_size=_CHUNK)
        total = F.linear_cross_entropy(
            x.flatten(0, 1), head.weight, targets.flatten(), linear_bias=head.bias, reduction="sum", options=options
        )
        return total, targets.numel()

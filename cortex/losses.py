"""The node kinds that are losses: what training makes small, as a sum in nats and the number of tokens in it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import LinearCrossEntropyOptions

from cortex.params import Choice, Float
from cortex.registry import register

# Logits alive at once: at most 512 rows and 32 MiB, what a last-level cache holds and glibc's allocator keeps
# (docs/performance.md).
_MOST_ROWS, _MOST_LOGITS = 512, 2**23


@register(
    role="loss",
    family="loss",
    shape="… V ->",
    params={
        "kind": Choice(
            default="CrossEntropy",
            options=("CrossEntropy",),
            help="CrossEntropy: minus the log of the probability given to the right token.",
        ),
        "target": Choice(default="Label", options=("Label",), help="Label: the next token of the text."),
        "weight": Float(default=1.0, low=1e-6, high=1000.0, help="Factor of this loss in the sum that is trained."),
        "label_smoothing": Float(
            default=0.0,
            low=0.0,
            high=0.9,
            help="Share of the target given to all tokens alike, in training alone; perplexity is always without it.",
        ),
    },
)
class Loss(nn.Module):
    """Compares the scores with the next token of the text; training makes it small."""

    def __init__(self, kind: str, target: str, weight: float, label_smoothing: float) -> None:
        super().__init__()
        self.kind, self.target, self.weight, self.label_smoothing = kind, target, weight, label_smoothing

    def forward(self, logits: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
        """Sum of the cross-entropy in nats over all `targets` (B, T) of a batch, and their number; logits (B, T, V)."""
        targets = batch["targets"]  # (B, T)
        smoothing = self.label_smoothing if self.training else 0.0
        logits, flat = logits.flatten(0, 1), targets.flatten()  # (B * T, V), (B * T,)
        return F.cross_entropy(logits, flat, reduction="sum", label_smoothing=smoothing), targets.numel()

    def from_hidden(self, x: Tensor, head: nn.Linear, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
        """The same of head(x) for x (B, T, C), in chunks, so that the logits never exist as a whole."""
        targets = batch["targets"]  # (B, T)
        x, flat = x.flatten(0, 1), targets.flatten()  # (B * T, C), (B * T,)
        rows = max(1, min(_MOST_ROWS, _MOST_LOGITS // head.out_features))
        options = LinearCrossEntropyOptions(batch_chunk_size=rows)
        total = F.linear_cross_entropy(x, head.weight, flat, linear_bias=head.bias, reduction="sum", options=options)
        if self.training and self.label_smoothing:
            total = total + self.label_smoothing * _target_over_mean(x, head, flat)
        return total, targets.numel()


def _target_over_mean(x: Tensor, head: nn.Linear, targets: Tensor) -> Tensor:
    """Sum over the rows of x (N, C) of the target's logit less the mean of all logits, none of which is computed alone.

    With targets smoothed by e (Szegedy et al. 2016, section 7) the loss is (1 - e) * -log p(target) + e * mean(-log p), that
    is -log p(target) + e * (logit(target) - mean(logits)); and the mean of the logits is x by the mean row of the weights.
    """
    rows = F.embedding(targets, head.weight) - head.weight.mean(0)  # (N, C)
    total = (x * rows).sum()
    if head.bias is not None:
        total = total + (head.bias[targets] - head.bias.mean()).sum()
    return total

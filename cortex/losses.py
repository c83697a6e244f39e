"""The node kinds that are losses: what training makes small, as a sum and the number of what it was summed over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import LinearCrossEntropyOptions

from cortex.params import Choice, Float, Int
from cortex.registry import register
from cortex.rows import IGNORED

# Logits alive at once: at most 512 rows and 32 MiB, what a last-level cache holds and glibc's allocator keeps
# (docs/performance.md).
_MOST_ROWS, _MOST_LOGITS = 512, 2**23


def _looks_within(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    if values["target"] == "Offset" and values["offset"] > sizes.get("T", values["offset"]):
        message = f"offset={values['offset']} is past the end of every sequence, which has seq_len={sizes['T']} tokens"
        yield "offset", message, f"set offset to at most {sizes['T']}, or a larger seq_len"


@register(
    role="loss",
    family="loss",
    shape="… V ->",
    params={
        "kind": Choice(
            default="CrossEntropy",
            options=("CrossEntropy", "MSE"),
            help="CrossEntropy: minus the log of the probability given to the right answer, in nats. MSE: squared errors of "
            "the softmax probabilities against 1 for the right answer and 0 for all others, summed over the answers (the score "
            "of Brier 1950, from 0 to 2). Over a large vocabulary its gradient begins very small.",
        ),
        "target": Choice(
            default="Label",
            options=("Label", "Input", "Offset", "Masked"),
            help="What the scores are compared with. Label: the next token of the text, or the label, tag or target token of "
            "the data. Input: the token at the same place. Offset: the token so many places ahead. Masked: tokens that were "
            "hidden from the model.",
        ),
        "offset": Int(
            default=2,
            low=1,
            high=1024,
            only=("target", ("Offset",)),
            help="Tokens ahead: 1 is the next token (multi-token prediction, Gloeckle et al. 2024). Places without such a "
            "token do not count.",
        ),
        "mask_rate": Float(
            default=0.15,
            low=0.01,
            high=0.9,
            only=("target", ("Masked",)),
            help="Share of each row's tokens that the model has to find, at least one. Of these 80 % are replaced by <mask>, "
            "10 % by a random token, 10 % stay (Devlin et al. 2019, section 3.1).",
        ),
        "weight": Float(default=1.0, low=1e-6, high=1000.0, help="Factor of this loss in the sum that is trained."),
        "label_smoothing": Float(
            default=0.0,
            low=0.0,
            high=0.9,
            only=("kind", ("CrossEntropy",)),
            help="Share of the target given to all answers alike, in training alone; perplexity is always without it.",
        ),
    },
    check=_looks_within,
)
class Loss(nn.Module):
    """Compares scores with what the data says is right; training makes it small. The first Loss decides which weights are best.

    Several train together: what is made small is the sum of their means, each times its weight.
    """

    def __init__(self, kind: str, target: str, offset: int, mask_rate: float, weight: float, label_smoothing: float) -> None:
        super().__init__()
        self.kind, self.target, self.offset, self.mask_rate = kind, target, offset, mask_rate
        self.weight, self.label_smoothing = weight, label_smoothing

    def forward(self, scores: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Sum of the loss over all that counts in a batch, and its number; scores (B, T, V), or (B, V) for labels (B,)."""
        targets = self.targets(batch).flatten()  # (N,)
        scores = scores.flatten(0, -2)  # (N, V)
        _check_rows(scores, targets)
        if self.kind == "MSE":
            return _squared_errors(scores, targets), _count(targets)
        smoothing = self.label_smoothing if self.training else 0.0
        return F.cross_entropy(scores, targets, reduction="sum", label_smoothing=smoothing), _count(targets)

    def from_hidden(self, x: Tensor, head: nn.Linear, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The same of head(x) for x (B, T, C) or (B, C). The scores of a cross-entropy never exist as a whole."""
        targets = self.targets(batch).flatten()  # (N,)
        x = x.flatten(0, -2)  # (N, C)
        _check_rows(x, targets)
        if self.target == "Masked":  # most rows do not count, and need no scores
            counts = targets != IGNORED
            x, targets = x[counts], targets[counts]
        if self.kind == "MSE":
            return _squared_errors(head(x), targets), _count(targets)
        rows = max(1, min(_MOST_ROWS, _MOST_LOGITS // head.out_features))
        options = LinearCrossEntropyOptions(batch_chunk_size=rows)
        total = F.linear_cross_entropy(x, head.weight, targets, linear_bias=head.bias, reduction="sum", options=options)
        if self.training and self.label_smoothing:
            total = total + self.label_smoothing * _target_over_mean(x, head, targets)
        return total, _count(targets)

    def targets(self, batch: dict[str, Tensor]) -> Tensor:
        """The right answers, (B, T) or for labels (B,); -100 where nothing is compared."""
        if self.target == "Masked":
            return batch["masked"]
        if self.target == "Offset":
            return _shifted(batch["next"] if "next" in batch else batch["targets"], self.offset - 1)
        return _inputs(batch) if self.target == "Input" else batch["targets"]

    def count(self, batch: dict[str, Tensor]) -> int:
        """How many answers of a batch are compared."""
        return int(_count(self.targets(batch)))


def _check_rows(scores: Tensor, targets: Tensor) -> None:
    if len(scores) != len(targets):
        raise ValueError(f"a loss received {len(scores):,} rows of scores for {len(targets):,} answers to compare them with")


def _count(targets: Tensor) -> Tensor:
    return (targets != IGNORED).sum()


def _inputs(batch: dict[str, Tensor]) -> Tensor:
    """The tokens that the model reads, as they were before any was hidden, without padding."""
    tokens = batch["inputs"]  # (B, T)
    if "masked" in batch:
        tokens = torch.where(batch["masked"] == IGNORED, tokens, batch["masked"])
    if "lengths" in batch:
        places = torch.arange(tokens.size(1), device=tokens.device)  # (T,)
        tokens = tokens.masked_fill(places >= batch["lengths"].unsqueeze(1), IGNORED)
    return tokens


def _shifted(targets: Tensor, places: int) -> Tensor:
    """Each row so many places further on, -100 where it has no more."""
    if not places:
        return targets
    return F.pad(targets[:, places:], (0, min(places, targets.size(1))), value=IGNORED)  # (B, T)


def _squared_errors(scores: Tensor, targets: Tensor) -> Tensor:
    """Sum over rows of sum((p - y)^2) for p = softmax(scores) (N, V) and y 1 at the target: sum(p^2) - 2 p[target] + 1."""
    counts = targets != IGNORED
    p = scores.float().softmax(-1)  # (N, V)
    right = p.gather(1, targets.clamp(min=0).unsqueeze(1)).squeeze(1)  # (N,)
    return ((p.square().sum(-1) - 2 * right + 1) * counts).sum()


def _target_over_mean(x: Tensor, head: nn.Linear, targets: Tensor) -> Tensor:
    """Sum over the rows of x (N, C) of the target's logit less the mean of all logits, none of which is computed alone.

    With targets smoothed by e (Szegedy et al. 2016, section 7) the loss is (1 - e) * -log p(target) + e * mean(-log p), that
    is -log p(target) + e * (logit(target) - mean(logits)); and the mean of the logits is x by the mean row of the weights.
    """
    counts, targets = targets != IGNORED, targets.clamp(min=0)
    rows = F.embedding(targets, head.weight) - head.weight.mean(0)  # (N, C)
    each = (x * rows).sum(-1)  # (N,)
    if head.bias is not None:
        each = each + head.bias[targets] - head.bias.mean()
    return (each * counts).sum()

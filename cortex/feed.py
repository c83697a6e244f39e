"""What a training and an evaluation read of a split: blocks of a text or examples, with tokens hidden where a loss asks for it.

Importable alone: numpy, torch, blocks.py, evaluate.py, examples.py, masking.py, rows.py and scores.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch import Tensor, nn

from cortex.blocks import Batch, Blocks, text_batches
from cortex.evaluate import BATCH_TOKENS, Evaluation, evaluate, judge
from cortex.examples import Examples, row_batches
from cortex.masking import Batches, Hiding, hidden_alike
from cortex.rows import IGNORED, RowArrays
from cortex.scores import tallies

# The tokens of a running text (1 + N,), or the rows of a task.
Split = np.ndarray | RowArrays

# Most scores that an evaluation with metrics has in memory at once.
_MOST_SCORES = 2**24


def hiding_rate(model: nn.Module) -> float | None:
    """The share of tokens that the losses of a model want hidden; None where none does."""
    rates = (getattr(model, name).mask_rate for name in masked_losses(model))
    return next(rates, None)


def masked_losses(model: nn.Module) -> list[str]:
    """The losses of a model that compare hidden tokens."""
    names = getattr(model, "loss_weights", {})
    return [name for name in names if getattr(getattr(model, name, None), "target", "") == "Masked"]


def training_feed(
    split: Split, model: nn.Module, *, seq_len: int, batch_size: int, seed: int, eos: int, vocabulary: int
) -> Batches:
    """The batches that a model is trained on. TrainingError where there are none."""
    if isinstance(split, RowArrays):
        batches: Batches = Examples(split, seq_len, batch_size, seed, eos)
    else:
        batches = Blocks(split, seq_len, batch_size, seed)
    rate = hiding_rate(model)
    return Hiding(batches, rate, vocabulary, seed) if rate else batches


def judged(
    model: nn.Module,
    split: Split,
    *,
    seq_len: int,
    eos: int,
    vocabulary: int,
    labels: Sequence[str] = (),
    text_bytes: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    part: tuple[int, int] = (0, 1),
    total: Callable[[Tensor], Tensor] = lambda sums: sums,
) -> Evaluation:
    """Every loss of a model over a whole split; with metrics, but where the next tokens of a text are all that it learns.

    Args:
        labels: names of the classes or tags of the data.
        text_bytes, should_stop, part, total: as in `evaluate`.
    """
    how = {"should_stop": should_stop, "part": part, "total": total}
    if not is_scored(targets_of(model), isinstance(split, RowArrays)):
        return evaluate(model, split, seq_len, text_bytes=text_bytes, **how)
    task = split.task if isinstance(split, RowArrays) else "Text"
    batches = judging_feed(split, model, seq_len=seq_len, eos=eos, vocabulary=vocabulary, scored=True)
    return judge(model, batches, tallies=tallies(model, labels, task), text_bytes=text_bytes, **how)


def targets_of(model: nn.Module) -> list[str]:
    """What each loss of a model compares its scores with."""
    return [getattr(getattr(model, name, None), "target", "Label") for name in getattr(model, "loss_weights", {})]


def is_scored(targets: Sequence[str], rows: bool) -> bool:
    """Whether an evaluation computes all scores, for metrics: but where the next tokens of a text are all that is learned.

    Args:
        targets: of the losses.
        rows: whether the data is the rows of a task.
    """
    return rows or list(targets) not in ([], ["Label"])


def tokens_at_once(scored: bool, seq_len: int, vocabulary: int, batch_tokens: int = BATCH_TOKENS) -> int:
    """Most tokens of a batch that is evaluated, rows of at most `seq_len`."""
    return min(batch_tokens, max(seq_len, _MOST_SCORES // vocabulary)) if scored else batch_tokens


def judging_feed(
    split: Split, model: nn.Module, *, seq_len: int, eos: int, vocabulary: int, scored: bool, batch_tokens: int = BATCH_TOKENS
) -> Iterator[tuple[Batch, list[str] | None]]:
    """Every token or example of a split once, in batches, each with the losses that it counts for; None for all.

    Where some losses compare hidden tokens and others do not, these read the split as it is, and those a second time.

    Args:
        scored: whether all scores are computed, so that batches have to be smaller.
    """
    batch_tokens = tokens_at_once(scored, seq_len, vocabulary, batch_tokens)

    def batches() -> Iterator[Batch]:
        if isinstance(split, RowArrays):
            return row_batches(split, seq_len, eos, batch_tokens)
        return text_batches(split, seq_len, max(1, batch_tokens // seq_len))

    masked = masked_losses(model)
    others = [name for name in getattr(model, "loss_weights", {}) if name not in masked]
    if others or not masked:
        for batch in batches():
            yield (batch | {"masked": _none_hidden(batch)}, others) if masked else (batch, None)
    if masked:
        for batch in hidden_alike(batches(), hiding_rate(model), vocabulary):
            yield batch, masked


def _none_hidden(batch: Batch) -> Tensor:
    return batch["inputs"].new_full(batch["inputs"].shape, IGNORED)

"""Which positions of a batch are real, where its rows are of different lengths. Importable alone: torch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

# The part of the batch that has the positions of a sequence, and the part that says how many of them are real.
SEQUENCES = {"T": ("inputs", "lengths"), "S": ("source", "source_lengths")}


def padding(letter: str, batch: Mapping[str, Tensor]) -> Tensor | None:
    """(B, T) of bool, true where a position is real; None where the batch has no padding there.

    Args:
        letter: T or S, or T+S for one after the other.
    """
    parts = [SEQUENCES[part] for part in letter.split("+")]
    if not any(lengths in batch for _, lengths in parts):
        return None
    masks = []
    for tokens, lengths in parts:
        rows, time = batch[tokens].shape
        ends = batch[lengths] if lengths in batch else torch.full((rows,), time, device=batch[tokens].device)  # (B,)
        ends = ends.clamp(min=1).unsqueeze(1)  # (B, 1); nothing at all to attend to would give NaN
        masks.append(torch.arange(time, device=ends.device) < ends)  # (B, T)
    return masks[0] if len(masks) == 1 else torch.cat(masks, 1)

"""What a training computes on and in: device, precision, compiled or not. Importable alone: torch and config.py."""

from __future__ import annotations

import torch

from cortex.config import TrainingError


def pick_device(wanted: str) -> torch.device:
    """The device named, or the best there is for "auto"; TrainingError when the one named is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, available in there.items() if available))
    if not there[wanted]:
        raise TrainingError(f"training.device={wanted}: this machine has none; set it to auto or cpu")
    return torch.device(wanted)


def pick_precision(wanted: str, device: torch.device) -> torch.dtype:
    """The type that matrix products are computed in."""
    if wanted == "auto":
        wanted = "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]


def pick_compile(wanted: str, device: torch.device) -> bool:
    """Whether the model goes through torch.compile."""
    return wanted == "on" or (wanted == "auto" and device.type == "cuda")

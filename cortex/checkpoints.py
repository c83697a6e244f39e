"""Weights of a run on disk, as safetensors, replaced atomically; and the model that they belong to."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
from torch import nn

from cortex.builder import Model, build, plan
from cortex.data import source_node, source_of
from cortex.device import pick_device
from cortex.runs import CHECKPOINTS, Run, RunError
from cortex.tokenizer import Tokenizer


@dataclass(frozen=True)
class Trained:
    """A run's model in eval mode with the tokenizer it was trained with. `seq_len` is the context it was trained on."""

    model: Model
    tokenizer: Tokenizer
    seq_len: int
    step: int


def save_weights(model: nn.Module, path: Path, step: int) -> None:
    """Write the weights; a kill at any moment leaves the previous file or the new one whole. OSError on a full disk."""
    temporary = path.with_suffix(".tmp")
    try:
        safetensors.torch.save_model(model, str(temporary), metadata={"step": str(step)})
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, safetensors.SafetensorError):  # how the library tells of a full disk
            raise OSError(f"{path.name} cannot be written: {error}") from None
        raise


def load_trained(run: Run, checkpoint: str = "best", device: str = "cpu") -> Trained:
    """The model of a run with the weights of a checkpoint.

    Raises:
        RunError: the run has no such checkpoint yet, or its files do not belong together.
    """
    path = run.checkpoint(checkpoint)
    if checkpoint not in CHECKPOINTS:
        raise RunError(f"checkpoint {checkpoint}: expected {' or '.join(CHECKPOINTS)}")
    if not path.is_file():
        raise RunError(
            f"run {run.id} has no checkpoint {checkpoint} yet; it is {run.state()}, the first comes with its first validation"
        )
    try:
        tokenizer = Tokenizer.load(run.path / "tokenizer.json")
    except Exception as error:  # the library raises plain Exception
        raise RunError(f"run {run.id}: tokenizer.json cannot be read: {error}") from None
    graph = run.graph()
    planned = plan(graph, tokenizer.vocab_size)
    if planned.issues:
        raise RunError(f"run {run.id}: its graph has a fault: {planned.issues[0]}")
    model = build(planned)
    try:
        safetensors.torch.load_model(model, str(path))
        with safetensors.safe_open(str(path), "pt") as file:
            step = int((file.metadata() or {}).get("step", 0))
    except (safetensors.SafetensorError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"run {run.id}: checkpoint {checkpoint} does not fit its graph or is damaged: {reason[:300]}") from None
    model.to(pick_device(device)).eval()
    return Trained(model, tokenizer, source_of(source_node(graph)).seq_len, step)

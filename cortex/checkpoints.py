"""Weights of a run on disk, as safetensors, and the state that its training goes on from; the model that they belong to.

`last.safetensors` names its step in its metadata, and `state-<step>.pt` beside it has the rest. The state is written first,
then the weights are renamed into place: that rename is the moment at which the new checkpoint takes the old one's place.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from cortex.builder import Model, build, plan
from cortex.config import TrainConfig
from cortex.device import pick_device
from cortex.graph_source import source_node, source_of
from cortex.measures import asked_for
from cortex.runs import CHECKPOINTS, Run, RunError
from cortex.tokenizer import Tokenizer
from cortex.units import size


@dataclass(frozen=True)
class Trained:
    """A run's model in eval mode with the tokenizer it was trained with. `seq_len` is the context it was trained on, `task`
    what it can be asked (measures.asked_for), `labels` the names of its classes or tags."""

    model: Model
    tokenizer: Tokenizer
    seq_len: int
    step: int
    task: str | None = "Text"
    labels: tuple[str, ...] = ()


def find_room(folder: Path, model: nn.Module, config: TrainConfig) -> None:
    """RunError where the disk has no room for a single checkpoint, which would else show after minutes of training."""
    kept = (1 if config.optimizer == "SGD" else 2) + (2 if config.ema else 0)
    needed = (1 + kept) * sum(parameter.nbytes for parameter in model.parameters())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RunError(
            f"{folder}: {size(free)} are free on this disk, and a checkpoint of this model takes about "
            f"{size(needed)}; make room, or set CORTEXNODUS_HOME or --runs to another disk"
        )


def save_weights(model: nn.Module, path: Path, step: int) -> None:
    """Write the weights; a kill at any moment leaves the previous file or the new one whole. OSError on a full disk."""
    _replace(path, lambda temporary: safetensors.torch.save_model(model, str(temporary), metadata={"step": str(step)}))


def save_state(state: dict[str, Any], folder: Path, step: int) -> None:
    """Write what a training goes on from; the weights of that step, saved next, make it the one that counts."""
    _replace(_state_path(folder, step), lambda temporary: torch.save(state, temporary))


def drop_other_states(folder: Path, step: int | None) -> None:
    """Delete the states that do not belong to the last weights, which are of this step; None when there are none."""
    for path in folder.glob("state-*.pt"):
        if step is None or path != _state_path(folder, step):
            path.unlink(missing_ok=True)


def saved_step(path: Path) -> int | None:
    """The step that weights on disk are of; None when there are none that can be read."""
    try:
        with safetensors.safe_open(str(path), "pt") as file:
            return int((file.metadata() or {})["step"])
    except (OSError, KeyError, ValueError, safetensors.SafetensorError):
        return None


def load_state(folder: Path) -> dict[str, Any] | None:
    """The state that belongs to last.safetensors; None when the run has saved none yet.

    Raises:
        RunError: it cannot be read, or only one of the two is there, which no kill can leave behind.
    """
    last = folder / "last.safetensors"
    if not last.exists():
        return None
    step = saved_step(last)
    if step is None:
        raise RunError(f"{last}: cannot be read; the training cannot go on from it")
    path = _state_path(folder, step)
    if not path.is_file():
        raise RunError(f"{path}: is not there, so the training cannot go on from the weights of step {step:,}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or foreign file makes of the reader; nothing in it is run
        raise RunError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None


def load_weights(model: nn.Module, path: Path) -> None:
    """Give the model the weights of a file; RunError when they do not fit it."""
    try:
        safetensors.torch.load_model(model, str(path))
    except (safetensors.SafetensorError, RuntimeError, OSError) as error:
        raise RunError(f"{path}: does not fit its graph or is damaged: {' '.join(str(error).split())[:300]}") from None


def same_as(source: Path, target: Path) -> None:
    """Make `target` the same weights as `source`, in no room of its own where the disk can do that; atomically."""

    if target.exists() and source.samefile(target):  # a rename over a second name of the same file does nothing at all
        return

    def link(temporary: Path) -> None:
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)

    _replace(target, link)


def step_to_go_on_from(run: Run) -> int:
    """The step of a run's last checkpoint; RunError when it has none that a training could go on from."""
    step = saved_step(run.checkpoint("last"))
    if step is None or not _state_path(run.path / "checkpoints", step).is_file():
        raise RunError(f"run {run.id} has no checkpoint to go on from")
    return step


def inherit(parent: Run, child: Run) -> int:
    """Give a new run the last weights and state of another to go on from; the step they are of comes out."""
    source, target = parent.path / "checkpoints", child.path / "checkpoints"
    step = step_to_go_on_from(parent)
    same_as(_state_path(source, step), _state_path(target, step))
    same_as(source / "last.safetensors", target / "last.safetensors")
    return step


def _state_path(folder: Path, step: int) -> Path:
    return folder / f"state-{step}.pt"


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Replace a file by what `write` puts under a temporary name; a kill at any moment leaves the old file or the new one."""
    temporary = path.with_suffix(".tmp")
    try:
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        # How the two libraries tell of a full disk.
        full = isinstance(error, RuntimeError) and ("PytorchStreamWriter" in str(error) or "inline_container" in str(error))
        if isinstance(error, safetensors.SafetensorError) or full:
            raise OSError(f"{path.name} cannot be written: {' '.join(str(error).split())[:160]}") from None
        raise


def load_trained(run: Run, checkpoint: str = "best", device: str = "cpu") -> Trained:
    """The model of a run with the weights of a checkpoint.

    Raises:
        RunError: the run has no such checkpoint yet, or its files do not belong together.
    """
    path = run.checkpoint(checkpoint)
    if checkpoint not in (*CHECKPOINTS, *run.kept()):
        raise RunError(f"checkpoint {checkpoint}: expected {' or '.join(dict.fromkeys((*CHECKPOINTS, *run.kept())))}")
    if not path.is_file():
        raise RunError(
            f"run {run.id} has no checkpoint {checkpoint} yet; it is {run.state()}, the first comes with its first validation"
        )
    try:
        tokenizer = Tokenizer.load(run.path / "tokenizer.json")
    except Exception as error:  # the library raises plain Exception
        raise RunError(f"run {run.id}: tokenizer.json cannot be read: {error}") from None
    graph = run.graph()
    labels = _labels(run)
    planned = plan(graph, tokenizer.vocab_size, len(labels) or None)
    if planned.issues:
        raise RunError(f"run {run.id}: its graph has a fault: {planned.issues[0]}")
    model = build(planned)
    try:
        load_weights(model, path)
    except RunError as error:
        raise RunError(f"run {run.id}: checkpoint {checkpoint} {str(error).partition(': ')[2]}") from None
    step = saved_step(path) or 0
    model.to(pick_device(device)).eval()
    return Trained(model, tokenizer, source_of(source_node(graph)).seq_len, step, asked_for(graph), labels)


def _labels(run: Run) -> tuple[str, ...]:
    """The names of a run's classes or tags; none where its data has none."""
    try:
        found = json.loads((run.path / "classes.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise RunError(f"run {run.id}: classes.json cannot be read: {error}") from None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise RunError(f"run {run.id}: classes.json is not a list of names")
    return tuple(found)

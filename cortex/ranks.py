"""Several processes that train one model under torchrun: each takes its part of every batch, the first one writes.

torchrun says who is who in the environment: RANK, WORLD_SIZE, LOCAL_RANK.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from cortex.backward import OneProcess
from cortex.blocks import Batch


class Ranks(OneProcess):
    """The processes of a training. `world` of them, of which this one is number `rank`, from 0."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.device = device

    def part(self, batch: Batch) -> tuple[Batch, float]:
        """Every world-th row from this process's own on, and their share; one row that does not count where none is left."""
        count = batch["targets"].size(0)
        rows = {name: tensor[self.rank :: self.world] for name, tensor in batch.items()}
        if self.rank >= count:
            return {name: tensor[:1] for name, tensor in batch.items()}, 0.0
        return rows, rows["targets"].size(0) / count

    def total(self, value: Tensor) -> Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value

    def agree(self, word: str) -> str:
        return self.share(word)

    def share(self, value: Any) -> Any:
        """The first process's value, on all of them."""
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self.device if self.device.type == "cuda" else None)
        return box[0]

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model whose backward pass averages the gradients over all processes; starts from the first one's weights."""
        return nn.parallel.DistributedDataParallel(model)


def restarts(environment: Mapping[str, str] = os.environ) -> int:
    """How often torchrun has started all processes again."""
    return int(environment.get("TORCHELASTIC_RESTART_COUNT", 0))


def local_device(device: torch.device, environment: Mapping[str, str] = os.environ) -> torch.device:
    """This process's own GPU where the training is on GPUs."""
    if device.type != "cuda":
        return device
    device = torch.device("cuda", int(environment.get("LOCAL_RANK", 0)))
    torch.cuda.set_device(device)
    return device


def join(device: torch.device) -> Ranks:
    """Meet the other processes: over NCCL on CUDA, over gloo elsewhere."""
    store, rank, world = next(dist.rendezvous("env://"))
    # torchrun may keep one store over its restarts (torch 2.13); under the same names the new processes would find the
    # addresses of the dead ones in it.
    store = dist.PrefixStore(f"attempt {restarts()}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world)
    return Ranks(device)


def leave() -> None:
    """Part from the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()

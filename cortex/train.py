"""The one trainer: a readable single-process loop that knows neither disk nor screen and reports events to a callback.

Importable alone: standard library, numpy and torch. `model(batch)` returns {loss: (sum in nats, number of tokens)}.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]
Event = dict[str, Any]

# Validation is planned to take about this share of the work where eval_every does not say otherwise.
_VALIDATION_SHARE = 0.05
_FORWARD_SHARE = 1 / 3  # of a training step's arithmetic: forward 1, backward 2 (Kaplan et al. 2020, section 2.1)


def setting(default: Any, help: str, **limits: Any) -> Any:
    """A field of TrainConfig with its help and its `low` and `high`, or its `options`."""
    return dataclasses.field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; what belongs to the whole run and not to a node."""

    optimizer: str = setting(
        "Adam",
        "Adam (Kingma & Ba 2015), or AdamW, whose weight decay is apart from the gradient.",
        options=("Adam", "AdamW"),
    )
    lr: float = setting(0.001, "Learning rate: the size of a step, at its highest.", low=1e-8, high=10.0)
    schedule: str = setting(
        "constant",
        "How the learning rate goes after warm-up: stays, or falls to 0 along a line or a cosine.",
        options=("constant", "linear", "cosine"),
    )
    warmup_steps: int = setting(0, "Steps over which the learning rate grows from 0.", low=0, high=1_000_000)
    weight_decay: float = setting(
        0.0, "Pull of every weight towards 0; with Adam it is added to the gradient.", low=0.0, high=10.0
    )
    clip_norm: float = setting(
        0.0, "Largest norm of the gradient; a longer one is scaled down to it. 0 clips nothing.", low=0.0, high=1000.0
    )
    epochs: int = setting(20, "Times the training text is read. Without effect when steps is set.", low=1, high=100_000)
    steps: int = setting(0, "Length of the run in steps; 0 takes the length from epochs.", low=0, high=100_000_000)
    eval_every: int = setting(
        0,
        "Steps between validations; 0 picks it so that they take about a twentieth of the work.",
        low=0,
        high=100_000_000,
    )
    log_every: int = setting(10, "Steps over which a point of the training curve is averaged.", low=1, high=100_000)
    seed: int = setting(1, "Fixes first weights, order of the text and dropout.", low=0, high=2**31 - 1)
    device: str = setting(
        "auto", "auto takes CUDA or MPS where there is one, else the CPU.", options=("auto", "cpu", "cuda", "mps")
    )


class TrainingError(RuntimeError):
    """Training cannot go on; the message says at which step, why and what to try."""


class Blocks:
    """Batches cut from one array of tokens, every block of `seq_len` once an epoch in an order drawn from (seed, epoch).

    Args:
        tokens: (1 + N,) ids of any integer type; the first only precedes the text. The N // seq_len whole blocks are read.
    """

    def __init__(self, tokens: np.ndarray, seq_len: int, batch_size: int, seed: int) -> None:
        self.tokens, self.seq_len, self.batch_size, self.seed = tokens, seq_len, batch_size, seed
        self.blocks = (len(tokens) - 1) // seq_len
        if self.blocks < 1:
            raise TrainingError(f"the training text has {len(tokens) - 1:,} tokens, less than seq_len={seq_len}")
        self.steps_per_epoch = math.ceil(self.blocks / batch_size)
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def batch(self, step: int) -> Batch:
        """Batch number `step`, from 0: `inputs` and `targets`, each (B, T) int64; the last of an epoch may be smaller."""
        epoch, index = divmod(step, self.steps_per_epoch)
        starts = self._epoch(epoch)[index * self.batch_size : (index + 1) * self.batch_size] * self.seq_len  # (B,)
        rows = self.tokens[starts[:, None] + np.arange(self.seq_len + 1)].astype(np.int64)  # (B, T + 1)
        rows = torch.from_numpy(rows)
        return {"inputs": rows[:, :-1].contiguous(), "targets": rows[:, 1:].contiguous()}

    def _epoch(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng((self.seed, epoch)).permutation(self.blocks)
        return self._order[1]


def total_steps(config: TrainConfig, steps_per_epoch: int) -> int:
    """Length of the run and horizon of the schedule, in steps."""
    return config.steps or config.epochs * steps_per_epoch


def eval_interval(config: TrainConfig, validation_tokens: int, tokens_per_step: int) -> int:
    """Steps between validations."""
    if config.eval_every:
        return config.eval_every
    return max(50, math.ceil(validation_tokens * _FORWARD_SHARE / (_VALIDATION_SHARE * tokens_per_step)))


def learning_rate_at(step: int, config: TrainConfig, steps: int) -> float:
    """Learning rate of optimizer step `step`, counted from 0, in a run of `steps`.

    Linear warm-up, then constant, linear to 0, or cosine to 0 (Loshchilov & Hutter 2017, eq. 5, without restarts).
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    done = min(1.0, (step - config.warmup_steps) / max(1, steps - config.warmup_steps))
    if config.schedule == "linear":
        return config.lr * (1 - done)
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1 + math.cos(math.pi * done))
    return config.lr


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimizer of `config` over all of the model's parameters, in torch's fused form."""
    kind = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}[config.optimizer]
    return kind(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)


def pick_device(wanted: str) -> torch.device:
    """The device named, or the best there is for "auto"; TrainingError when the one named is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, available in there.items() if available))
    if not there[wanted]:
        raise TrainingError(f"training.device={wanted}: this machine has none; set it to auto or cpu")
    return torch.device(wanted)


def train(
    model: nn.Module,
    blocks: Blocks,
    config: TrainConfig,
    *,
    validate: Callable[[], float],
    on_event: Callable[[Event], None],
    eval_every: int,
    should_stop: Callable[[], bool] = lambda: False,
    max_steps: int | None = None,
) -> str:
    """Train `model` in place and report events; "finished" or "stopped" comes out.

    Args:
        validate: mean loss over the validation split, in nats per token; the model is in eval mode when it is called. It
            may raise InterruptedError when training is to stop and an earlier validation has been reported.
        on_event: called with `train` events (mean loss since the last one), `validation` events (with `best` true the
            weights of that moment are the best so far) and one `end`.
        max_steps: cuts off early and changes nothing else.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    device = next(model.parameters()).device
    weights: dict[str, float] = getattr(model, "loss_weights", {})
    optimizer = make_optimizer(model, config)
    steps = total_steps(config, blocks.steps_per_epoch)
    last = min(steps, max_steps or steps)
    best, tokens, validated = math.inf, 0, 0
    started = mark = time.perf_counter()
    since_mark = 0
    sums = torch.zeros((), device=device)
    summed = 0

    def check(step: int) -> None:
        nonlocal best, validated
        model.eval()
        try:
            loss = validate()
        except InterruptedError:  # asked to stop meanwhile; the loop sees that itself
            return
        finally:
            model.train()
        if not math.isfinite(loss):
            raise TrainingError(_not_finite("validation loss", loss, step, config))
        improved, validated = loss < best, step
        best = min(best, loss)
        now = time.perf_counter()
        on_event(
            {
                "event": "validation",
                "step": step,
                "tokens": tokens,
                "loss": loss,
                "best": improved,
                "elapsed": now - started,
            }
        )

    model.train()
    step, outcome = 0, "finished"
    while step < last:
        if should_stop():
            outcome = "stopped"
            break
        lr = learning_rate_at(step, config, steps)
        for group in optimizer.param_groups:
            group["lr"] = lr
        batch = {name: tensor.to(device) for name, tensor in blocks.batch(step).items()}
        losses = model(batch)
        means = {name: total / count for name, (total, count) in losses.items()}
        loss = sum(weights.get(name, 1.0) * mean for name, mean in means.items())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        step += 1
        logging = step == 1 or step % config.log_every == 0 or step == last
        norm = None
        if config.clip_norm or logging:
            gradients = [p.grad for p in model.parameters() if p.grad is not None]
            norm = torch.nn.utils.get_total_norm(gradients)
            if config.clip_norm:
                torch.nn.utils.clip_grads_with_norm_(model.parameters(), config.clip_norm, norm)
        optimizer.step()
        tokens += batch["targets"].numel()
        since_mark += batch["targets"].numel()
        # What is told is the first loss unweighted, in nats per token, as evaluation has it.
        sums, summed = sums + next(iter(means.values())).detach(), summed + 1

        if logging:
            mean = sums.item() / summed
            if not math.isfinite(mean):
                raise TrainingError(_not_finite("loss", mean, step, config))
            now = time.perf_counter()
            on_event(
                {
                    "event": "train",
                    "step": step,
                    "epoch": step / blocks.steps_per_epoch,
                    "tokens": tokens,
                    "loss": mean,
                    "lr": lr,
                    "grad_norm": norm.item(),
                    "tokens_per_second": since_mark / (now - mark),
                    "elapsed": now - started,
                }
            )
            sums, summed, since_mark, mark = torch.zeros_like(sums), 0, 0, time.perf_counter()
        if step % eval_every == 0 or step == last:
            pause = time.perf_counter()
            check(step)
            mark += time.perf_counter() - pause
    if not validated:
        check(step)
    on_event({"event": "end", "state": outcome, "step": step, "tokens": tokens, "elapsed": time.perf_counter() - started})
    return outcome


def _not_finite(what: str, value: float, step: int, config: TrainConfig) -> str:
    return f"{what} is {value} at step {step:,}; try a lower lr than {config.lr:g}, clip_norm=1, or more warmup_steps"

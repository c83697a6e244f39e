"""The settings of a training run, and what follows from them alone: its length, its learning rates, its validations.

Importable alone: standard library.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

# Validation is planned to take about this share of the work where eval_every does not say otherwise.
_VALIDATION_SHARE = 0.05
_FORWARD_SHARE = 1 / 3  # of a training step's arithmetic: forward 1, backward 2 (Kaplan et al. 2020, section 2.1)


def setting(default: Any, help: str, **limits: Any) -> Any:
    """A field of TrainConfig with its help and its `low` and `high`, or its `options`; `only` names a setting and the
    values of it for which this one has an effect."""
    return dataclasses.field(default=default, metadata={"help": help, **limits})


# The settings in the groups that forms and the reference show them in.
GROUPS: dict[str, tuple[str, ...]] = {
    "Optimizer": (
        "optimizer", "lr", "momentum", "adamw_share", "beta2", "weight_decay", "clip_norm", "accumulate", "ema",
    ),
    "Schedule": (
        "schedule", "warmup_steps", "hold_steps", "decay_share",
    ),
    "Length": (
        "epochs", "steps", "max_minutes", "patience", "max_rise",
    ),
    "Validation and checkpoints": (
        "eval_every", "log_every", "save_every", "keep_every", "sample_tokens", "sample_prompt",
    ),
    "Machine": (
        "seed", "device", "precision", "compile", "threads",
    ),
}  # fmt: skip


class TrainingError(RuntimeError):
    """Training cannot go on; the message says at which step, why and what to try."""


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; what belongs to the whole run and not to a node."""

    optimizer: str = setting(
        "Adam",
        "Adam (Kingma & Ba 2015); AdamW, whose weight decay is apart from the gradient; SGD with momentum; or Muon (Jordan "
        "2024) for the matrices between embedding and head, with AdamW for all else.",
        options=("Adam", "AdamW", "SGD", "Muon"),
    )
    lr: float = setting(0.001, "Learning rate: the size of a step, at its highest.", low=1e-8, high=10.0)
    schedule: str = setting(
        "constant",
        "How the learning rate goes after warm-up: stays; falls to 0 along a line or a cosine; stays and falls to 0 at the end "
        "(warm-up-stable-decay); or falls with the square root of the step.",
        options=("constant", "linear", "cosine", "warmup_stable_decay", "inverse_sqrt"),
    )
    warmup_steps: int = setting(0, "Steps over which the learning rate grows from 0.", low=0, high=1_000_000)
    hold_steps: int = setting(
        0, "Step before which the learning rate does not fall.", low=0, high=100_000_000,
        only=("schedule", ("linear", "cosine", "warmup_stable_decay")),
    )  # fmt: skip
    decay_share: float = setting(
        0.2, "Share of the run, at its end, in which the learning rate falls to 0 along a line.", low=0.001, high=1.0,
        only=("schedule", ("warmup_stable_decay",)),
    )  # fmt: skip
    momentum: float = setting(
        0.95, "Share of the last direction that a step keeps.", low=0.0, high=0.9999, only=("optimizer", ("SGD", "Muon"))
    )
    adamw_share: float = setting(
        0.5, "Learning rate of what AdamW takes beside Muon, as a share of lr.", low=0.001, high=10.0,
        only=("optimizer", ("Muon",)),
    )  # fmt: skip
    beta2: float = setting(
        0.999, "Share of the last squared gradients that Adam's scale of a step keeps.", low=0.0, high=0.999999,
        only=("optimizer", ("Adam", "AdamW", "Muon")),
    )  # fmt: skip
    weight_decay: float = setting(
        0.0,
        "Pull of the matrices towards 0, biases and norms left out; with Adam and SGD it is added to the gradient.",
        low=0.0,
        high=10.0,
    )
    clip_norm: float = setting(
        0.0, "Largest norm of the gradient; a longer one is scaled down to it. 0 clips nothing.", low=0.0, high=1000.0
    )
    accumulate: int = setting(
        1, "Batches whose gradients are added up before a step, as one large batch in less memory.", low=1, high=4096
    )
    ema: float = setting(
        0.0, "Share that a moving average of the weights keeps at each step; it is what is validated and saved. 0: none.",
        low=0.0, high=0.999999,
    )  # fmt: skip
    epochs: int = setting(20, "Times the training text is read. Without effect when steps is set.", low=1, high=100_000)
    steps: int = setting(0, "Length of the run in steps; 0 takes the length from epochs.", low=0, high=100_000_000)
    max_minutes: float = setting(
        0.0,
        "Time budget: the first minute measures the speed, then the run and its schedule are shortened to fit. 0: none.",
        low=0.0,
        high=1_000_000.0,
    )
    patience: int = setting(
        0, "Validations in a row without a better one after which the run ends. 0: never.", low=0, high=100_000
    )
    max_rise: float = setting(
        3.0,
        "Nats by which the training loss may rise above its lowest point before the run is ended as diverged. 0: any.",
        low=0.0,
        high=1000.0,
    )
    eval_every: int = setting(
        0,
        "Steps between validations; 0 picks it so that they take about a twentieth of the work.",
        low=0,
        high=100_000_000,
    )
    log_every: int = setting(10, "Steps over which a point of the training curve is averaged.", low=1, high=100_000)
    save_every: int = setting(
        0, "Steps between checkpoints to resume from, besides one at each validation. 0: none besides.", low=0, high=100_000_000
    )
    keep_every: int = setting(0, "Steps between weights that are kept for good. 0: only the best and the last are.",
                              low=0, high=100_000_000)  # fmt: skip
    sample_tokens: int = setting(
        40, "Length of the text that the model writes at each validation. 0: none.", low=0, high=10_000
    )
    sample_prompt: str = setting("", "What these texts begin with; empty: as a text begins.")
    seed: int = setting(1, "Fixes first weights, order of the text and dropout.", low=0, high=2**31 - 1)
    device: str = setting(
        "auto", "auto takes CUDA or MPS where there is one, else the CPU.", options=("auto", "cpu", "cuda", "mps")
    )
    precision: str = setting(
        "auto",
        "Of matrix products: auto takes bfloat16 on CUDA, float32 elsewhere (on a CPU bfloat16 measured slower).",
        options=("auto", "float32", "bfloat16"),
    )
    compile: str = setting(
        "auto",
        "torch.compile: auto takes it on CUDA only (on a CPU it measured slower, and takes half a minute to start).",
        options=("auto", "on", "off"),
    )
    threads: int = setting(
        0, "Threads of the CPU; 0 takes torch's own choice. Equal losses, bit for bit, need equal threads.", low=0, high=1024
    )


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

    Linear warm-up, then: constant; linear to 0; cosine to 0 (Loshchilov & Hutter 2017, eq. 5, without restarts); constant, and
    linear to 0 in the last `decay_share` (Hu et al. 2024, section 4); or lr * sqrt(warm-up / step) (Vaswani et al. 2017,
    eq. 3).
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "inverse_sqrt":
        return config.lr * math.sqrt(max(1, config.warmup_steps) / (step + 1))
    flat = max(config.warmup_steps, config.hold_steps)
    if config.schedule == "warmup_stable_decay":
        fall = max(1, min(round(config.decay_share * steps), steps - flat))
        return config.lr * max(0.0, min(1.0, (steps - step) / fall))
    done = max(0.0, min(1.0, (step - flat) / max(1, steps - flat)))
    if config.schedule == "linear":
        return config.lr * (1 - done)
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1 + math.cos(math.pi * done))
    return config.lr

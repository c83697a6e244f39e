"""The one trainer: a readable single-process loop that knows neither disk nor screen and reports events to a callback.

Importable alone with backward.py, blocks.py, config.py, masking.py, step_losses.py and stepper.py, which makes a step.
`model(batch)` returns {loss: (sum, number of what was compared)}. Ranks, checkpoints, requests and range tests are hooks that
live elsewhere.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from cortex.backward import OneProcess
from cortex.blocks import Batch, real_tokens
from cortex.config import TrainConfig, TrainingError, learning_rate_at, total_steps
from cortex.masking import Batches
from cortex.step_losses import StepLosses, advice, not_finite
from cortex.stepper import Stepper

Event = dict[str, Any]

# The speed is measured for this long, or for this share of a smaller time budget, or half that share of the steps.
_MEASURE_SECONDS = 60.0
_MEASURE_SHARE = 0.2

# Attributes that say how far a training has come.
_STANDING = ("step", "tokens", "seconds", "best", "validated", "worse")


class Trainer:
    """A training that can be left and taken up again between any two steps.

    Args:
        model: trained in place; its parameters say on which device. Its first loss is the main one, which is told and decides
            about the best weights; what is trained is the sum of all, each mean times its weight.
        blocks: what is trained on: batch number n, and how many batches an epoch has.
        validate: mean main loss over the validation split, or what a `validation` event says of it (`loss`, `losses`,
            `metrics`); the model is in eval mode when it is called. It may raise InterruptedError when training is to stop
            and an earlier validation has been reported.
        on_event: called with `train` events (mean loss since the last one), `validation` events (with `best` true the
            weights of that moment are the best so far), one `horizon` where a time budget shortens the run, and one `end`.
        between: called before each step; a word that it returns ("stopped", "paused") ends the training with it.
        max_steps: cuts off early and changes nothing else.
        forward: what computes `model(batch)`, where that is wrapped or compiled.
        rate: learning rate of a step; `learning_rate_at` where it is not given.
    """

    def __init__(
        self,
        model: nn.Module,
        blocks: Batches,
        config: TrainConfig,
        *,
        validate: Callable[[], float | Event],
        on_event: Callable[[Event], None],
        eval_every: int,
        between: Callable[[Trainer], str] = lambda trainer: "",
        max_steps: int | None = None,
        forward: Callable[[Batch], dict[str, tuple[Tensor, Any]]] | None = None,
        processes: OneProcess | None = None,
        rate: Callable[[int, TrainConfig, int], float] = learning_rate_at,
    ) -> None:
        self.model, self.blocks, self.config = model, blocks, config
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.best, self.validated, self.worse = math.inf, 0, 0
        self._validate, self._on_event, self._eval_every, self._between = validate, on_event, eval_every, between
        self._max_steps, self._rate = max_steps, rate
        self._processes = processes or OneProcess()
        self._stepper, self._losses = Stepper(model, config, self._processes, forward), StepLosses()
        self._fit = config.max_minutes > 0  # whether the length has still to be fitted to the time budget

    @property
    def steps(self) -> int:
        """Length of the run and horizon of its schedule."""
        return total_steps(self.config, self.blocks.steps_per_epoch)

    @property
    def last_step(self) -> int:
        """The step at which the run ends, where nothing ends it before."""
        return min(self.steps, self._max_steps or self.steps)

    def run(self) -> str:
        """Train to the end; "finished", or the word of `between`, comes out.

        Raises:
            TrainingError: the loss is no longer a number, or rises for good.
        """
        self._mark, self._tokens_marked = time.perf_counter(), self.tokens
        self._began = self._mark - self.seconds
        self.model.train()
        outcome = "finished"
        while self.step < self.last_step and not self._given_up():
            word = self._processes.agree(self._between(self))
            if word:
                outcome = word
                break
            lr, norm = self._step()
            if norm is not None:
                self._point(lr, norm)
            if self._fit and self._processes.agree("measured" if self._measured() else ""):
                self._fit_to_budget()
            due = self.step % self._eval_every == 0 or self.step == self.last_step
            if due and self.validated != self.step:
                self._check()
        if not self.validated and outcome != "paused":
            self._check()
        why = f"no better validation in {self.config.patience} of them" if self._given_up() else None
        end = {"event": "end", "state": outcome, "step": self.step, "tokens": self.tokens, "elapsed": self._elapsed()}
        self._on_event(end | ({"why": why} if why else {}))
        return outcome

    # One step

    def _step(self) -> tuple[float, Tensor | None]:
        """The learning rate of the step that was made and, where a point of the curve is due, the gradient's norm."""
        # A length that is still to be fitted gives the learning rate nothing to fall towards.
        config = replace(self.config, hold_steps=self.steps) if self._fit else self.config
        lr = self._rate(self.step, config, self.steps)
        batch = self.blocks.batch(self.step)
        losses, norm = self._stepper.step(batch, lr, wants_norm=self._is_told(self.step + 1))
        self._losses.add(losses)
        self.step += 1
        self.tokens += real_tokens(batch)
        return lr, norm

    def _is_told(self, step: int) -> bool:
        """Whether a point of the curve is due after so many steps."""
        return step == 1 or step % self.config.log_every == 0 or step == self.last_step

    # What is told

    def _point(self, lr: float, norm: Tensor) -> None:
        mean, means = self._losses.point(self._stepper.losses, self.step, self.config)
        now = time.perf_counter()
        self._on_event(
            {
                "event": "train",
                "step": self.step,
                "epoch": self.step / self.blocks.steps_per_epoch,
                "tokens": self.tokens,
                "loss": mean,
                **({"losses": means} if self._tells_all else {}),
                "lr": lr,
                "grad_norm": norm.item(),
                "tokens_per_second": (self.tokens - self._tokens_marked) / max(1e-9, now - self._mark),
                "elapsed": self._elapsed(),
            }
        )
        self._mark, self._tokens_marked = time.perf_counter(), self.tokens

    @property
    def _tells_all(self) -> bool:
        """Whether events tell of more than one main loss in nats per token."""
        return len(self._stepper.losses) > 1 or getattr(self.blocks, "task", "Text") != "Text"

    def _check(self) -> None:
        pause = time.perf_counter()
        self._losses.check(self.step, self.config)
        self.model.eval()
        try:
            with self.judged():
                found = self._validate()
        except InterruptedError:  # asked to stop meanwhile; the loop sees that itself
            return
        finally:
            self.model.train()
        facts = found if isinstance(found, dict) else {"loss": found}
        loss = facts["loss"]
        if not math.isfinite(loss):
            raise TrainingError(not_finite("validation loss", loss, self.step, self.config))
        improved, self.validated = loss < self.best, self.step
        self.best, self.worse = min(self.best, loss), 0 if improved else self.worse + 1
        self._on_event(
            {
                "event": "validation",
                "step": self.step,
                "tokens": self.tokens,
                **facts,
                "best": improved,
                "elapsed": self._elapsed(),
            }
        )
        self._mark += time.perf_counter() - pause

    def _given_up(self) -> bool:
        return bool(self.config.patience) and self.worse >= self.config.patience

    def _elapsed(self) -> float:
        self.seconds = time.perf_counter() - self._began
        return self.seconds

    # The time budget

    def _measured(self) -> bool:
        enough = min(_MEASURE_SECONDS, 60 * self.config.max_minutes * _MEASURE_SHARE)
        return self._elapsed() > enough or self.step >= max(1, int(self.steps * _MEASURE_SHARE / 2))

    def _fit_to_budget(self) -> None:
        """Shorten the run so that it ends when the budget does; the learning rate falls from here on, where it falls."""
        per_step = self._elapsed() / self.step
        before = time.perf_counter()
        self._check()  # measures what a validation takes
        if self.validated != self.step:  # asked to stop meanwhile; to be fitted when the run is taken up again
            return
        check = time.perf_counter() - before
        left = 60 * self.config.max_minutes - self._elapsed() - check  # the last validation
        fitting = self.step + max(1, int(left / (per_step + check / self._eval_every)))
        fitting = int(self._processes.agree(str(fitting)))
        self._fit = False
        self.config = replace(self.config, steps=min(fitting, self.steps), hold_steps=self.step)
        self._on_event(
            {
                "event": "horizon",
                "step": self.step,
                "steps": self.steps,
                "last_step": self.last_step,
                "hold_steps": self.config.hold_steps,
                "seconds_per_step": per_step,
            }
        )

    # Leaving and taking up again

    def judged(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts, the model holds the weights that are validated and saved: the moving average where there is one."""
        return self._stepper.judged()

    def check_numbers(self) -> None:
        """TrainingError unless losses and parameters are numbers, so that a checkpoint of now is one to go back to."""
        self._losses.check(self.step, self.config)
        if not self._stepper.is_finite():
            raise TrainingError(f"a weight is no longer a number at step {self.step:,}; {advice(self.config)}")

    def state(self) -> dict[str, Any]:
        """All that decides how the training goes on, but for the model's own parameters, which are in it only where the
        weights that are saved are an average. Tensors and plain values."""
        return {
            **{name: getattr(self, name) for name in _STANDING},
            "fit": self._fit,
            "fitted": {"steps": self.config.steps, "hold_steps": self.config.hold_steps},
            **self._losses.state(),
            **self._stepper.state(),
        }

    def load_state(self, state: dict[str, Any], *, same_length: bool = True) -> None:
        """Go on from `state`, the model having been given the weights that were saved with it.

        Args:
            same_length: keep the horizon that a time budget was fitted to; False for a longer run with a curve of its own,
                whose best validation is one of its own too.
        """
        for name in _STANDING:
            setattr(self, name, state[name])
        self._losses.load_state(state, self._stepper.device)
        if same_length:
            self._fit = state["fit"]
            self.config = replace(self.config, **state["fitted"])
        else:
            self._fit, self.best, self.validated, self.worse = False, math.inf, 0, 0
        self._stepper.load_state(state)

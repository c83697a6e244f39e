"""What an exported script does when it is started: train, keep or load weights, say the validation loss, write text on.

The exporter prints this module beside the model. Importable alone with those that it imports.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from cortex.blocks import Blocks
from cortex.config import TrainConfig, TrainingError, eval_interval
from cortex.corpus import CorpusError
from cortex.device import pick_compile, pick_device
from cortex.encode import TextSource, learn_tokenizer, split_ids
from cortex.evaluate import evaluate
from cortex.generate import generate
from cortex.masking import Batches
from cortex.places import json_line
from cortex.standalone_lines import tell
from cortex.tokenizer import Tokenizer
from cortex.train import Event, Trainer


class TextData:
    """What a model is trained on and judged by: the next tokens of a text.

    Args:
        source: where the text comes from; its training part has been read for the tokenizer.
    """

    def __init__(self, source: TextSource, tokenizer: Tokenizer) -> None:
        self.source, self.tokenizer = source, tokenizer
        self.validation = split_ids(source, "validation", tokenizer)
        # What the model's constructor is told: number of tokens, and of labels where it asks for them.
        self.sizes: tuple[int, ...] = (tokenizer.vocab_size,)

    def training(self, model: nn.Module, batch_size: int, seed: int) -> Batches:
        """The batches of the training split."""
        return Blocks(split_ids(self.source, "train", self.tokenizer), self.source.seq_len, batch_size, seed)

    def validation_share(self, batch_size: int) -> tuple[int, int]:
        """How much a validation reads, and a training step."""
        return len(self.validation) - 1, batch_size * self.source.seq_len

    def judged(self, model: nn.Module) -> Event:
        """What a `validation` event says."""
        return {"loss": evaluate(model, self.validation, self.source.seq_len).loss}

    def answer(self, model: nn.Module, prompt: str, arguments: argparse.Namespace) -> str:
        """What the model writes after the prompt."""
        ids = self.tokenizer.encode(prompt) or [self.tokenizer.eos]
        tokens = generate(
            model, list(ids), context=self.source.seq_len, vocab_size=self.tokenizer.vocab_size,
            max_tokens=arguments.max_tokens, temperature=arguments.temperature,
        )  # fmt: skip
        return self.tokenizer.decode([*ids, *tokens]).removeprefix(self.tokenizer.decode(ids))


def main(
    make_model: Callable[..., nn.Module],
    source: TextSource,
    config: TrainConfig,
    *,
    data: type[TextData] = TextData,
    perplexities: bool = True,
    max_steps: int | None = None,
    weights: str | None = None,
    argv: list[str] | None = None,
) -> int:
    """Do what the command line asks; its exit status comes out.

    Args:
        make_model: gives the model for a vocabulary of so many tokens, and so many labels where the data has them.
        data: what the model is trained on and judged by.
        perplexities: whether exp of the main loss is a perplexity.
        max_steps: where training ends early, unless the command line says otherwise.
        weights: file of `--weights` without a value, from the folder of the script.
    """
    arguments = _arguments(source, max_steps, weights, argv)
    arguments.perplexities = perplexities
    try:
        if config.threads:
            torch.set_num_threads(config.threads)
        if arguments.data:
            source.path = arguments.data
        _work(make_model, source, config, arguments, data)
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (CorpusError, TrainingError, OSError, ModuleNotFoundError, UserError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


class UserError(ValueError):
    """A mistake of the user's; its text is the line that they read."""


def _arguments(source: TextSource, max_steps: int | None, weights: str | None, argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the model as configured below; options do something else.")
    parser.set_defaults(data=None)
    if hasattr(source, "path"):
        parser.add_argument("--data", metavar="PATH", help=f"the text, instead of {source.path!a}".replace("%", "%%"))
    whole = "to the end" if max_steps is None else f"{max_steps}, as in the run"
    parser.add_argument("--steps", type=int, metavar="N", help=f"end after N steps; changes nothing else (default: {whole})")
    parser.add_argument("--log-every", type=int, metavar="N", help="steps over which a training loss is averaged")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--save", metavar="FILE", help="keep the best weights in this safetensors file")
    beside = Path(sys.argv[0]).resolve().parent / weights if weights else None
    parser.add_argument(
        "--weights",
        metavar="FILE",
        nargs="?" if weights else None,
        const=beside,
        help="load weights instead of training, and say their validation loss"
        + (f" (without FILE: {weights!a} beside this script)".replace("%", "%%") if weights else ""),
    )
    parser.add_argument("--prompt", metavar="TEXT", help="write on from this text")
    parser.add_argument("--max-tokens", type=int, default=100, metavar="N", help="length of what is written")
    parser.add_argument("--temperature", type=float, default=0.8, metavar="T", help="0 takes the likeliest token each time")
    arguments = parser.parse_args(argv)
    if any(number is not None and number < 1 for number in (arguments.steps, arguments.log_every, arguments.max_tokens)):
        parser.error("--steps, --log-every and --max-tokens: expected a whole number from 1 on")
    if arguments.weights and (arguments.steps or arguments.log_every or arguments.save):
        parser.error("--weights takes the place of training; --steps, --log-every and --save have no effect with it")
    arguments.steps = arguments.steps or max_steps
    return arguments


def _work(
    make_model: Callable[..., nn.Module],
    source: TextSource,
    config: TrainConfig,
    arguments: argparse.Namespace,
    make_data: type[TextData],
) -> None:
    if arguments.log_every:
        config = replace(config, log_every=arguments.log_every)
    device = pick_device(config.device)
    data = make_data(source, learn_tokenizer(source, source.blocks("train")))
    torch.manual_seed(config.seed)
    model = make_model(*data.sizes).to(device)
    if arguments.weights:
        _load(model, arguments.weights)
        tell({"event": "weights", **data.judged(model.eval())}, arguments)
        _answer(model, data, arguments)
        return
    trainer = _train(model, config, data, arguments)
    with trainer.judged():
        _answer(model, data, arguments)


def _train(model: nn.Module, config: TrainConfig, data: TextData, arguments: argparse.Namespace) -> Trainer:
    rows = data.source.batch_size * config.accumulate
    keep = _keeper(model, Path(arguments.save)) if arguments.save else None

    def on_event(event: Event) -> None:
        if keep and event["event"] == "validation" and event["best"]:
            with trainer.judged():
                keep(event["step"])
        tell(event, arguments)

    trainer = Trainer(
        model,
        data.training(model, rows, config.seed),
        config,
        validate=lambda: data.judged(model),
        on_event=on_event,
        eval_every=eval_interval(config, *data.validation_share(rows)),
        max_steps=arguments.steps,
        forward=torch.compile(model) if pick_compile(config.compile, next(model.parameters()).device) else None,
    )
    trainer.run()
    return trainer


def _keeper(model: nn.Module, path: Path) -> Callable[[int], None]:
    """What writes the weights, whole or not at all; what can be wrong is told before the training, not after it."""
    import safetensors
    import safetensors.torch

    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no such folder; make it first")

    def keep(step: int) -> None:
        temporary = path.with_name(path.name + ".tmp")
        try:
            safetensors.torch.save_model(model, str(temporary), metadata={"step": str(step)})
            os.replace(temporary, path)
        except (safetensors.SafetensorError, OSError) as error:
            temporary.unlink(missing_ok=True)
            raise UserError(f"{path}: cannot be written: {error}") from None

    return keep


def _load(model: nn.Module, file: str | Path) -> None:
    import safetensors
    import safetensors.torch

    if not os.path.isfile(file):
        raise UserError(f"{file}: there is no such file; name the weights: --weights FILE")
    try:
        safetensors.torch.load_model(model, str(file))
    except (safetensors.SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{file}: does not fit this model, or the text is another one, or it is damaged: {reason}") from None


def _answer(model: nn.Module, data: TextData, arguments: argparse.Namespace) -> None:
    if arguments.prompt is None:
        return
    unknown = data.tokenizer.unknown(arguments.prompt)
    if unknown:
        print(f"not in the vocabulary, read as <unk>: {', '.join(unknown)}", file=sys.stderr)
    written = data.answer(model, arguments.prompt, arguments)
    if arguments.json:
        print(json_line({"prompt": arguments.prompt, "text": written, "unknown": unknown}), flush=True)
    else:
        print(arguments.prompt + written, flush=True)

"""What an exported script is trained on and judged by where there is more than the next tokens of a text.

The exporter prints this module beside standalone.py where a graph asks for it. Importable alone with those that it imports.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import nn

from cortex.encode import TextSource, split_ids
from cortex.encode_rows import label_names, split_rows
from cortex.feed import Split, judged, training_feed
from cortex.generate import generate
from cortex.masking import Batches
from cortex.rows import RowArrays
from cortex.standalone import TextData, UserError
from cortex.tokenizer import Tokenizer
from cortex.train import Event


class TaskData(TextData):
    """Running text or examples, with several losses, hidden tokens, labels, tags or pairs."""

    def __init__(self, source: TextSource, tokenizer: Tokenizer) -> None:
        self.source, self.tokenizer = source, tokenizer
        self.labels, _ = label_names(source)
        self.validation = self._split("validation")
        self.sizes = (tokenizer.vocab_size, len(self.labels)) if self.labels else (tokenizer.vocab_size,)
        self._scale: dict[str, Any] = {
            "seq_len": source.seq_len, "eos": tokenizer.eos, "vocabulary": tokenizer.vocab_size,
        }  # fmt: skip

    def training(self, model: nn.Module, batch_size: int, seed: int) -> Batches:
        return training_feed(self._split("train"), model, batch_size=batch_size, seed=seed, **self._scale)

    def validation_share(self, batch_size: int) -> tuple[int, int]:
        rows = isinstance(self.validation, RowArrays)
        return (len(self.validation), batch_size) if rows else super().validation_share(batch_size)

    def judged(self, model: nn.Module) -> Event:
        return judged(model, self.validation, labels=self.labels, **self._scale).facts()

    def answer(self, model: nn.Module, prompt: str, arguments: argparse.Namespace) -> str:
        main = getattr(model, next(iter(model.loss_weights)))
        if main.target == "Label" and self.source.task == "Text":
            return super().answer(model, prompt, arguments)
        if main.target != "Label":
            raise UserError("--prompt: this model does not write; its main loss does not compare what comes next")
        ids = self.tokenizer.encode(prompt) or [self.tokenizer.eos]
        if self.source.task == "Pairs":
            tokens = generate(
                model, [self.tokenizer.eos], context=self.source.seq_len, vocab_size=self.tokenizer.vocab_size,
                max_tokens=arguments.max_tokens, temperature=arguments.temperature, stop=self.tokenizer.eos,
                batch={"source": torch.tensor([ids[: self.source.seq_len]], device=next(model.parameters()).device)},
            )  # fmt: skip
            return f" -> {self.tokenizer.decode(list(tokens))}"
        return f" -> {self._labelled(model, ids)}"

    @torch.no_grad()
    def _labelled(self, model: nn.Module, ids: list[int]) -> str:
        inputs = torch.tensor([ids[: self.source.seq_len]], device=next(model.parameters()).device)  # (1, T)
        was_training = model.training
        scores = next(iter(model.eval().outputs({"inputs": inputs}).values()))[0]  # (V,) or (T, V)
        model.train(was_training)
        best = scores[..., : len(self.labels)].argmax(-1).view(-1).tolist()
        return " ".join(self.labels[number] for number in best)

    def _split(self, split: str) -> Split:
        if self.source.task == "Text":
            return split_ids(self.source, split, self.tokenizer)
        return split_rows(self.source, split, self.tokenizer, self.labels)

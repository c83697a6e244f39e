"""The settings that every source of text has, and the checks of what ranges cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cortex.params import Choice, Int, Param, Text
from cortex.tokenizer import BYTES, KINDS, PRE_TOKENIZERS, TRAINED
from cortex.tokenizer_training import BPE_VOCABULARY

# What a source says of its batches; everything else about it decides the tokens on disk.
BATCH_PARAMS = ("batch_size", "seq_len")
# Where a file lies; what counts for the tokens is what is in it.
PLACE_PARAMS = ("path", "validation_file", "test_file", "tokenizer_file")


def text_params(*, pre_tokenizer: str, min_frequency: int) -> dict[str, Param]:
    """The settings that every source of text has: batches and tokenizer."""
    return {
        "batch_size": Int(default=20, low=1, high=65_536, help="Sequences a training step sees at once."),
        "seq_len": Int(default=64, low=1, high=65_536, help="Length of a sequence, in tokens; T."),
        "tokenizer": Choice(
            default="word",
            options=KINDS,
            help="What a token is: a word, a character, a piece of a word (byte-level BPE), or what a tokenizer.json says, "
            "a file of yours or one of the Hugging Face hub.",
        ),
        "vocab_size": Int(
            default="auto",
            low=3,
            high=10_000_000,
            auto=f"no limit; bpe: {BPE_VOCABULARY:,}",
            only=("tokenizer", TRAINED),
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
        "tokenizer_file": Text(default="", only=("tokenizer", ("file",)), help="A tokenizer.json (Hugging Face tokenizers)."),
        "tokenizer_id": Text(
            default="", only=("tokenizer", ("hub",)), help="A model of the hub with a tokenizer.json: openai-community/gpt2."
        ),
        "tokenizer_revision": Text(
            default="main",
            only=("tokenizer", ("hub",)),
            help="Commit, tag or branch of it. The commit that a branch has when it is first used is kept from then on.",
        ),
    }


def sound_tokenizer(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    """A check that the tokenizer's settings go together."""
    size = values["vocab_size"]
    if values["tokenizer"] == "bpe" and type(size) is int and size <= BYTES:
        message = f"vocab_size={size} is too small for bpe, which needs {BYTES} bytes and <eos>"
        yield "vocab_size", message, f"set it to at least {BYTES + 1}, or to auto"
    if values["tokenizer"] == "file" and not values["tokenizer_file"]:
        yield "tokenizer_file", "no tokenizer.json is named", "set tokenizer_file, or choose another tokenizer"
    if values["tokenizer"] == "hub" and not values["tokenizer_id"]:
        yield "tokenizer_id", "no model of the hub is named", "set it to OWNER/NAME, openai-community/gpt2 for one"


def leaves_text_to_train_on(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    """A check that the shares held out leave something, where the source splits by shares."""
    yield from sound_tokenizer(values, sizes)
    held_out = values["validation"] + values["test"]
    if values.get("split", "fraction") == "fraction" and held_out > 0.9:
        yield "validation", f"validation and test take {held_out:.0%} of the text", "leave at least 10 % to train on"

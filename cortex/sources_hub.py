"""The node kinds whose text is a data set of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cortex.corpus import SPLITS
from cortex.encode import Progress, TextSource
from cortex.hub import Pin, check_id
from cortex.hub_data import HubText
from cortex.params import Float, Text
from cortex.registry import register
from cortex.source_params import leaves_text_to_train_on, sound_tokenizer, text_params

# What is alike of the texts whose words are apart already and counted.
_OF_WORDS: dict[str, Any] = {
    "role": "source",
    "family": "source",
    "shape": "-> B T",
    "params": text_params(pre_tokenizer="whitespace", min_frequency=1),
    "check": sound_tokenizer,
}


class HubSource(TextSource):
    """A data set of the hub. `hub_splits` names its splits for training, validation and test; an empty one is a share of
    training's rows, at their end."""

    remote = True
    needs = ("datasets",)
    id = config = commit = ""
    column = "text"
    hub_splits = SPLITS
    validation = test = 0.0
    _text: HubText | None = None

    def revision(self) -> str:
        check_id(self.id, "id")
        return f"{self.id} {self.config} {self.commit}"

    def title(self) -> str:
        return " ".join(filter(None, (type(self).__name__, self.id, self.config)))

    def fetch(self, progress: Progress = lambda what, share: None) -> None:
        self._text = self._text or HubText(self.id, self.config, self.commit, self.column)
        self._text.fetch(progress)

    def blocks(self, split: str) -> Iterator[str]:
        self.fetch()
        name, low, high = self._rows(split)
        return self._text.blocks(name, low, high) if low < high else iter(())

    def _rows(self, split: str) -> tuple[str, int, int]:
        """The split of the hub that a split is in, and its rows there, from the first to before the last."""
        names = dict(zip(SPLITS, self.hub_splits, strict=True))
        count = self._text.rows(names[split] or names["train"], f"{split if names[split] else 'train'}_split")
        if names[split] and split != "train":
            return names[split], 0, count
        validation, test = (0.0 if names[name] else getattr(self, name) for name in SPLITS[1:])
        marks = [0, int(count * (1 - validation - test)), int(count * (1 - test)), count]
        at = SPLITS.index(split)
        return names["train"], marks[at], marks[at + 1]

    def expected_bytes(self, split: str) -> int | None:
        if self._text is None:
            return None
        name, low, high = self._rows(split)
        known = self._text.bytes(name)
        return known and known * (high - low) // max(1, self._text.rows(name, split))

    def pins(self) -> list[Pin]:
        pin = Pin("dataset", self.id, self.commit)
        return [*super().pins(), *([pin] if self.id and pin.moves() else [])]

    def pin(self, pin: Pin, commit: str) -> None:
        super().pin(pin, commit)
        if pin == Pin("dataset", self.id, self.commit):
            self.commit = commit


class WikiText(HubSource):
    """WikiText (Merity et al. 2016) of one size: the words of papers, or the raw text for every other tokenizer."""

    id, commit, size = "Salesforce/wikitext", "b08601e04326c79dfdd32d625aee71d232d685c3", ""

    @property
    def config(self) -> str:
        return f"wikitext-{self.size}{'' if self.tokenizer == 'word' else '-raw'}-v1"


@register(**_OF_WORDS)
class WikiText2(WikiText):
    """WikiText-2 of the Hugging Face hub: 2,088,628 words to train on, vocabulary 33,278 with the text's own `<unk>`. Any
    tokenizer but `word` gets the raw text (wikitext-2-raw-v1), which hides no word."""

    size = "2"


@register(**_OF_WORDS)
class WikiText103(WikiText):
    """WikiText-103 of the Hugging Face hub: 103,227,021 words to train on, vocabulary 267,735 with the text's own `<unk>`. Any
    tokenizer but `word` gets the raw text (wikitext-103-raw-v1), which hides no word."""

    size = "103"


@register(**_OF_WORDS)
class PennTreebank(HubSource):
    """Penn Treebank of the Hugging Face hub, as Mikolov et al. (2010) prepared it: 929,589 words to train on, vocabulary
    10,000. Its `<unk>` is part of the text, whatever the tokenizer: there is no raw text of it."""

    id, commit, column = "ptb-text-only/ptb_text_only", "refs/convert/parquet", "sentence"

    def pins(self) -> list[Pin]:
        # A branch by its name, but one that nobody writes to: the text is of 2010. So its fingerprint is the same everywhere.
        return TextSource.pins(self)


def _names_a_data_set(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    shares = {name: 0.0 if values[f"{name}_split"] else values[name] for name in SPLITS[1:]}
    yield from leaves_text_to_train_on({**values, **shares}, sizes)
    if not values["train_split"]:
        yield "train_split", "no split to train on is named", "set it to train, or see the data set's page"


@register(
    role="source",
    family="source",
    shape="-> B T",
    params={
        "id": Text(default="", help="The data set on the Hugging Face hub: OWNER/NAME."),
        "config": Text(default="", help="Its configuration; empty where it has only one."),
        "revision": Text(
            default="main",
            help="Commit, tag or branch. The commit that a branch has when it is first used is kept from then on.",
        ),
        "text_column": Text(default="text", help="The column that holds the text; every row ends with a line's end."),
        "train_split": Text(default="train", help="The name of its split to train on."),
        "validation_split": Text(
            default="validation", help="The name of its split that validates; where empty, a share of training's rows does."
        ),
        "test_split": Text(default="test", help="The name of its split to test on; where empty, a share of training's rows."),
        "validation": Float(
            default=0.05, low=0.001, high=0.9, only=("validation_split", ("",)),
            help="Share of training's rows, near their end, that validates and is never trained on.",
        ),
        "test": Float(
            default=0.05, low=0.0, high=0.9, only=("test_split", ("",)),
            help="Share of training's rows, at their end, that is kept for a last test.",
        ),
        **text_params(pre_tokenizer="whitespace", min_frequency=2),
    },
    check=_names_a_data_set,
)  # fmt: skip
class HubDataset(HubSource):
    """Any data set of the Hugging Face hub with a column of text, fetched through the `datasets` library."""

    def __init__(
        self,
        id: str,
        config: str,
        revision: str,
        text_column: str,
        train_split: str,
        validation_split: str,
        test_split: str,
        validation: float,
        test: float,
        **batches_and_tokenizer: Any,
    ) -> None:
        super().__init__(**batches_and_tokenizer)
        self.id, self.config, self.commit, self.column = id, config, revision, text_column
        self.hub_splits = (train_split, validation_split, test_split)
        self.validation, self.test = validation, test

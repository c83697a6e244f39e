"""What the original would have done with a document without a word: read from its own rules, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cortex.litegraph import Box, Sheet
from cortex.litegraph_flat import Flat
from cortex.litegraph_names import MADE_UP, SEQ_LEN, TEXTS, TRAINING, WIDTHS, kind_of
from cortex.registry import KINDS

# What a sentence is about (the way to a box, None for the whole document), and the sentence.
Sentence = tuple[str | None, str]

_MERGES = ("Add", "Multiply", "Concat")
_SEES_ALL = (
    "MultiheadAttention",
    "TransformerEncoderLayer",
    "TransformerEncoder",
    "TransformerDecoderLayer",
    "TransformerDecoder",
)
_LARGEST = 10**12  # past it nothing is meant
_HEADS = 8  # where a node does not say


def silent_faults(sheet: Sheet, flat: Flat) -> list[Sentence]:
    """What would have gone wrong unsaid, in the order of the document, the whole document's faults first."""
    found = [*_of_wiring(sheet, flat), *_of_texts(flat), *_of_widths(flat), *_of_the_future(flat), *_of_losses(flat)]
    order = [None, *flat.boxes]
    return sorted(found, key=lambda sentence: order.index(sentence[0]))


def role(box: Box) -> str | None:
    """The role of the kind that a box stands for."""
    kind = kind_of(box.type)
    return KINDS[kind].role if kind else None


def on_a_path(flat: Flat) -> set[str]:
    """The boxes that the original computes: those behind its first data node and before a Loss."""
    texts = [way for way, box in flat.boxes.items() if role(box) == "source"]
    losses = [way for way, box in flat.boxes.items() if role(box) == "loss"]
    return flat.behind(texts[:1]) & flat.before(losses) & set(flat.ordered())


def is_head(flat: Flat, way: str) -> bool:
    """Whether a Linear gives the scores of a CrossEntropy: nothing after it but what keeps the width."""
    for target in flat.fed_by(way):
        box = flat.boxes[target]
        kind = kind_of(box.type)
        if kind == "Loss" and box.properties.get("kind", "CrossEntropy") == "CrossEntropy":
            return True
        if kind in ("Dropout", "Softmax", "Identity") and is_head(_without(flat, way), target):
            return True
    return False


def _without(flat: Flat, way: str) -> Flat:
    """The same without one box, so that a cycle is walked once."""
    feeds = {target: [feed for feed in found if feed[1] != way] for target, found in flat.feeds.items()}
    return Flat({key: box for key, box in flat.boxes.items() if key != way}, feeds)


def _of_wiring(sheet: Sheet, flat: Flat) -> Iterator[Sentence]:
    if sheet.loose:
        yield None, f"{_count(sheet.loose, 'link')} to a node that is not there: left out"
    for box in flat.empty:
        yield None, f"{box.name} is empty: it would have passed on what it is given"
    for way in dict.fromkeys(flat.cut):
        yield way, "is linked to a part of a subgraph that gives nothing: left out"
    texts = [way for way, box in flat.boxes.items() if role(box) == "source"]
    for way in texts[1:]:
        yield way, f"a second data node beside {flat.boxes[texts[0]].name}: left out, with all that only it feeds"
    used, ordered = on_a_path(flat), set(flat.ordered())
    for way, box in flat.boxes.items():
        if way not in ordered:
            yield way, "stands in a cycle or behind one: left out"
        elif texts and way not in used and way not in texts[1:]:
            yield way, "is on no path from the data to a Loss: left out"
        feeding = flat.feeding(way)
        if kind_of(box.type) in _MERGES and len(feeding) == 1:
            yield way, "has one input: it would have passed that on"
        elif kind_of(box.type) not in _MERGES and len(feeding) > 1:
            yield way, f"has {len(feeding)} inputs: all but the first would have been left out"
        if box.mode not in (0, 1, 3):
            yield way, "is switched off on the canvas: it would have been trained all the same"


def _of_texts(flat: Flat) -> Iterator[Sentence]:
    for way, box in flat.boxes.items():
        kind = kind_of(box.type)
        if kind in TEXTS:
            yield (
                way,
                (
                    f"with the files of {box.type} missing it would have trained on random numbers of {MADE_UP} made-up "
                    "tokens; with them, weights were picked by the test text"
                ),
            )
            wanted = next((box.properties[name] for name in ("seq_len", "seq_length") if name in box.properties), SEQ_LEN)
            if number(wanted) != SEQ_LEN:
                yield way, f"a sequence length of {wanted} would have had no effect: it always takes {SEQ_LEN} tokens"
        elif kind == "CustomData":
            yield way, "path never reaches its trainer, which would have trained on 100 random pictures of 10 random classes"


def _of_widths(flat: Flat) -> Iterator[Sentence]:
    """Along the order of computation, with the width of every output as the original works it out."""
    widths: dict[str, int | None] = {}
    for way in flat.ordered():
        box, kind = flat.boxes[way], kind_of(flat.boxes[way].type)
        feeding = flat.feeding(way)
        width = widths.get(feeding[0]) if feeding else None
        told = box.properties
        for name in WIDTHS:
            if name in told and kind != "Linear" and width is not None and number(told[name]) not in (None, width):
                yield way, f"{name}={told[name]} would have been overridden by the width that comes in, {width}"
        if width is not None and number(told.get("in_features")) not in (None, width):
            yield way, f"in_features={told['in_features']} would have been overridden by the width that comes in, {width}"
        refusal = _refusal(kind, told, width)
        if refusal:
            lost = len(flat.behind([way])) - 1
            behind = f" with the {_count(lost, 'node')} behind it" if lost else ""
            yield way, f"{refusal}: it would have been dropped{behind}, and training gone on without"
        if kind == "Embedding":
            yield from _of_vocabulary(way, told, "num_embeddings")
            width = number(told.get("embedding_dim", 128))
        elif kind == "Linear" and "out_features" in told:
            if box.type.lower() == "dense":
                width = number(told["out_features"])
            elif is_head(flat, way):
                yield from _of_vocabulary(way, told, "out_features")
                width = None
            else:
                yield (
                    way,
                    (
                        f"out_features={told['out_features']}, in the middle of the model, would have been enlarged to the "
                        "vocabulary wherever that is larger"
                    ),
                )
                width = None
        widths[way] = width


def _of_vocabulary(way: str, told: Mapping[str, Any], name: str) -> Iterator[Sentence]:
    if name in told:
        made_up = f", and {MADE_UP} is that of its made-up data" if number(told[name]) == MADE_UP else ""
        yield way, f"{name}={told[name]} would have been enlarged to the vocabulary wherever that is larger{made_up}"


def _refusal(kind: str | None, told: Mapping[str, Any], width: int | None) -> str | None:
    """Why torch refuses to make a layer, which the original prints to its console and goes on; None where it does not."""
    if not width or kind is None:
        return None
    if kind == "PositionalEncoding":
        return f"its waves need an even width, not {width}" if width % 2 else None
    if kind != "GPTBlock" and kind not in _SEES_ALL:
        return None
    name = "num_heads" if kind == "MultiheadAttention" else "nhead"
    heads = number(told.get(name, _HEADS))
    return (
        None if heads and heads > 0 and width % heads == 0 else f"{name}={told.get(name, _HEADS)} does not divide width {width}"
    )


def _of_the_future(flat: Flat) -> Iterator[Sentence]:
    for way, box in flat.boxes.items():
        kind = kind_of(box.type)
        if kind in _SEES_ALL:
            yield way, "its attention sees later tokens, so the model would have been shown the very token it is to predict"
            if "Decoder" in kind:
                yield way, "it is given no memory, without which it would have failed at the first batch"
        elif kind == "Softmax" and number(box.properties.get("dim", 1)) == 1:
            yield way, "dim=1 is over the positions, so later tokens would have been seen"
        elif kind == "Concat" and number(box.properties.get("dim", 1)) == 1:
            yield way, "dim=1 is over the positions: sequences would have been laid one behind the other"
        if kind == "Softmax" and any(kind_of(flat.boxes[target].type) == "Loss" for target in flat.fed_by(way)):
            yield way, "CrossEntropy takes a softmax itself; taken twice, it hardly learns"


def _of_losses(flat: Flat) -> Iterator[Sentence]:
    used = on_a_path(flat)
    losses = [way for way, box in flat.boxes.items() if kind_of(box.type) == "Loss" and (way in used or not used)]
    if not losses:
        return
    first = {name: flat.boxes[losses[0]].properties.get(name, default) for name, default in TRAINING.items()}
    texts = [box for box in flat.boxes.values() if kind_of(box.type) in TEXTS]
    epochs = number(first["epochs"])
    if texts and epochs:
        yield (
            losses[0],
            (
                f"epochs={epochs} would have read the text {epochs * SEQ_LEN:,} times: every stretch of {SEQ_LEN} tokens, "
                "from every token on, was one example"
            ),
        )
    for way in losses[1:]:
        told = flat.boxes[way].properties
        differs = [f"{name}={told[name]}" for name in TRAINING if name in told and told[name] != first[name]]
        if differs:
            yield way, f"{', '.join(differs)} would have had no effect: the first Loss decides for the whole run"


def number(value: Any) -> int | None:
    """A whole number as the original reads it, from a text too; None for anything else."""
    try:
        found = int(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None
    return None if found is None or abs(found) > _LARGEST else found


def _count(many: int, what: str) -> str:
    return f"{many:,} {what}{'' if many == 1 else 's'}"

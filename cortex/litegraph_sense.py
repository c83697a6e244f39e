"""What the original would have done with a document without a word: read from its own rules, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from cortex.litegraph import INPUT, OUTPUT, REFERENCE, Box, Sheet
from cortex.litegraph_flat import Flat
from cortex.litegraph_names import (
    LOSSES,
    MADE_UP,
    OPTIMIZERS,
    SEES_ALL,
    SEQ_LEN,
    TEXTS,
    TRAINING,
    Sentence,
    count,
    kind_of,
    number,
    shown,
)  # fmt: skip
from cortex.litegraph_widths import of_widths
from cortex.registry import KINDS

_MERGES = ("Add", "Multiply", "Concat")


def silent_faults(sheet: Sheet, flat: Flat) -> list[Sentence]:
    """What would have gone wrong unsaid, in the order of the document, the whole document's faults first."""
    found = [*_of_wiring(sheet, flat), *_of_texts(flat), *of_widths(flat), *_of_the_future(flat), *_of_losses(flat)]
    order: dict[str | None, int] = {way: at for at, way in enumerate((None, *flat.groups, *flat.boxes))}
    return sorted(found, key=lambda sentence: order[sentence[0]])


def role(box: Box) -> str | None:
    """The role of the kind that a box stands for."""
    kind = kind_of(box.type)
    return KINDS[kind].role if kind else None


def on_a_path(flat: Flat) -> set[str]:
    """The boxes that the original computes: those behind its first data node and before a Loss."""
    texts = [way for way, box in flat.boxes.items() if role(box) == "source"]
    losses = [way for way, box in flat.boxes.items() if role(box) == "loss"]
    return flat.behind(texts[:1]) & flat.before(losses) & set(flat.ordered)


def _of_wiring(sheet: Sheet, flat: Flat) -> Iterator[Sentence]:
    if sheet.loose:
        yield None, f"{count(sheet.loose, 'link')} to a node that is not there: left out"
    if sheet.twice:
        yield None, f"{count(sheet.twice, 'link')} with the number of a later one: left out"
    for way, box in flat.groups.items():
        yield from _of_subgraph(way, box)
        if box.inner and box.inner.twice:
            yield way, f"{count(box.inner.twice, 'link')} inside with the number of a later one: left out"
        if flat.taken[way] > 1:
            yield way, f"has {flat.taken[way]} inputs: all but the first would have been left out"
        outputs = sum(inner.type == OUTPUT for inner in box.inner.boxes) if box.inner else 0
        if outputs > 1:
            yield way, f"gives {outputs} values: what follows would have been given them all at once, and failed"
    for way in dict.fromkeys(flat.cut):
        yield way, "is linked to a part of a subgraph that gives nothing: left out"
    texts = [way for way, box in flat.boxes.items() if role(box) == "source"]
    for way in texts[1:]:
        yield way, f"a second data node beside {flat.boxes[texts[0]].name}: left out, with all that only it feeds"
    used, ordered = on_a_path(flat), set(flat.ordered)
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


def _of_subgraph(way: str, box: Box) -> Iterator[Sentence]:
    if box.inner is None or not any(inner.type not in (INPUT, OUTPUT) for inner in box.inner.boxes):
        yield way, "is empty: it would have passed on what it is given"
    elif box.unread:
        yield way, "its inside is looked for in properties.subgraph alone: it would have passed on what it is given"
    elif box.type == REFERENCE:
        path = box.properties.get("subgraph_path")
        if path:
            yield way, f"with the file {shown(path)} missing it would have passed on what it is given"
        else:
            yield way, "has no subgraph_path, which alone is read: it would have passed on what it is given"


def _of_texts(flat: Flat) -> Iterator[Sentence]:
    for way, box in flat.boxes.items():
        kind = kind_of(box.type)
        if kind in TEXTS:
            made_up = f"random numbers of {MADE_UP} made-up tokens"
            if kind == "PennTreebank":
                yield way, f"it looks for the files of WikiText, finds none and would have trained on {made_up}"
            else:
                yield (
                    way,
                    f"with the files of {box.type} missing it would have trained on {made_up}; with them, on a text without "
                    "headings and line ends, and weights were picked by the test text",
                )
            wanted = next((box.properties[name] for name in ("seq_len", "seq_length") if name in box.properties), SEQ_LEN)
            if number(wanted) != SEQ_LEN:
                yield way, f"a sequence length of {shown(wanted)} would have had no effect: it always takes {SEQ_LEN} tokens"
        elif kind == "CustomData":
            yield way, "path never reaches its trainer, which would have trained on 100 random pictures of 10 random classes"


def _of_the_future(flat: Flat) -> Iterator[Sentence]:
    for way, box in flat.boxes.items():
        kind = kind_of(box.type)
        if kind in SEES_ALL:
            yield way, "its attention sees later tokens, so the model would have been shown the very token it is to predict"
            if "Decoder" in kind:
                yield way, "it is given no memory, without which it would have failed at the first batch"
        elif kind in ("Softmax", "Concat"):
            yield from _of_dim(flat, way, box, kind)
        if kind == "Softmax" and any(kind_of(flat.boxes[target].type) == "Loss" for target in flat.fed_by(way)):
            yield way, "CrossEntropy takes a softmax itself; taken twice, it hardly learns"


def _of_dim(flat: Flat, way: str, box: Box, kind: str) -> Iterator[Sentence]:
    """Of batch, positions and width the original counts 0, 1, 2, or -3, -2, -1 from the end, and takes 1 unsaid."""
    told = box.properties.get("dim", 1)
    axis = number(told)
    if axis in (1, -2):
        over = (
            "later tokens would have been seen" if kind == "Softmax" else "sequences would have been laid one behind the other"
        )
        yield way, f"dim={shown(told)} is over the positions{', so' if kind == 'Softmax' else ':'} {over}"
    elif axis in (0, -3):
        yield way, f"dim={shown(told)} is over the batch: sequences would have been mixed with each other"
    ports = [port for port, _ in flat.feeds[way]]
    if kind == "Concat" and ports != sorted(ports) and not flat.inside[way]:
        yield way, "its inputs would have been joined in the order in which they were linked, not from top to bottom"


def _of_losses(flat: Flat) -> Iterator[Sentence]:
    used = on_a_path(flat)
    losses = [way for way, box in flat.boxes.items() if kind_of(box.type) == "Loss" and (way in used or not used)]
    if not losses:
        return
    first = {name: flat.boxes[losses[0]].properties.get(name, default) for name, default in TRAINING.items()}
    texts = [box for box in flat.boxes.values() if kind_of(box.type) in TEXTS]
    epochs = number(first["epochs"])
    if epochs is not None and epochs <= 0:
        yield losses[0], f"epochs={shown(first['epochs'])} would have trained nothing, and been told as done"
    elif texts and epochs:
        yield (
            losses[0],
            (
                f"epochs={epochs} would have read the text {epochs * SEQ_LEN:,} times: every stretch of {SEQ_LEN} tokens, "
                "from every token on, was one example"
            ),
        )
    if first["optimizer"] not in OPTIMIZERS:
        yield losses[0], f"optimizer={shown(first['optimizer'])} would have been {OPTIMIZERS[0]}"
    for way in losses:
        kind = flat.boxes[way].properties.get("kind", LOSSES[0])
        if kind not in LOSSES:
            yield way, f"kind={shown(kind)} would have been {LOSSES[0]}"
    for way in losses[1:]:
        told = flat.boxes[way].properties
        differs = [f"{name}={shown(told[name])}" for name in TRAINING if name in told and told[name] != first[name]]
        if differs:
            yield way, f"{', '.join(differs)} would have had no effect: the first Loss decides for the whole run"

"""The widths that the original would have worked out for a document, and what it would have done with those it was told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cortex.litegraph_flat import Flat
from cortex.litegraph_names import BUILT, LOSSES, MADE_UP, SEES_ALL, WIDTHS, Sentence, count, kind_of, number, shown
from cortex.registry import KINDS

_HEADS = 8  # where a node does not say
_LAYER, _STACK = ("nhead", "dim_feedforward"), ("nhead", "num_layers", "dim_feedforward")
# What it reads as whole numbers, which cuts off what stands behind the point.
_WHOLE = {
    "Embedding": ("num_embeddings", "embedding_dim"),
    "PositionalEncoding": ("max_len",),
    "GPTBlock": _LAYER,
    "TransformerEncoderLayer": _LAYER,
    "TransformerDecoderLayer": _LAYER,
    "TransformerEncoder": _STACK,
    "TransformerDecoder": _STACK,
    "MultiheadAttention": ("num_heads",),
    "Linear": ("out_features",),
    "Softmax": ("dim",),
    "Concat": ("dim",),
    "Loss": ("epochs",),
}
_SIZES = ("embedding_dim", "max_len", "dim_feedforward")  # torch refuses one below 0
# What it reads as numbers with a point, and the kinds that have it.
_DROPPING = ("PositionalEncoding", "GPTBlock", *(kind for kind in _WHOLE if kind.startswith("Transformer")))
_FRACTIONS = {"dropout": _DROPPING, "p": ("Dropout",), "negative_slope": ("LeakyReLU",)}


def is_head(flat: Flat, way: str) -> bool:
    """Whether a Linear gives the scores of a CrossEntropy: nothing after it but what keeps the width."""
    waiting, seen = [way], {way}
    while waiting:
        for target in flat.fed_by(waiting.pop()):
            box = flat.boxes[target]
            kind = kind_of(box.type)
            if kind == "Loss" and box.properties.get("kind") not in LOSSES[1:]:
                return True
            if kind in ("Dropout", "Softmax", "Identity") and target not in seen:
                seen.add(target)
                waiting.append(target)
    return False


def of_widths(flat: Flat) -> Iterator[Sentence]:
    """Along the order of computation, with the width of every output as the original works it out."""
    widths: dict[str, int | None] = {}
    dropped: set[str] = set()
    for way in flat.ordered:
        box, kind = flat.boxes[way], kind_of(flat.boxes[way].type)
        feeding = flat.feeding(way)
        width = widths.get(feeding[0]) if feeding else None
        told = box.properties
        for name in WIDTHS:
            if name in told and width is not None and number(told[name]) not in (None, width):
                yield way, f"{name}={shown(told[name])} would have been overridden by the width that comes in, {width}"
        yield from _of_numbers(way, kind, told)
        refusal = _unknown(kind, box.type) or _unread(kind, told) or _refusal(kind, told, width)
        if not dropped.isdisjoint(feeding[:1]):
            dropped.add(way)
        elif refusal:
            dropped.add(way)
            lost = len(flat.behind([way])) - 1
            behind = f" with the {count(lost, 'node')} behind it" if lost else ""
            yield way, f"{refusal}: it would have been dropped{behind}, and training gone on without"
        if kind == "Embedding":
            yield from _of_vocabulary(way, told, "num_embeddings")
            width = number(told.get("embedding_dim", 128))
        elif kind == "Linear":
            width = number(told.get("out_features")) if box.type.lower() == "dense" else None
            yield from _of_linear(flat, way, told)
        elif kind == "Concat" and len(feeding) > 1:
            yield way, "what follows would have been made for the width of its first input alone"
        widths[way] = width


def _of_numbers(way: str, kind: str | None, told: Mapping[str, Any]) -> Iterator[Sentence]:
    """Whole numbers that stand there as something else, and are taken all the same."""
    for name in _whole(kind):
        value = told.get(name)
        if isinstance(value, bool):
            yield way, f"{name}={shown(value)} would have been read as {int(value)}"
        elif isinstance(value, float) and not value.is_integer() and number(value) is not None:
            yield way, f"{name}={shown(value)} would have been cut to {number(value)}"


def _unknown(kind: str | None, type_name: str) -> str | None:
    """Why its builder passes a layer by; None for a type that it knows by just this name."""
    if kind is None or KINDS[kind].role in ("source", "loss") or type_name in BUILT:
        return None
    return f"its builder knows no type {shown(type_name)}"


def _unread(kind: str | None, told: Mapping[str, Any]) -> str | None:
    """Why a number of a layer cannot be read or used, so that it is not made; None where all can."""
    role = KINDS[kind].role if kind else None
    for name in _whole(kind) if role not in ("source", "loss") else ():
        if name in told and not isinstance(told[name], bool) and number(told[name]) is None:
            return f"{name}={shown(told[name])} is no whole number that it can read"
        if name in _SIZES and name in told and (number(told[name]) or 0) < 0:
            return f"{name}={shown(told[name])} is below 0"
    for name in ("dropout", "p", "negative_slope") if role not in ("source", "loss") else ():
        if kind not in _FRACTIONS.get(name, ()) or name not in told:
            continue
        found = _fraction(told[name])
        if found is None:
            return f"{name}={shown(told[name])} is no number that it can read"
        if name != "negative_slope" and not 0 <= found <= 1:
            return f"{name}={shown(told[name])} is not from 0 to 1"
    return None


def _whole(kind: str | None) -> tuple[str, ...]:
    """The settings of a kind that the original reads as whole numbers."""
    if kind is not None and KINDS[kind].role == "source":
        return ("batch_size",)
    return _WHOLE.get(kind or "", ())


def _fraction(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None


def _of_linear(flat: Flat, way: str, told: Mapping[str, Any]) -> Iterator[Sentence]:
    if is_head(flat, way):
        if flat.boxes[way].type.lower() != "dense":
            yield from _of_vocabulary(way, told, "out_features")
    elif "out_features" not in told:
        yield way, "without out_features it would have been as wide as the vocabulary, in the middle of the model"
    elif flat.boxes[way].type.lower() != "dense":
        yield (
            way,
            f"out_features={shown(told['out_features'])}, in the middle of the model, would have been enlarged to the "
            "vocabulary wherever that is larger",
        )


def _of_vocabulary(way: str, told: Mapping[str, Any], name: str) -> Iterator[Sentence]:
    if name in told:
        made_up = f", and {MADE_UP} is that of its made-up data" if number(told[name]) == MADE_UP else ""
        yield way, f"{name}={shown(told[name])} would have been enlarged to the vocabulary wherever that is larger{made_up}"


def _refusal(kind: str | None, told: Mapping[str, Any], width: int | None) -> str | None:
    """Why torch refuses to make a layer, which the original prints to its console and goes on; None where it does not."""
    if not width or kind is None:
        return None
    if kind == "PositionalEncoding":
        return f"its waves need an even width, not {width}" if width % 2 else None
    if kind != "GPTBlock" and kind not in SEES_ALL:
        return None
    name = "num_heads" if kind == "MultiheadAttention" else "nhead"
    found = told.get(name, _HEADS)
    heads = number(found)
    return None if heads and heads > 0 and width % heads == 0 else f"{name}={shown(found)} does not divide width {width}"

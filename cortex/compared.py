"""Whether what comes into a loss is one score for each thing that it compares, and what is in the way where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cortex.checks import Issue, Wiring
from cortex.shapes import Shape, is_tokens, shape_text
from cortex.targets import Targets


def not_compared(loss: str, targets: Targets, wiring: Wiring, shapes: Mapping[str, Shape]) -> Iterator[Issue]:
    """The faults of a loss's input, or of the node that has made something else of it; none where it can be compared.

    Args:
        shapes: of the nodes before the loss.
    """
    need = targets.needs(loss)
    source = wiring.inputs[loss]["in"]
    shape = shapes[source]
    dim = shape[-1]
    head = dim.letter in ("V", "out_features")
    number = targets.number(need.number)
    # What is no head may be one by its width, and only by just that: a model wider than 65 letters has no scores yet.
    fits = head if number is None or dim.size is None else dim.size == number or (head and dim.size > number)
    if not fits or is_tokens(shape):
        known = f", {number:,} {need.what}s" if number else ""
        hint = f"set out_features of {source} to auto" if head else "put a Linear before it"
        got = f"width {dim}"
        if is_tokens(shape):
            got, hint = f"token numbers {shape_text(shape)}", "put an Embedding and a Linear before it"
        yield Issue(loss, None, f"received {got}, expected one score for each {need.each}{known}", hint)
        return
    letters = [one.letter for one in shape[:-1]]
    if letters == (["B"] if need.per_text else ["B", "T"]):
        return
    if need.per_text:
        hint = f"put a Pool before {source}"
        yield Issue(loss, None, f"received scores of every token, {shape_text(shape)}, expected one row a text", hint)
    elif len(letters) == 1 or "+" in letters[1]:
        changed = _what_changed(source, wiring, shapes)
        does, field, hint = "joins two sequences into one", "dim", "set dim to width, or remove it"
        if len(letters) == 1:
            does, field = "gives one vector for a whole text", None
            hint = "remove it, or compare the label of a text (CustomData of type Labelled)"
        yield Issue(changed, field, f"{does}, and {loss} compares every token", hint)
        yield Issue(loss, None, f"waits for {changed}, which has a fault", "", changed)
    else:
        hint = "connect it to what comes of the data node itself"
        yield Issue(loss, None, f"received scores of {'×'.join(letters)}, expected one row for each token, B×T", hint)


def _what_changed(source: str, wiring: Wiring, shapes: Mapping[str, Shape]) -> str:
    """The node that made something else of the positions of a text, of either side, behind which `source` stands."""
    while before := list(wiring.inputs.get(source, {}).values()):
        if any(len(letters) == 2 and "+" not in letters[1] for letters in (_positions(shapes[name]) for name in before)):
            break
        if not wiring.inputs.get(before[0]):
            break  # a kind that makes its vector of the tokens themselves
        source = before[0]
    return source


def _positions(shape: Shape) -> list[str]:
    """The letters of all dimensions but the last."""
    return [dim.letter for dim in shape[:-1]]

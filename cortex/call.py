"""One step of a planned model: what builds, prints and runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """One step of the forward pass.

    Args:
        args: what the module is constructed with, every "auto" resolved.
        inputs: the node whose output goes into each port, in the order of the ports.
        head: for a loss, the Linear that is computed together with it; its own call is then only run for logits.
        masks: arguments that take the mask of a sequence -> its letter.
        open: what the arguments that hang on the data stand for: `vocabulary`, `vocabulary + 1` or `labels`.
    """

    node: str
    kind: str
    args: Mapping[str, Any]
    inputs: tuple[str, ...]
    head: str | None = None
    masks: tuple[tuple[str, str], ...] = ()
    open: Mapping[str, str] = field(default_factory=dict)

"""How many parameters a node kind has with given settings, without making their values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cortex.kind import Kind

# Of the constructors' arithmetic only the shape is asked for.
_ELEMENTWISE = {torch.Tensor.mul, torch.exp, torch.sin, torch.cos}


@functools.lru_cache(maxsize=4096)
def parameter_count(kind: Kind, values: tuple[tuple[str, Any], ...]) -> int:
    """Number of parameters of a module of this kind; the largest takes no memory.

    Args:
        values: name and value of each setting that its constructor takes, none of them open.
    """
    with torch.device("meta"), _Unfilled():
        return sum(parameter.numel() for parameter in kind.cls(**dict(values)).parameters())


class _Unfilled(TorchFunctionMode):
    """Leaves initial values undrawn and arithmetic undone. On the meta device torch does both in Python, and loads its compiler
    for that: 1.6 s and 70 MiB before the first graph of a process is shown."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(function, "__module__", None) == nn.init.__name__:
            return args[0] if args else (kwargs or {})["tensor"]
        if function in _ELEMENTWISE:
            return torch.empty(torch.broadcast_shapes(*(value.shape for value in args if isinstance(value, Tensor))))
        return function(*args, **(kwargs or {}))

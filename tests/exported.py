"""Exported scripts as modules, for the tests of what they are and of what they do."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Lines = list[dict[str, Any]]

_numbers = itertools.count()


def load(text: str, folder: Path) -> ModuleType:
    """The text of a script, imported as a module of its own from a file in this folder."""
    name = f"exported_{next(_numbers)}"
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def model_of(module: ModuleType) -> type:
    """The script's model: the one class of it that has logits."""
    (found,) = [value for value in vars(module).values() if inspect.isclass(value) and hasattr(value, "logits")]
    return found


def start(module: ModuleType, *options: str) -> int:
    """What the script does when it is started with these options; its exit status comes out."""
    return module.main(
        model_of(module), module.SOURCE, module.CONFIG, max_steps=module.MAX_STEPS,
        weights=module.WEIGHTS, argv=list(options), data=getattr(module, "TaskData", module.TextData),
    )  # fmt: skip


def told(module: ModuleType, capsys: pytest.CaptureFixture[str], *options: str) -> Lines:
    """The events that the script tells of as JSON."""
    capsys.readouterr()
    status = start(module, "--json", *options)
    out, err = capsys.readouterr()
    assert status == 0, err
    return [json.loads(line) for line in out.splitlines()]


def losses_of(lines: Lines) -> list[tuple[str, int, float]]:
    """What must be equal: kind, step and loss of every event of the training that has one."""
    return [(line["event"], line["step"], line["loss"]) for line in lines if line["event"] in ("train", "validation")]

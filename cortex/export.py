"""Prints a graph, or a run, as one Python file that trains the same model to the same losses without this package.

What is ours in it is the text of our own modules, word for word (gather.py); the model's class is printed from the same calls
that `build()` makes a module of.
"""

from __future__ import annotations

import builtins
import dataclasses
import keyword
import os
import platform
import re
import textwrap
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cortex import __version__
from cortex.builder import TRAINING, Call, Plan, PlanError, plan, train_config
from cortex.config import TrainConfig
from cortex.gather import Gathered, gather, import_lines, part_text
from cortex.graph import Graph
from cortex.graph_source import source_node, source_of
from cortex.measures import has_perplexity, tells_all
from cortex.model_text import construct, literal, model_class, uses_padding
from cortex.params import complete
from cortex.parsed import Import
from cortex.registry import KINDS
from cortex.runs import Run

_MAIN = ("cortex.standalone", "main")
# What takes the place of plain text where a graph asks for more.
_TASKS = ("cortex.standalone_tasks", "TaskData")
_MODEL_IMPORTS = {Import("torch", "Tensor"), Import("torch", "nn")}
# Loaded when they are needed: what a source says it needs of them.
_WHERE_ASKED = {"datasets", "huggingface_hub", "pyarrow"}
_CONSTANTS = ("SOURCE", "CONFIG", "MAX_STEPS", "WEIGHTS")


def script(graph: Graph, *, max_steps: int | None = None, weights: str | None = None, origin: str = "") -> str:
    """The whole file as text. Started with `python -I` it prints, on a CPU, the losses of the app bit for bit.

    Args:
        max_steps: where training ends early.
        weights: file of a run's weights, from the folder of the script.
        origin: a sentence of ours for its top, on where the graph comes from.

    Raises:
        PlanError: the graph has issues.
    """
    planned = plan(graph)
    if planned.issues:
        raise PlanError(planned.issues)
    config, source = train_config(graph), source_node(graph)
    gathered = _gathered(planned)
    taken = gathered.names | {entry.binds for entry in _MODEL_IMPORTS} | set(_CONSTANTS)
    assert not set(_CONSTANTS) & gathered.names, "a constant of the script has the name of something that is collected"
    name = class_name(graph.name, taken)
    values = {
        "SOURCE": construct(source.kind, complete(KINDS[source.kind].params, source.params), before="SOURCE = "),
        "CONFIG": construct("TrainConfig", _changed(config), before="CONFIG = "),
        "MAX_STEPS": repr(max_steps),
        "WEIGHTS": literal(weights),
    }
    drawn = _part("The model that was drawn. Its parts have the names of the nodes.", model_class(planned, name))
    # The last is what starts; all else stands before the model.
    starts = [_MAIN[0], _TASKS[0]]
    in_order = sorted(gathered.parts, key=lambda part: starts.index(part[0].name) if part[0].name in starts else -1)
    parts = [_part(module.title, part_text(found)) for module, found in in_order]
    parts.insert(-1, drawn)
    settings = "\n".join(f"{key} = {value}" for key, value in values.items())
    task = f", data={_TASKS[1]}, perplexities={has_perplexity(graph)}" if tells_all(graph) else ""
    begin = f"main({name}, SOURCE, CONFIG{task}, max_steps=MAX_STEPS, weights=WEIGHTS)"
    start = f"raise SystemExit({begin})" if len(begin) < 100 else f"raise SystemExit(\n        {begin}\n    )"
    return (
        f"{_head(graph, _needs(planned, gathered, weights is not None), config, origin)}\n\n"
        f"from __future__ import annotations\n\n{import_lines(gathered.imports | _MODEL_IMPORTS)}\n\n"
        + "\n\n\n".join([*parts, _part("What was set.", settings)])
        + f'\n\nif __name__ == "__main__":\n    {start}\n'
    )


def script_of_run(run: Run, folder: Path | None = None) -> str:
    """The script of a run: its graph with the settings, the threads and the length that it has, and its best weights.

    Args:
        folder: where the script will lie; the run's own directory where that is not said.

    Raises:
        RunError: the run cannot be read.
        PlanError: its graph has issues.
    """
    record, weights = run.record(), run.checkpoint("best")
    parent = record.get("parent")
    first = f" That run went on where {parent} had ended; trained from here, the model begins anew." if parent else ""
    return script(
        graph_of_run(run),
        max_steps=record.get("max_steps"),
        weights=Path(os.path.relpath(weights, folder or run.path)).as_posix(),
        origin=f"It is the model of run {run.id}, whose weights --weights loads.{first}",
    )


def graph_of_run(run: Run, events: Iterable[Mapping[str, Any]] | None = None) -> Graph:
    """The graph that trains as a run did, wherever it is trained: with its number of threads, and with the length that came of
    its time budget, which would be measured anew otherwise. RunError when the run cannot be read.

    Args:
        events: what the caller has read of metrics.jsonl already; those that are no points will do.
    """
    graph = run.graph()
    for event in run.events() if events is None else events:
        if event.get("event") == "start" and event.get("threads"):
            graph = graph.with_training("threads", event["threads"])
        if event.get("event") == "horizon":
            graph = graph.with_training("max_minutes", 0.0).with_training("steps", event["steps"])
            if event.get("hold_steps") and TRAINING["hold_steps"].applies(complete(TRAINING, graph.training)):
                graph = graph.with_training("hold_steps", event["hold_steps"])
    return graph


def packages(graph: Graph, *, with_weights: bool = False) -> list[str]:
    """What the script of a graph without issues needs, as pip takes it: torch==2.13.0."""
    planned = plan(graph)
    return _needs(planned, _gathered(planned), with_weights)


def class_name(name: str, taken: Iterable[str]) -> str:
    """A Python name made from any text, none of those taken: gpt-small becomes GptSmall."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    found = "".join(word[0].upper() + word[1:] for word in words)[:60]
    if not found or found[0].isdigit():
        found = f"Model{found}"
    while found in taken or found in vars(builtins) or keyword.iskeyword(found):
        found += "Model"
    return found


# The parts of the file


def _head(graph: Graph, needs: list[str], config: TrainConfig, origin: str) -> str:
    """The first docstring. Only the graph's name is not ours, and it could hold anything."""
    shown = graph.name if len(graph.name) <= 80 else graph.name[:79] + "…"
    shown = repr(shown).replace("\\", "\\\\").replace('"', '\\"')
    extra = [] if any(need.startswith("safetensors") for need in needs) else ["--save and --weights need safetensors as well."]
    lines = [
        f'"""{shown}: a language model and its training in one file, made by CortexNodus {__version__}.',
        *textwrap.wrap(origin.replace("\\", "").replace('"', "'"), 118),
        "",
        f"Needs Python 3.11 or newer ({platform.python_version()} made it) and",
        f"    pip install {' '.join(needs)}",
        *extra,
        "",
        f"Started without options it trains as set at its end, seed {config.seed}, and prints its losses with all their",
        "digits: on a CPU, with these versions and as many threads, they are those of the app, bit for bit. --help lists",
        "what else it can do.",
        '"""',
    ]
    return "\n".join(lines)


def _needs(planned: Plan, gathered: Gathered, with_weights: bool) -> list[str]:
    """Packages that the script needs, with the versions that are installed here."""
    (source,) = [call for call in planned.calls if KINDS[call.kind].role == "source"]
    names = {entry.package for entry in gathered.imports | _MODEL_IMPORTS} & (gathered.packages | {"torch"})
    names = (names | gather([_place(source)]).packages) - _WHERE_ASKED
    names |= set(source_of(source_node(planned.graph)).packages())
    if with_weights:
        names.add("safetensors")
    return [_pinned(name) for name in sorted(names, key=lambda name: (name != "torch", name))]


def _pinned(package: str) -> str:
    try:
        return f"{package}=={version(package).partition('+')[0]}"
    except PackageNotFoundError:
        return package


def _part(title: str, text: str) -> str:
    space = "\n\n\n" if text.startswith(("class ", "def ", "@")) else "\n\n"
    heading = textwrap.fill(title, 118, initial_indent="# ", subsequent_indent="# ")
    return f"# {'-' * 116}\n{heading}{space}{text}"


def _gathered(planned: Plan) -> Gathered:
    """All that is ours in the script of a plan, but for the model's class."""
    padding = [("cortex.padding", "padding")] if uses_padding(planned) else []
    tasks = [_TASKS] if tells_all(planned.graph) else []
    return gather([*map(_place, planned.calls), *padding, _MAIN, *tasks])


def _place(call: Call) -> tuple[str, str]:
    cls = KINDS[call.kind].cls
    return cls.__module__, cls.__name__


def _changed(config: TrainConfig) -> dict[str, Any]:
    """The settings that differ from their defaults."""
    fields = dataclasses.fields(config)
    return {field.name: getattr(config, field.name) for field in fields if getattr(config, field.name) != field.default}

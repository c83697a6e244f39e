"""What the verbs of the command line share: mistakes of the user, graphs with their settings, folders."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex.graph import Graph, from_json
from cortex.places import Places, json_line, places
from cortex.runs import Run

if TYPE_CHECKING:
    from cortex.graph import Node
    from cortex.store import Prepared

OK, FAILED, USER_ERROR, INTERRUPTED = 0, 1, 2, 130


class UserError(ValueError):
    """A mistake of the user's; its text is the line that they read."""


def load_graph(arguments: argparse.Namespace) -> Graph:
    """The graph of a file, a run or a preset, with the settings of --set."""
    from cortex.edit import SettingError, apply_setting
    from cortex.presets import PRESETS, preset
    from cortex.recipes import RECIPES, apply_recipe

    if bool(arguments.graph) == bool(arguments.preset):
        raise UserError("give either a GRAPH.json or --preset small, medium or large")
    if arguments.preset:
        if arguments.preset not in PRESETS:
            raise UserError(f"--preset {arguments.preset}: expected one of {', '.join(PRESETS)}")
        graph = preset(arguments.preset)
    else:
        path = Path(arguments.graph)
        graph = Run(path.parent).graph() if path.name == "run.json" else from_json(read_text(path), arguments.graph)
    if arguments.recipe:
        if arguments.recipe not in RECIPES:
            raise UserError(f"--recipe {arguments.recipe}: expected {' or '.join(RECIPES)}")
        graph = apply_recipe(graph, arguments.recipe)
    for text in arguments.settings:
        try:
            graph = apply_setting(graph, text)
        except SettingError as error:
            raise UserError(f"--set {text}: {error}") from None
    return graph


def load_source(arguments: argparse.Namespace) -> Node:
    """The one data source of a graph, without a fault of its own; whatever else the graph lacks, its text can be prepared.

    A document is read without torch, which takes longer to load than a prepared text takes to find.
    """
    from cortex import graph_source
    from cortex.params import complete, problems
    from cortex.registry import KINDS

    path = Path(arguments.graph) if arguments.graph else None
    plain = path and path.name != "run.json" and not (arguments.preset or arguments.settings or arguments.recipe)
    graph = from_json(read_text(path), arguments.graph) if plain else load_graph(arguments)
    node = graph_source.source_node(graph)
    if node is None:
        raise UserError(f"{arguments.graph or arguments.preset}: expected a graph with one data source")
    kind = KINDS[node.kind]
    found = problems(kind.params, node.params)
    faults = [f"{node.id}.{name}: {node.params[name]!r} {problem}" for name, problem in found.items()]
    if not faults and kind.check:
        issues = kind.check(complete(kind.params, node.params), {})
        faults = [f"{node.id}.{field}: {message}; {hint}" for field, message, hint in issues]
    refuse(tuple(faults))
    return node


def read_text(path: Path) -> str:
    """A document's text; UserError says why it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, expected a graph document") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start:,}, expected a graph document as JSON") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def output_path(text: str) -> Path:
    """Where a file is to be written; UserError where there is no such folder, or a folder of that name."""
    path = Path(text)
    if not path.absolute().parent.is_dir():
        raise UserError(f"{path.absolute().parent}: there is no such folder; make it first")
    if path.is_dir():
        raise UserError(f"{path}: is a folder, expected the name of a file")
    return path


def places_of(arguments: argparse.Namespace) -> Places:
    """The folders that are meant."""
    return places(runs=getattr(arguments, "runs", None))


def refuse(issues: tuple[Any, ...]) -> None:
    """UserError with every issue, where there are any."""
    if issues:
        raise UserError("\n".join(map(str, issues)))


def prepared_for(node: Node, where: Places, progress: Callable[[str, float | None], None]) -> Prepared:
    """The data of a source node; UserError says why it cannot be had."""
    from cortex import data
    from cortex.corpus import CorpusError
    from cortex.machine import keep_pages

    keep_pages()  # each block of text takes what the one before has freed
    try:
        return data.prepare(node, where.store, progress)
    except CorpusError as error:
        raise UserError(_at(node.id, str(error))) from None
    except OSError as error:
        raise UserError(f"{error.filename or where.store}: {error.strerror}; the prepared text needs room there") from None


def _at(node: str, message: str) -> str:
    return message if message.startswith(f"{node}:") else f"{node}: {message}"


def share_in(line: str) -> tuple[str, float | None]:
    """What a line that `Told` wrote says, and the share of it that is done."""
    found = re.fullmatch(r"(.*), (\d+) %", line)
    return (found[1], int(found[2]) / 100) if found else (line, None)


class Told:
    """Says what is going on with the data where somebody reads along: each thing once, and how far it is now and then.

    A line ends in `, 35 %` where the share that is done is known.
    """

    def __init__(self, reads_along: bool, as_json: bool = False) -> None:
        self._said = ("", -1) if reads_along or as_json else None
        self._as_json, self._at = as_json, 0.0

    def __call__(self, what: str, share: float | None) -> None:
        if self._said is None:
            return
        percent = -1 if share is None else int(100 * share)
        if what == self._said[0] and (percent <= self._said[1] or time.monotonic() - self._at < 0.5):
            return
        self._said, self._at = (what, percent), time.monotonic()
        if self._as_json:
            print(json_line({"event": "progress", "what": what, "share": share}), flush=True)
        else:
            print(what if share is None else f"{what}, {percent} %", file=sys.stderr, flush=True)

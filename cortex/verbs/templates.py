"""The verb template: groups of nodes made into one card, put back, kept in the folder of templates, and taken from there."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cortex import templates
from cortex.graph import Graph, from_json, to_json
from cortex.places import write_atomically
from cortex.presets import tidy
from cortex.report import print_json
from cortex.verbs.common import OK, UserError, places_of, read_text

Result = TypeVar("Result")


def kept(arguments: argparse.Namespace) -> int:
    """List the templates that are kept."""
    names = templates.saved(places_of(arguments).templates)
    for name in names:
        print_json({"template": name}) if arguments.json else print(name)
    if not names and not arguments.json:
        print(f"no templates in {places_of(arguments).templates}; python -m cortex template keep GRAPH.json NAME keeps one")
    return OK


def make(arguments: argparse.Namespace) -> int:
    """Make one card of several nodes of a document."""
    ids = [name.strip() for name in arguments.nodes.split(",") if name.strip()]
    graph, card = _done(lambda graph: templates.group(graph, ids, arguments.name), arguments)
    return _write(graph, arguments, f"{len(ids)} nodes are the card {card} of template {arguments.name}")


def put_back(arguments: argparse.Namespace) -> int:
    """Put the nodes of a card back."""
    if arguments.card not in _read(arguments):
        raise UserError(f"{arguments.graph}: there is no node {arguments.card}")
    graph = _done(lambda graph: templates.ungroup(graph, arguments.card), arguments)
    return _write(graph, arguments, f"the nodes of {arguments.card} are back")


def keep(arguments: argparse.Namespace) -> int:
    """Keep a template of a document for others."""
    path = _done(
        lambda graph: templates.save(places_of(arguments).templates, graph.templates, arguments.name), arguments
    )  # fmt: skip
    print(f"template {arguments.name} is kept as {path}")
    return OK


def add(arguments: argparse.Namespace) -> int:
    """Add a card of a kept template, or of one of the document's own, to a document."""

    def change(graph: Graph) -> tuple[Graph, str]:
        own = arguments.name in graph.templates
        found = graph.templates if own else templates.load(places_of(arguments).templates, arguments.name)
        return templates.insert(graph, templates.needed(found, arguments.name), arguments.name)

    graph, card = _done(change, arguments)
    return _write(graph, arguments, f"card {card} of template {arguments.name} is added, connected to nothing yet")


def _read(arguments: argparse.Namespace) -> Graph:
    return from_json(read_text(Path(arguments.graph)), arguments.graph)


def _done(change: Callable[[Graph], Result], arguments: argparse.Namespace) -> Result:
    """What a change of the document gives; its fault is the user's."""
    try:
        return change(_read(arguments))
    except templates.TemplateError as error:
        raise UserError(str(error)) from None


def _write(graph: Graph, arguments: argparse.Namespace, said: str) -> int:
    """Write the document where it is wanted: in its own place unless another is named."""
    output = Path(arguments.output or arguments.graph)
    write_atomically(output, to_json(tidy(graph)))
    print(f"{said}; written to {output}")
    return OK

"""The verb that prepares a text and measures it: sizes, duplicates, words, and the perplexities of counting models."""

from __future__ import annotations

import argparse

from cortex.report import print_json
from cortex.verbs.common import OK, Told, UserError, load_graph, places_of, prepared_for, refuse


def measure(arguments: argparse.Namespace) -> int:
    """Prepare the text of a graph and measure it; what is kept in the store is not computed again."""
    from cortex import data
    from cortex.builder import plan
    from cortex.corpus import SPLITS
    from cortex.references import in_words, references
    from cortex.statistics import duplicates_in_words, statistics
    from cortex.words import words

    graph = load_graph(arguments)
    node = data.source_node(graph)
    if node is None:
        raise UserError(f"{graph.name}: expected a graph with one data source")
    refuse(tuple(plan(graph).issues_of(node.id)))
    told = Told(True)
    prepared = prepared_for(node, places_of(arguments), told)
    text = prepared.task == "Text"
    known = references(prepared, lambda share: told("counting pairs of tokens", share)) if text else None
    found = statistics(prepared, told)
    counted = words(prepared) if text else None
    if arguments.json:
        row = {"fingerprint": prepared.fingerprint, "references": vars(known) if known else None}
        row |= {"words": vars(counted) if counted else None, "statistics": found}
        print_json(row)
        return OK
    for split, part in found["splits"].items():
        print(f"{split}: {part['lines']:,} {'lines' if text else 'rows'}, {part['tokens']:,} tokens, {part['bytes']:,} bytes")
    sizes = found["vocabulary"]
    print(f"vocabulary {sizes['size']:,}, {1 - sizes['coverage']:.2%} of the validation tokens are <unk>")
    for row in found["duplicates"]:
        print(duplicates_in_words(row, found["least"]))
    for name, *times in found.get("labels", ()):
        print(f"label {name}: {', '.join(f'{number:,} {split}' for number, split in zip(times, SPLITS, strict=True))}")
    if known and counted:
        print(f"words of the validation text: {counted.count:,}" if counted.count else f"words not counted: {counted.why_not}")
        print(in_words(known))
    return OK

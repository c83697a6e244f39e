"""The verb that prepares a text and measures it: sizes, duplicates, words, and the perplexities of counting models."""

from __future__ import annotations

import argparse

from cortex.report import print_json
from cortex.verbs.common import OK, Told, load_source, places_of, prepared_for


def measure(arguments: argparse.Namespace) -> int:
    """Prepare the text of a graph and measure it; what is kept in the store is not computed again."""
    from cortex.references import in_words, references
    from cortex.statistics import duplicates_in_words, statistics
    from cortex.words import words

    node = load_source(arguments)
    told = Told(True)
    prepared = prepared_for(node, places_of(arguments), told)
    known = references(prepared, lambda share: told("counting pairs of tokens", share))
    found = statistics(prepared, told)
    counted = words(prepared)
    if arguments.json:
        row = {"fingerprint": prepared.fingerprint, "references": vars(known), "words": vars(counted), "statistics": found}
        print_json(row)
        return OK
    for split, part in found["splits"].items():
        print(f"{split}: {part['lines']:,} lines, {part['tokens']:,} tokens, {part['bytes']:,} bytes")
    sizes = found["vocabulary"]
    print(f"vocabulary {sizes['size']:,}, {1 - sizes['coverage']:.2%} of the validation tokens are <unk>")
    for row in found["duplicates"]:
        print(duplicates_in_words(row, found["least"]))
    print(f"words of the validation text: {counted.count:,}" if counted.count else f"words not counted: {counted.why_not}")
    print(in_words(known))
    return OK

"""The verb import: a document of the Flask original as one of ours, with a report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from cortex.graph import to_document, to_json
from cortex.places import write_atomically
from cortex.report import print_json
from cortex.verbs.common import OK, USER_ERROR, UserError, output_path, read_text


class Beside(Mapping[str, str]):
    """The JSON files beside a document, in `subgraphs` beside it, or in the folder of that name one further up, which is where
    the original keeps them. A name never leads anywhere else."""

    def __init__(self, document: Path) -> None:
        folder = document.absolute().parent
        self._folders = [folder, folder / "subgraphs", folder.parent / "subgraphs"]

    def __getitem__(self, name: str) -> str:
        if not self._is_plain(name):
            raise KeyError(name)
        for folder in self._folders:
            if (folder / name).is_file():
                return _text(folder / name)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._is_plain(name) and any((folder / name).is_file() for folder in self._folders)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({path.name for folder in self._folders for path in folder.glob("*.json")}))

    def __len__(self) -> int:
        return len(list(iter(self)))

    @staticmethod
    def _is_plain(name: str) -> bool:
        return name not in ("", ".", "..") and not {"/", "\\", "\0"} & set(name) and os.path.basename(name) == name


def import_document(arguments: argparse.Namespace) -> int:
    """Translate a document and say what became of it; the document goes to a file or to standard output."""
    from cortex.builder import plan
    from cortex.describe import describe_issue
    from cortex.litegraph_report import describe_report, in_words
    from cortex.translate import translate

    path = Path(arguments.file)
    found = translate(_text(path), name=path.name, beside=Beside(path))
    if found.graph is None:
        if not arguments.json:
            raise UserError("\n".join(found.report.refused))
        print_json({"ok": False, **describe_report(found.report), "issues": []})
        return USER_ERROR
    issues = plan(found.graph).issues
    if arguments.output:
        write_atomically(output_path(arguments.output), to_json(found.graph))
    if arguments.json:
        row = {"ok": True, **describe_report(found.report), "issues": [describe_issue(issue) for issue in issues]}
        print_json(row if arguments.output else row | {"document": to_document(found.graph)})
        return OK
    said = sys.stdout if arguments.output else sys.stderr
    print(in_words(found.report), file=said)
    if issues:
        print("To mend before training:", *(f"  {issue}" for issue in issues), sep="\n", file=said)
    if arguments.output:
        print(f"{arguments.output}: written; python -m cortex check {arguments.output}", file=said)
    else:
        print(to_json(found.graph), end="")
    return OK


def _text(path: Path) -> str:
    """The text of a document, none of which is read where it is too large to be one."""
    from cortex.litegraph_json import LARGEST, too_large

    size = path.stat().st_size if path.is_file() else 0
    if size > 4 * LARGEST:  # bytes of a letter
        raise UserError(too_large(str(path), size))
    return read_text(path)

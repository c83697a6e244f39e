"""Which files train, validate and test, where each split has files of its own. Importable alone with files.py."""

from __future__ import annotations

import os

from cortex.corpus import CorpusError
from cortex.files import files_of, named


def split_files(path: str, validation_file: str, test_file: str) -> dict[str, list[str]]:
    """The files of each split; those that are held out are not trained on, wherever they lie.

    Raises:
        CorpusError: a file is not there, validates and tests as well, or none is left to train on.
    """
    files = files_of(path)
    found = {"validation": files_of(beside(path, validation_file), "validation_file"), "test": []}
    if test_file:
        found["test"] = files_of(beside(path, test_file), "test_file")
    held_out = {os.path.realpath(file) for files in found.values() for file in files}
    both = {os.path.realpath(file) for file in found["validation"]} & {os.path.realpath(file) for file in found["test"]}
    if both:
        raise CorpusError(f"test_file: {sorted(both)[0]} validates as well, expected another file")
    found["train"] = [file for file in files if os.path.realpath(file) not in held_out]
    if not found["train"]:
        raise CorpusError(f"path: {path} has no file besides those that validate and test, expected one to train on")
    return found


def beside(path: str, setting: str) -> str:
    """The paths of a setting; a bare name is looked for where `path` leads first."""
    roots = [path if os.path.isdir(path) else os.path.dirname(path) for path in named(path)]
    found = []
    for name in named(setting):
        there = [os.path.join(root, name) for root in roots if os.path.exists(os.path.join(root, name))]
        found.append(there[0] if there and not os.path.isabs(name) else name)
    return "\n".join(found)

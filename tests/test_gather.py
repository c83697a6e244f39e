"""Definitions are collected with all that they use, word for word, and what would not be the same elsewhere is refused."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from cortex import parsed
from cortex.gather import gather, import_lines, part_text
from cortex.parsed import Import

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """A function that writes modules of a package "made", which takes the place of ours."""
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(parsed, "PACKAGE", "made")
    monkeypatch.setattr(parsed, "_DECLARES", "made.registry")
    parsed.read_module.cache_clear()

    def make(**texts: str) -> None:
        for name, text in texts.items():
            (folder / f"{name}.py").write_text(dedent(text).lstrip("\n"))

    yield make
    parsed.read_module.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "made"]:
        del sys.modules[name]


def text_of(*roots: tuple[str, str]) -> str:
    return "\n\n\n".join(part_text(found) for _, found in gather(roots).parts)


def test_what_a_definition_uses_comes_with_it_and_nothing_else(write: Write) -> None:
    write(
        one='''
            """One. Importable alone: made.two."""
            import math
            import os
            from made.two import helper, unused

            # Why 3.
            LIMIT = 3
            OTHER = 4

            def wanted(x: int = LIMIT) -> float:
                return helper(math.sqrt(x))  # as it stands

            def left_out():
                return os.getcwd(), OTHER, unused
        ''',
        two='''
            """Two is below. It helps.

            At length."""
            import json

            def helper(x):
                return inner(x)

            def unused():
                return json

            def inner(x):
                return x
        ''',
    )
    found = gather([("made.one", "wanted")])
    assert [(part.name, part.title) for part, _ in found.parts] == [
        ("made.two", "Two is below. It helps."),
        ("made.one", "One."),
    ]
    assert found.imports == {Import("math")} and found.packages == set()
    assert part_text(found.parts[0][1]) == "def helper(x):\n    return inner(x)\n\n\ndef inner(x):\n    return x"
    assert part_text(found.parts[1][1]) == (
        "# Why 3.\nLIMIT = 3\n\n\ndef wanted(x: int = LIMIT) -> float:\n    return helper(math.sqrt(x))  # as it stands"
    )
    assert found.names == {"math", "helper", "inner", "LIMIT", "wanted"}


def test_declarations_are_dropped_and_other_decorators_stay(write: Write) -> None:
    write(
        one="""
            import functools
            from made.registry import register
            from made.two import PARAMS

            @register(
                role="x",
                params=PARAMS,
            )
            @functools.cache
            class Kind:
                @property
                def size(self):
                    return 1
        """,
        two="PARAMS = {}\n",
        registry="def register(**rules):\n    return lambda cls: cls\n",
    )
    wanted = "@functools.cache\nclass Kind:\n    @property\n    def size(self):\n        return 1"
    assert text_of(("made.one", "Kind")) == wanted


def test_a_name_is_found_behind_a_module_that_passes_it_on_and_behind_a_check_for_types(write: Write) -> None:
    write(
        one="""
            from typing import TYPE_CHECKING

            if TYPE_CHECKING:
                from made.three import Row

            def count(rows: list[Row]) -> int:
                return len(rows)
        """,
        two="from made.one import count\n",
        three="Row = dict[str, int]\n",
    )
    assert text_of(("made.two", "count")).startswith("Row = dict[str, int]\n\n\ndef count(")


def test_constants_stand_together_where_they_stood_together(write: Write) -> None:
    write(
        one="""
            A = 1
            B = 2  # and why

            C = 3
            D = 4

            def wanted():
                return A, B, D
        """
    )
    assert text_of(("made.one", "wanted")) == "A = 1\nB = 2  # and why\n\nD = 4\n\n\ndef wanted():\n    return A, B, D"


REFUSED = {
    "two.helper under another name": ("from made.two import helper as other", "other()", "write from made.two import"),
    "a whole module": ("import made.two", "made.two.helper()", "write from made.two import"),
    "something that is not there": ("from made.two import nothing", "nothing", "made.two defines no nothing"),
    "an import inside": ("", "__import__; from made.two import helper", "imports from made inside a function"),
    "a call at import": ("print(1)", "1", "line 1: a statement that only runs at import"),
    "one name of two modules": ("from made.two import helper\n_hidden = 1", "helper, _hidden", "_hidden is bound by made"),
    "one name of two imports": ("import os as json\nfrom made.two import helper", "helper, json", "json: import of"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_not_be_the_same_elsewhere_is_refused(write: Write, what: str) -> None:
    before, value, says = REFUSED[what]
    body = value.replace("; ", "\n    ") if ";" in value else f"return {value}"
    write(
        one=f"{before}\n\n\ndef wanted():\n    {body}\n",
        two="""
            import json

            def helper():
                return _hidden(), json

            def _hidden():
                return 2
        """,
    )
    with pytest.raises(AssertionError, match=says):
        gather([("made.one", "wanted")])


def test_packages_are_those_outside_the_standard_library_also_inside_functions(write: Write) -> None:
    write(
        one="""
            import numpy as np

            def wanted():
                import json
                import safetensors.torch

                return np, safetensors, json
        """
    )
    assert gather([("made.one", "wanted")]).packages == {"numpy", "safetensors"}


def test_modules_are_read_without_importing_them(write: Write) -> None:
    write(one="import nonexistent_package\n\n\ndef wanted():\n    return nonexistent_package\n")
    assert gather([("made.one", "wanted")]).packages == {"nonexistent_package"}
    assert "made.one" not in sys.modules


def test_import_lines_stand_as_ruff_sorts_them() -> None:
    imports = {
        Import("torch", "nn"), Import("torch", "Tensor"), Import("os"), Import("torch.nn.functional", "", "F"),
        Import("typing", "Any"), Import("collections.abc", "Iterator"), Import("torch"), Import("a", "b", "c"),
    }  # fmt: skip
    assert import_lines(imports) == (
        "import os\nfrom collections.abc import Iterator\nfrom typing import Any\n\n"
        "import torch\nimport torch.nn.functional as F\nfrom a import b as c\nfrom torch import Tensor, nn"
    )
    ast.parse(import_lines(imports))

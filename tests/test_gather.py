"""Definitions are collected with all that they use, word for word, and what would not be the same elsewhere is refused."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cortex import gather as module
from cortex.gather import Import, gather, import_lines, part_text

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """A function that writes modules of a package "made", which takes the place of ours."""
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "registry.py").write_text("def register(**rules):\n    return lambda cls: cls\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "PACKAGE", "made")
    monkeypatch.setattr(module, "_DECLARES", "made.registry")
    module.read_module.cache_clear()

    def make(**texts: str) -> None:
        for name, text in texts.items():
            (folder / f"{name}.py").write_text(text)

    yield make
    module.read_module.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "made"]:
        del sys.modules[name]


def texts(*roots: tuple[str, str]) -> str:
    return "\n\n\n".join(part_text(found) for _, found in gather(roots).parts)


def test_what_a_definition_uses_comes_with_it_and_nothing_else(write: Write) -> None:
    write(
        one=(
            '"""One."""\nimport math\nimport os\nfrom made.two import helper, unused\n\n'
            "# Why 3.\nLIMIT = 3\nOTHER = 4\n\n\n"
            "def wanted(x: int = LIMIT) -> float:\n    return helper(math.sqrt(x))  # as it stands\n\n\n"
            "def left_out():\n    return os.getcwd(), OTHER, unused\n"
        ),
        two='"""Two. More."""\nimport json\n\n\ndef helper(x):\n    return inner(x)\n\n\ndef unused():\n    return json\n\n\ndef inner(x):\n    return x\n',
    )
    found = gather([("made.one", "wanted")])
    assert [part.name for part, _ in found.parts] == ["made.two", "made.one"]
    assert found.imports == {Import("math")} and found.packages == set()
    assert part_text(found.parts[0][1]) == "def helper(x):\n    return inner(x)\n\n\ndef inner(x):\n    return x"
    assert part_text(found.parts[1][1]).startswith("# Why 3.\nLIMIT = 3\n\n\ndef wanted(x: int = LIMIT)")
    assert found.names == {"math", "helper", "inner", "LIMIT", "wanted"}


def test_declarations_are_dropped_and_other_decorators_stay(write: Write) -> None:
    write(
        one=(
            "import functools\nfrom made.registry import register\nfrom made.two import PARAMS\n\n\n"
            "@register(\n    role='x',\n    params=PARAMS,\n)\n@functools.cache\nclass Kind:\n    @property\n    def size(self):\n        return 1\n"
        ),
        two="PARAMS = {}\n",
    )
    assert texts(("made.one", "Kind")) == (
        "@functools.cache\nclass Kind:\n    @property\n    def size(self):\n        return 1"
    )


def test_a_name_is_found_behind_a_module_that_passes_it_on_and_behind_a_check_for_types(write: Write) -> None:
    write(
        one=(
            "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from made.three import Row\n\n\n"
            "def count(rows: list[Row]) -> int:\n    return len(rows)\n"
        ),
        two="from made.one import count\n",
        three="Row = dict[str, int]\n",
    )
    assert texts(("made.two", "count")).startswith("Row = dict[str, int]\n\n\ndef count")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("from made.two import helper as other\n\n\ndef wanted():\n    return other()\n", "write from made.two import"),
        ("from made import two\nimport made.two\n\n\ndef wanted():\n    return two.helper()\n", "write from made.two import"),
        ("def wanted():\n    from made.two import helper\n    return helper()\n", "imports from made inside a function"),
        ("def wanted():\n    return 1\n\n\nwanted()\n", "line 5: a statement that only runs at import"),
        ("from made.two import helper, name\n\n\ndef wanted():\n    return helper, name\n\n\ndef more():\n    pass\n", "no name"),
        (
            "from made.two import helper\n\n\ndef wanted():\n    return helper() + _hidden()\n\n\ndef _hidden():\n    return 1\n",
            "_hidden is bound by made.two and by made.one|_hidden is bound by made.one and by made.two",
        ),
        (
            "import os as json\nfrom made.two import helper\n\n\ndef wanted():\n    return helper(), json\n",
            "json: import of",
        ),
    ],
    ids=["alias", "module", "inside a function", "runs at import", "missing", "two of a name", "two imports of a name"],
)  # fmt: skip
def test_what_would_not_be_the_same_elsewhere_is_refused(write: Write, text: str, says: str) -> None:
    write(
        one=text,
        two="import json\n\n\ndef helper():\n    return _hidden() + len(json.dumps(1))\n\n\ndef _hidden():\n    return 2\n",
    )
    with pytest.raises(AssertionError, match=says):
        gather([("made.one", "wanted")])


def test_packages_are_those_outside_the_standard_library_also_inside_functions(write: Write) -> None:
    write(
        one="import numpy as np\n\n\ndef wanted():\n    import safetensors.torch\n    import json\n\n    return np, safetensors, json\n"
    )
    assert gather([("made.one", "wanted")]).packages == {"numpy", "safetensors"}


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


def test_it_reads_modules_without_importing_them(write: Write) -> None:
    write(one="import nonexistent_package\n\n\ndef wanted():\n    return nonexistent_package\n")
    assert gather([("made.one", "wanted")]).packages == {"nonexistent_package"}

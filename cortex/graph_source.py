"""The source of a graph: its node, the object that reads for it, and the files that it names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cortex.sources
import cortex.sources_hub  # noqa: F401  the two fill the registry
from cortex.corpus import CorpusError
from cortex.encode import TextSource
from cortex.files import named
from cortex.graph import Graph, Node
from cortex.params import complete
from cortex.registry import KINDS
from cortex.source_params import PLACE_PARAMS

# The data of the examples, which comes with the application.
EXAMPLES = "examples/data/"
_PROJECT = Path(__file__).parents[1]


def source_node(graph: Graph) -> Node | None:
    """The graph's source, None unless there is exactly one."""
    found = [node for node in graph.nodes if node.kind in KINDS and KINDS[node.kind].role == "source"]
    return found[0] if len(found) == 1 else None


def source_of(node: Node) -> TextSource:
    """The source object of a node whose parameters are sound."""
    kind = KINDS[node.kind]
    values = complete(kind.params, node.params)
    return kind.cls(**{name: _beside_us(value) if name in PLACE_PARAMS else value for name, value in values.items()})


def _beside_us(setting: str) -> str:
    """The paths of a setting; one of ours, as the examples have it, is found wherever the application is started."""
    return "\n".join(_ours(path) for path in named(setting)) if isinstance(setting, str) and EXAMPLES in setting else setting


def _ours(path: str) -> str:
    return str(_PROJECT / path) if path.startswith(EXAMPLES) and not os.path.exists(path) else path


def placed(path: str) -> str:
    """Where the files of a setting lie, from wherever they are named."""
    return "\n".join(map(os.path.abspath, named(_beside_us(path))))


def is_remote(node: Node) -> bool:
    """Whether preparing asks the hub for something."""
    source = source_of(node)
    return source.remote or source.tokenizer == "hub"


def outside(node: Node, folders: Sequence[Path]) -> str | None:
    """The fault of a source that would read a file that lies in none of these folders; None when it may be read."""
    kind = KINDS[node.kind]
    values = complete(kind.params, node.params)
    if any(not isinstance(values.get(name, ""), str) for name in PLACE_PARAMS):
        return None  # which is a fault of its own
    source = source_of(node)
    folders = [*folders, _PROJECT / EXAMPLES]
    fault = _first_outside(source.named_paths(), folders)
    if fault:  # before anything is looked at that may not be
        return fault
    try:
        return _first_outside(source.paths(), folders)  # behind links, and in folders
    except (CorpusError, OSError, ValueError):
        return None  # which is a fault of its own


def _first_outside(paths: list[str], folders: Sequence[Path]) -> str | None:
    for path in paths:
        try:
            real = Path(path).resolve()
        except (OSError, ValueError):
            return f"path={path!r} is not a file name"
        if not any(real.is_relative_to(folder.resolve()) for folder in folders):
            return (
                f"path={path!r} is outside the folders that this app may read; upload the file, or start the app with a folder "
                "above it in CORTEXNODUS_DATA"
            )
    return None

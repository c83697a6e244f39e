"""Imports only go down. The table below is the documentation of the floors."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]

# A module may import what stands on a lower floor, never its own floor or a higher one.
FLOORS: dict[int, tuple[str, ...]] = {
    0: (
        "cortex", "cortex.call", "cortex.codes", "cortex.colours", "cortex.comparable", "cortex.config",
        "cortex.corpus", "cortex.elements", "cortex.generate", "cortex.kinds", "cortex.litegraph_report",
        "cortex.machine", "cortex.markup", "cortex.measured", "cortex.muon", "cortex.padding", "cortex.params",
        "cortex.pareto", "cortex.parsed", "cortex.places", "cortex.processes", "cortex.report_style", "cortex.room",
        "cortex.shapes", "cortex.signals", "cortex.spread", "cortex.tail", "cortex.units", "cortex.verbs",
        "cortex.verbs.numbers",
    ),
    1: (
        "cortex.blocks", "cortex.columns", "cortex.comparison_words", "cortex.device", "cortex.gather", "cortex.graph",
        "cortex.hub", "cortex.kept", "cortex.kind", "cortex.labels", "cortex.lines", "cortex.litegraph_json",
        "cortex.metrics", "cortex.optimize", "cortex.step_losses", "cortex.tokenizer", "cortex.work_folder",
    ),
    2: (
        "cortex.backward", "cortex.counted", "cortex.curves", "cortex.declaration", "cortex.drawing", "cortex.evaluate",
        "cortex.files", "cortex.history", "cortex.hub_data", "cortex.litegraph_links", "cortex.preview", "cortex.rows",
        "cortex.runs", "cortex.saves", "cortex.steps", "cortex.tokenizer_training",
    ),
    3: (
        "cortex.asked", "cortex.conditions", "cortex.creating", "cortex.documents", "cortex.encode", "cortex.examples",
        "cortex.litegraph", "cortex.masking", "cortex.origin", "cortex.queue", "cortex.ranks", "cortex.registry",
        "cortex.report", "cortex.run_summary", "cortex.scores", "cortex.source_params", "cortex.split_files",
        "cortex.status", "cortex.stepper", "cortex.store", "cortex.sweep", "cortex.tables", "cortex.timeline",
    ),
    4: (
        "cortex.bypass", "cortex.deleting", "cortex.distributions", "cortex.encode_rows", "cortex.feed",
        "cortex.filters", "cortex.kinds.common", "cortex.kinds.merge", "cortex.kinds.subgraph", "cortex.line_hashes",
        "cortex.litegraph_flat", "cortex.litegraph_names", "cortex.losses", "cortex.model", "cortex.ports",
        "cortex.references", "cortex.rework", "cortex.run_settings", "cortex.sources_hub", "cortex.targets",
        "cortex.train", "cortex.trials", "cortex.words",
    ),
    5: (
        "cortex.checks", "cortex.guess_wires", "cortex.hopeless", "cortex.kinds.attention", "cortex.kinds.basic",
        "cortex.kinds.embedding", "cortex.kinds.sequence", "cortex.litegraph_widths", "cortex.measures",
        "cortex.row_store", "cortex.run_columns", "cortex.sources", "cortex.standalone_lines", "cortex.statistics",
        "cortex.sweep_deleting",
    ),
    6: (
        "cortex.compared", "cortex.expand", "cortex.graph_source", "cortex.kinds.gpt", "cortex.kinds.transformer",
        "cortex.litegraph_ids", "cortex.litegraph_sense", "cortex.litegraph_values", "cortex.run_groups",
        "cortex.standalone",
    ),
    7: (
        "cortex.fingerprints", "cortex.layers", "cortex.litegraph_cards", "cortex.middles", "cortex.resolve",
        "cortex.standalone_tasks", "cortex.templates",
    ),
    8: (
        "cortex.data", "cortex.presets", "cortex.sound",
    ),
    9: (
        "cortex.builder", "cortex.gallery",
    ),
    10: (
        "cortex.advice", "cortex.checkpoints", "cortex.describe", "cortex.edit", "cortex.flops", "cortex.follower",
        "cortex.footprint", "cortex.graph_settings", "cortex.guess_inside", "cortex.guess_removals",
        "cortex.guess_values", "cortex.guess_widths", "cortex.lr_range", "cortex.model_text", "cortex.picture",
        "cortex.recipes", "cortex.run_length", "cortex.translate",
    ),
    11: (
        "cortex.answers", "cortex.export", "cortex.forecast", "cortex.guesses", "cortex.guide_steps", "cortex.honest",
        "cortex.index", "cortex.launch", "cortex.loggers", "cortex.node_matches", "cortex.space", "cortex.start_event",
        "cortex.verbs.common",
    ),
    12: (
        "cortex.compare", "cortex.guide", "cortex.judge", "cortex.probe", "cortex.prove", "cortex.repair",
        "cortex.repeat", "cortex.sweep_check", "cortex.tpe", "cortex.verbs.asking", "cortex.verbs.data",
        "cortex.verbs.imports", "cortex.verbs.measure", "cortex.verbs.metrics", "cortex.verbs.runs",
        "cortex.verbs.sweep_away", "cortex.verbs.templates", "cortex.verbs.torchrun",
    ),
    13: (
        "cortex.comparison", "cortex.next_combination", "cortex.session", "cortex.sweep_making", "cortex.verbs.export",
        "cortex.verbs.look", "cortex.verbs.sweeps",
    ),
    14: (
        "cortex.report_charts", "cortex.report_graphs", "cortex.report_tables", "cortex.sweep_driver",
        "cortex.verbs.compare", "cortex.worker",
    ),
    15: (
        "cortex.report_runs", "cortex.verbs.sweep", "cortex.verbs.training",
    ),
    16: (
        "cortex.report_html", "cortex.verbs.lr_range", "cortex.verbs.probe",
    ),
    17: (
        "cortex.verbs.report",
    ),
    18: (
        "cortex.arguments",
    ),
    19: (
        "cortex.command",
    ),
    20: (
        "cortex.__main__",
    ),
    21: ("ui",),
    22: ("pages", "streamlit_app"),
}  # fmt: skip
# On these two floors a module may import its neighbours.
SHARED = ("ui", "pages")
# An exported script contains what it needs of these word for word, so they need nothing else of ours.
ALONE = (
    "cortex.corpus", "cortex.tokenizer", "cortex.config", "cortex.blocks", "cortex.device", "cortex.muon",
    "cortex.optimize", "cortex.train", "cortex.evaluate", "cortex.generate", "cortex.encode", "cortex.places",
    "cortex.standalone", "cortex.codes", "cortex.files", "cortex.hub", "cortex.hub_data", "cortex.padding",
    "cortex.columns", "cortex.rows", "cortex.encode_rows", "cortex.examples", "cortex.masking", "cortex.scores",
    "cortex.feed", "cortex.standalone_tasks", "cortex.tokenizer_training", "cortex.backward", "cortex.step_losses",
    "cortex.split_files", "cortex.standalone_lines", "cortex.stepper",
)  # fmt: skip
SCREEN = {"streamlit", "streamlit_flow", "plotly"}
NO_TORCH = (
    "cortex.params", "cortex.graph", "cortex.places", "cortex.units", "cortex.registry", "cortex.runs", "cortex.status",
    "cortex.labels", "cortex.index", "cortex.filters", "cortex.run_columns", "cortex.deleting", "cortex.processes",
    "cortex.run_summary", "cortex.creating", "cortex.signals", "cortex.conditions", "cortex.run_settings",
    "cortex.run_groups", "cortex.tail", "cortex.work_folder", "cortex.kind", "cortex.declaration",
)  # fmt: skip

FLOOR_OF = {module: floor for floor, modules in FLOORS.items() for module in modules}


def sources() -> dict[str, Path]:
    """Every Python file of ours by the name it is imported as."""
    files = [*PROJECT.glob("cortex/**/*.py"), *PROJECT.glob("ui/**/*.py"), *PROJECT.glob("pages/**/*.py")]
    files += [path for path in [PROJECT / "streamlit_app.py"] if path.exists()]
    names = {".".join(path.relative_to(PROJECT).with_suffix("").parts): path for path in files}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


SOURCES = sources()


@functools.cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """Modules that a file imports, each with whether it does so at module level; imports inside functions count."""
    found: list[tuple[str, bool]] = []

    def look(node: ast.AST, outer: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((alias.name, outer) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path.name} line {child.lineno}: a relative import"
                for alias in child.names:
                    inner = f"{child.module}.{alias.name}"
                    found.append((inner if inner in SOURCES else child.module or "", outer))
            look(child, outer and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))

    look(ast.parse(path.read_text(encoding="utf-8")), True)
    return found


def place(module: str) -> str | None:
    """The entry of the table that a module stands in: its own, or that of its folder where the folder shares a floor."""
    folder = module.partition(".")[0]
    return folder if folder in SHARED else module if module in FLOOR_OF else None


def is_ours(module: str) -> bool:
    return module.partition(".")[0] in ("cortex", "ui", "pages", "streamlit_app")


def test_every_module_stands_in_the_table() -> None:
    assert [module for module in SOURCES if place(module) is None] == []


def test_the_table_names_no_module_that_is_gone() -> None:
    assert [module for module in FLOOR_OF if module.startswith("cortex") and module not in SOURCES] == []


@pytest.mark.parametrize("module", SOURCES)
def test_imports_only_go_down(module: str) -> None:
    here = place(module)
    assert here, f"{module} is not in the table"
    for target in {target for target, _ in imports(SOURCES[module]) if is_ours(target)}:
        there = place(target)
        assert there, f"{module} imports {target}, which is not in the table"
        neighbours = there == here and here in SHARED
        assert neighbours or FLOOR_OF[there] < FLOOR_OF[here], f"{module} imports {target}, which does not stand below it"


@pytest.mark.parametrize("module", ALONE)
def test_what_the_export_contains_imports_nothing_else_of_ours(module: str) -> None:
    assert [target for target, _ in imports(SOURCES[module]) if is_ours(target) and target not in ALONE] == []


def test_only_the_pages_and_ui_draw() -> None:
    drawing = {module for module, path in SOURCES.items() if {target.partition(".")[0] for target, _ in imports(path)} & SCREEN}
    assert [module for module in drawing if module.partition(".")[0] not in ("ui", "pages", "streamlit_app")] == []


def test_the_datasets_library_is_never_loaded_with_a_module() -> None:
    eager = [
        module
        for module, path in SOURCES.items()
        if any(outer and target.partition(".")[0] == "datasets" for target, outer in imports(path))
    ]
    assert eager == []


def test_documents_and_runs_are_read_without_loading_torch() -> None:
    program = (
        "import importlib, sys\n"
        f"for name in {NO_TORCH!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert not {'torch', 'numpy', 'tokenizers', 'streamlit'} & set(sys.modules), name\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_table_has_no_module_twice() -> None:
    assert len(FLOOR_OF) == sum(map(len, FLOORS.values()))


def test_an_import_inside_a_function_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "made.py"
    path.write_text("import os\ndef f():\n    from cortex import worker\n    import datasets\n")
    assert imports(path) == [("os", True), ("cortex.worker", False), ("datasets", False)]

"""The parts of the Runs page: charts, comparer and views, over small real runs."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import made_lines, tiny_graph
from streamlit.testing.v1 import AppTest

from cortex.compare import graph_difference
from cortex.comparison import Group
from cortex.creating import create_run
from cortex.data import prepare
from cortex.index import Index
from cortex.places import places
from cortex.presets import preset
from cortex.runs import Run, list_runs
from cortex.spread import difference_interval, mean_interval
from ui import comparer
from ui.graph_difference import framed, marks
from ui.side_by_side import samples_of
from ui.strokes import uid_of
from ui.theme import DARK, LIGHT

SCRIPT = """
import streamlit as st
from cortex.index import Index
from ui import {module}, session
rows = Index(session.where().runs).rows()
asked = st.query_params.get("pick")
rows = [row for row in rows if asked is None or row["run"] in asked.split(",")]
{module}.{module}(rows{rest})
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two seeds each of two widths, and a run over other tokens."""
    from cortex.worker import work

    root = tmp_path_factory.mktemp("parts")
    path = root / "text.txt"
    path.write_text("\n".join(made_lines(120)) + "\n")
    where = places({"CORTEXNODUS_HOME": str(root)})
    graphs = {}
    for width in (8, 16):
        for seed in (1, 2):
            graph = tiny_graph(path, steps=8, eval_every=4, log_every=1, seed=seed, sample_tokens=3)
            graphs[f"w{width} <b>, seed {seed}"] = graph.with_param("embedding", "embedding_dim", width)
    graphs["letters"] = tiny_graph(path, {"tokenizer": "character"}, steps=4, eval_every=2, sample_tokens=0)
    for name, graph in graphs.items():
        found = prepare(graph.node("data"), where.store)
        group = name.partition(",")[0] if "seed" in name else None
        run = create_run(where.runs, graph, fingerprint=found.fingerprint, name=name, group=group)
        assert work(run, where.store) == "finished", run.log_tail()
    return root


@pytest.fixture
def runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """These runs, oldest first, their home being that of the app."""
    monkeypatch.setenv("CORTEXNODUS_HOME", str(home))
    return sorted(list_runs(home / "runs"), key=lambda run: run.record()["order"])


def part(module: str, *chosen: Run, rest: str = "", **query: str) -> AppTest:
    test = AppTest.from_string(SCRIPT.format(module=module, rest=rest), default_timeout=30)
    if chosen:
        test.query_params["pick"] = ",".join(run.id for run in chosen)
    for key, value in query.items():
        test.query_params[key] = value
    test.run()
    assert not test.exception, test.exception[0].message
    return test


def words(test: AppTest) -> str:
    shown = [*test.markdown, *test.caption, *test.info, *test.warning, *test.error, *test.subheader]
    return re.sub(r"\\(\W|_)", r"\1", "\n".join(element.value for element in shown))


def figures(test: AppTest) -> list[dict[str, Any]]:
    return [json.loads(json.loads(frame.proto.json_args)["figure"]) for frame in test.get("component_instance")]


def test_loss_and_perplexity_are_drawn_first_and_other_metrics_on_request(runs: list[Run]) -> None:
    test = part("overlay", *runs[:2])
    assert [chart["layout"]["title"]["text"] for chart in figures(test)] == ["<b>Loss</b>", "<b>Perplexity</b>"]
    test.button_group(key="metrics").set_value(["grad_norm"])
    assert [chart["layout"]["title"]["text"] for chart in figures(test.run())] == ["<b>Gradient norm</b>"]


def test_runs_over_different_tokens_say_so_on_the_page_and_in_the_chart(runs: list[Run]) -> None:
    test = part("overlay", runs[0], runs[4], metrics="Loss")
    assert "not comparable" in words(test)
    assert "Not comparable" in figures(test)[0]["layout"]["title"]["subtitle"]["text"]
    assert "not comparable" not in words(part("overlay", *runs[:2])).lower()


def test_the_axis_and_the_smoothing_are_read_from_the_url(runs: list[Run]) -> None:
    test = part("overlay", *runs[:2], axis="FLOPs", smooth="0.9")
    assert figures(test)[0]["layout"]["xaxis"]["title"]["text"] == "FLOPs"
    assert any(trace["uid"].endswith("-smooth") for trace in figures(test)[0]["data"])
    assert "halved after 6.6 points" in words(test)
    assert "Chowdhery" in words(test)


@pytest.mark.parametrize(
    "query", [{"axis": "nonsense"}, {"smooth": "x"}, {"metrics": "none"}, {"at": "x"}, {"at": "step:nan"}, {"group": "1"}]
)
def test_nonsense_in_the_url_is_passed_over(runs: list[Run], query: dict[str, str]) -> None:
    assert len(figures(part("overlay", *runs[:2], **query))) == 2


def test_seeds_are_drawn_as_a_band(runs: list[Run]) -> None:
    test = part("overlay", *runs[:4], group="mean of seeds of one configuration, 95 % interval")
    traces = {trace["uid"]: trace for trace in figures(test)[0]["data"]}
    assert uid_of("w8 <b>, 2 runs", "validation") in traces and uid_of("w16 <b>, 2 runs", "train-low") in traces
    assert not any(uid.startswith(runs[0].id) for uid in traces)
    assert "Student's t" in words(test)


def test_the_cursor_table_has_the_values_of_every_run(runs: list[Run]) -> None:
    test = part("overlay", *runs[:2], at="step:5")
    table = test.dataframe[0].value
    exact = [
        next(event["loss"] for event in run.events() if event["event"] == "train" and event["step"] == 5) for run in runs[:2]
    ]
    assert sorted(table["training loss"]) == pytest.approx(sorted(exact))
    assert set(table["validation at step"]) == {4}


def test_a_place_that_was_chosen_on_another_axis_is_not_taken_over(runs: list[Run]) -> None:
    last = part("overlay", *runs[:2], at="tokens:5").dataframe[0].value
    assert set(last["validation at step"]) == {8}


def test_runs_without_a_point_say_so(runs: list[Run], home: Path) -> None:
    empty = create_run(home / "runs", runs[0].graph(), fingerprint="x", name="empty")
    try:
        assert "logged a point" in words(part("overlay", empty))
        assert len(figures(part("overlay", empty, runs[0]))) == 2
    finally:
        import shutil

        shutil.rmtree(empty.path)


def test_the_comparer_shows_what_differs_and_by_how_much(runs: list[Run]) -> None:
    test = part("comparer", *runs[:4], base=runs[0].id)
    html = " ".join(element.proto.body for element in test.get("html"))
    assert "embedding.embedding_dim" in html and "training.seed" in html
    assert "training.beta2" not in html
    rows = {row["run"]: row for row in Index(runs[0].path.parent).rows()}
    by_hand = rows[runs[2].id]["best_loss"] - rows[runs[0].id]["best_loss"]
    assert f"{by_hand:+.3f}" in html
    assert "<b>," not in html and "&lt;b&gt;" in html
    test.toggle(key="differs").set_value(False)
    assert "training.beta2" in " ".join(element.proto.body for element in test.run().get("html"))


def test_a_run_over_other_tokens_is_said_and_those_that_compare_are_compared(runs: list[Run]) -> None:
    test = part("comparer", *runs, base=runs[0].id)
    html = " ".join(element.proto.body for element in test.get("html"))
    rows = {row["run"]: row for row in Index(runs[0].path.parent).rows()}
    assert f"{rows[runs[2].id]['best_loss'] - rows[runs[0].id]['best_loss']:+.3f}" in html
    assert "not comparable" in html and "(best of 4 alike)" in html
    said = words(test)
    assert (
        "These predict the same and compare with each other: “w" in said and "letters" not in said.partition("other: ")[2][:90]
    )
    assert re.search(r"w16 <b>, 2 runs: .* than the 2 runs of w8 <b>", said)
    assert "letters, 1 run: no number of it can be compared" in said or "letters, 1 run: bits per byte" in said


def test_the_comparer_says_whether_seeds_explain_the_difference(runs: list[Run]) -> None:
    said = words(part("comparer", *runs[:4], base=runs[0].id))
    assert re.search(
        r"w16 <b>, 2 runs: .* than the 2 runs of w8 <b> \(95 % interval .*\): (more than chance|chance can explain)", said
    ) or ("which holds 0): chance can explain" in said)
    assert "One run of each" in words(part("comparer", runs[0], runs[2]))


def test_the_comparer_shows_both_graphs_with_what_changed(runs: list[Run]) -> None:
    test = part("comparer", runs[0], runs[2], base=runs[0].id)
    assert "embedding: embedding_dim 8 became 16" in words(test)
    assert sum("data:image/svg+xml" in element.proto.body for element in test.get("html")) == 2
    assert "setting by setting" in words(part("comparer", runs[0], runs[1]))


def test_samples_of_the_same_step_stand_side_by_side(runs: list[Run]) -> None:
    test = part("comparer", runs[0], runs[2])
    texts = {event["text"] for run in (runs[0], runs[2]) for event in run.events() if event["event"] == "sample"}
    shown = [code.value for code in test.code]
    assert len(shown) == 2 and set(shown) <= texts
    assert words(test).count("step 8") == 2


def test_both_models_write_from_the_same_prompt(runs: list[Run]) -> None:
    test = part("comparer", runs[0], runs[2])
    test.text_input(key="compare.prompt").set_value("the cat")
    test.number_input(key="compare.tokens").set_value(4)
    test.button(key="compare.write").click()
    test.run()
    assert not test.exception
    assert sum(code.value.startswith("the cat") for code in test.code) == 2
    assert "writes 4 tokens with each" in words(test)


def test_one_run_alone_asks_for_a_second(runs: list[Run]) -> None:
    assert "Tick a second run" in words(part("comparer", runs[0]))


def test_a_damaged_run_does_not_take_the_comparison_with_it(runs: list[Run], home: Path) -> None:
    broken = create_run(home / "runs", runs[0].graph(), fingerprint="x", name="broken")
    (broken.path / "run.json").write_text("{")
    try:
        assert "is damaged" in words(part("comparer", runs[0], runs[2], broken))
        assert figures(part("overlay", runs[0], broken))
        assert figures(part("views", runs[0], runs[2], broken, rest=", []"))
    finally:
        import shutil

        shutil.rmtree(broken.path)


@pytest.mark.parametrize("view", ["Setting against result", "Cost and Pareto front", "Parallel coordinates"])
def test_the_views_show_the_runs_of_one_data_set_and_say_what_is_left_out(runs: list[Run], view: str) -> None:
    test = part("views", rest=f", [{runs[0].id!r}]", view=view)
    assert "4 are shown, 1 on other tokens is left out" in words(test)
    charts = figures(test)
    assert len(charts) == (4 if view.startswith("Cost") else 1)
    if view.startswith("Setting"):
        assert set(charts[0]["data"][0]["customdata"]) == {run.id for run in runs[:4]}
    if view.startswith("Cost"):
        front = charts[0]["data"][0]
        assert front["uid"] == "front" and len(front["x"]) in (1, 2)


def test_changes_are_marked_on_both_graphs() -> None:
    small = preset("small")
    after = small.remove("block_2").connect("block_1", "block_3").with_param("norm", "eps", 1e-3)
    before, later = marks(graph_difference(small, after))
    assert before == {"block_2": "removed", "norm": "changed"}
    assert later == {"norm": "changed"}
    assert marks(graph_difference(after, small))[1]["block_2"] == "added"


def test_a_picture_takes_the_colours_of_its_mode() -> None:
    light, dark = (framed('<svg style="font-family:inherit"></svg>', '"><script>', look) for look in (LIGHT, DARK))
    assert light != dark and "<script>" not in light


def test_only_whole_samples_are_shown() -> None:
    from cortex.curves import columns_of

    events = [{"event": "sample", "step": step, "text": text} for step, text in ((1, "a"), (None, "b"), (2, None), ("3", "c"))]
    assert list(samples_of(columns_of(events))) == [1]


def group(name: str, values: list[float], first: list[float] | None = None) -> Group:
    against = {"best_perplexity": difference_interval(values, first) if first else None}
    return Group(name, tuple(range(len(values))), {"best_perplexity": mean_interval(values)}, against)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([50.0, 50.1, 49.9], "10.0 lower (better) than the 3 runs of first (95 % interval "),
        ([50.0, 50.1, 49.9], "): more than chance."),
        ([59.0, 61.0, 60.5], "which holds 0): chance can explain this difference."),
        (
            [70.0],
            "10.0 higher (worse) than the 3 runs of first. Whether that is chance cannot be told: a group has a single run.",
        ),
    ],
)
def test_a_difference_is_said_with_its_interval_and_what_it_means(values: list[float], expected: str) -> None:
    base = [60.0, 59.5, 60.5]
    assert expected in comparer.sentence(group("other", values, base), group("first", base), "best_perplexity")


def test_bits_per_byte_and_best_values_are_those_of_the_events(runs: list[Run]) -> None:
    rows = {row["run"]: row for row in Index(runs[0].path.parent).rows()}
    for run in runs:
        start = next(event for event in run.events() if event["event"] == "start")
        best = min((event["loss"], event["step"]) for event in run.events() if event["event"] == "validation")
        row = rows[run.id]
        assert (row["best_loss"], row["best_step"]) == best
        assert row["best_perplexity"] == pytest.approx(math.exp(best[0]))
        if start["validation_bytes"]:
            bits = best[0] * start["validation_tokens"] / (math.log(2) * start["validation_bytes"])
            assert row["bits_per_byte"] == pytest.approx(bits)
        else:
            assert row["bits_per_byte"] is None

"""The pages speak of a run by its task: no perplexity for a classifier, answers instead of a prompt, rows instead of lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_data_page import page as data_page
from test_pages import page, sound, words

from cortex import documents
from cortex.builder import plan
from cortex.comparison import comparison
from cortex.creating import create_run
from cortex.data import prepare
from cortex.flops import flops_per_token
from cortex.gallery import EXAMPLES, MEASURED, example, graph_for
from cortex.graph import Node
from cortex.graph_source import source_node
from cortex.places import Places, places
from cortex.presets import PRESETS
from cortex.report_charts import curves_of
from cortex.run_summary import summary
from cortex.runs import Run
from cortex.statistics import statistics
from cortex.worker import work
from ui import reading

NAMES = ("classifier", "ner", "encoder-decoder", "multi-token")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a short run of several examples."""
    root = tmp_path_factory.mktemp("pages")
    where = places({"CORTEXNODUS_HOME": str(root)})
    for name in NAMES:
        graph = example(name).with_training("steps", 3).with_training("eval_every", 2).with_training("epochs", 1)
        found = prepare(source_node(graph), where.store)
        statistics(found)
        run = create_run(where.runs, graph, fingerprint=found.fingerprint, name=name)
        assert work(run, where.store) == "finished", run.log_tail()
    return root


@pytest.fixture
def runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Run]:
    monkeypatch.setenv("CORTEXNODUS_HOME", str(root))
    return {Run(path).record()["name"]: Run(path) for path in sorted((root / "runs").glob("*")) if (path / "run.json").exists()}


def test_the_train_page_shows_what_the_task_is_measured_by(runs: dict[str, Run]) -> None:
    for name, says in (("classifier", "accuracy"), ("ner", "F1 over spans"), ("multi-token", "perplexity")):
        test = sound(page("train", run=runs[name].id))
        assert f"Best validation {says}" in {metric.label for metric in test.metric}


def test_the_runs_page_lays_runs_of_several_tasks_over_each_other(runs: dict[str, Run]) -> None:
    test = sound(page("runs", runs=",".join(run.id for run in runs.values())))
    frame = test.dataframe[0].value
    assert {"task", "accuracy", "F1"} <= set(frame.columns)
    assert frame.set_index("name")["perplexity"].isna()[["classifier", "ner"]].all()


def test_flops_are_known_of_every_task_on_the_runs_page_and_in_a_report(runs: dict[str, Run], root: Path) -> None:
    where = places({"CORTEXNODUS_HOME": str(root)})
    drawn = curves_of(comparison(list(runs.values())), {}, "flops")
    told = {curve.subject.name: curve.flops for curve in drawn}
    for name, run in runs.items():
        prepared = prepare(source_node(run.graph()), where.store)
        expected = flops_per_token(run.graph(), *prepared.sizes)
        assert expected and reading.flops_of(run) == reading.flops_of(run, summary(run)) == told[name] == expected, name


def test_a_run_that_has_ended_shows_the_speed_that_the_table_calls_by_the_same_name(runs: dict[str, Run]) -> None:
    mean = summary(runs["multi-token"])["mean_tokens_per_second"]
    for where in ("train", "run"):
        shown = {metric.label: metric.value for metric in sound(page(where, run=runs["multi-token"].id)).metric}
        assert shown["Tokens/s"] == f"{mean:,.0f}"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("classifier", "the film was good", "positive"),
        ("ner", "they left Paris .", "they"),
        ("ner", "left " * 40, "has 40 tokens"),
    ],
)
def test_the_generate_page_answers_by_the_task(runs: dict[str, Run], name: str, text: str, says: str) -> None:
    test = sound(page("generate", run=runs[name].id))
    assert not any("Write on" in button.label for button in test.button)
    sound(test.text_area(key="generate.text").set_value(text).run())
    shown = words(test) + "".join(str(element.proto) for element in test.get("html"))
    assert says in shown


def test_pairs_are_asked_with_a_text_to_read(runs: dict[str, Run]) -> None:
    test = sound(page("generate", run=runs["encoder-decoder"].id))
    sound(test.text_area(key="generate.source").set_value("alpha bravo").run())
    sound(next(button for button in test.button if button.label == "Write").click().run())
    assert any("tokens/s" in caption.value for caption in test.caption)


def test_the_data_page_shows_rows_and_labels(runs: dict[str, Run], root: Path) -> None:
    where = places({"CORTEXNODUS_HOME": str(root)})
    for name in NAMES[:3]:
        test = sound(data_page("data", doc=documents.create(where.documents, example(name))))
        assert "rows" in "".join(metric.delta for metric in test.metric)
        assert not {"Uniform", "Bigram"} & {metric.label for metric in test.metric}
        assert ("Always saying" in words(test)) == (name != "encoder-decoder")


def test_every_example_opens_from_the_build_page(shakespeare: Places) -> None:
    shipped = {path.stem for path in (ROOT / "examples").glob("*.json")}
    presets = {f"gpt-{name}" for name in PRESETS}
    assert set(EXAMPLES) == {name for name in shipped - presets if not name.startswith("gpt2")}  # GPT-2 is no beginning
    test = sound(page("build"))
    assert all(any(option.startswith(name) for option in test.selectbox(key="build.example").options) for name in EXAMPLES)
    sound(test.selectbox(key="build.example").set_value("ner").run())
    assert MEASURED["ner"] in words(test)
    assert test.button(key="example.open").label == "Open ner"


def test_what_was_measured_of_an_example_is_said_once_and_the_same() -> None:
    said = (ROOT / "README.md").read_text()
    assert all(f"`{name}`" in said and MEASURED[name] in said for name in EXAMPLES) and set(MEASURED) == set(EXAMPLES)


@pytest.mark.parametrize("task", ["Text", "Labelled", "Tagged", "Pairs"])
def test_data_of_each_task_has_a_model_that_learns_it(task: str) -> None:
    node = Node("data", "CustomData", {"type": task, "path": "some.csv", "batch_size": 3})
    graph = graph_for(node)
    assert not plan(graph).issues and graph.node("data").params["path"] == "some.csv"

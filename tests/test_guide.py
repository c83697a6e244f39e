"""The guide: the same in both languages, true of the program, and every step of it can be done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import PROJECT
from test_pages import page, sound

from cortex import documents, guide
from cortex.builder import plan
from cortex.command import main
from cortex.expand import expand
from cortex.graph import Graph
from cortex.guide import GuideError, as_markdown, fact, languages, read
from cortex.guide_steps import EXAMPLES, StepError, changes, opening, opens, step
from cortex.honest import honesty
from cortex.places import Places
from cortex.presets import preset


def done(verbs: list[tuple[str, ...]], graph: Graph | None = None) -> Graph:
    """The graph after these steps."""
    for verb, *arguments in verbs:
        graph = opening(verb, *arguments) if opens(verb) else step(graph, verb, *arguments)
    return graph


# Read without the sizes that the text names: those take seconds, which every process that only collects would pay.
LINES = map(str.strip, (guide.FOLDER / "en.md").read_text().splitlines())
BUTTONS = [guide._button(line) for line in LINES if guide._BUTTON.fullmatch(line)]
BY_HAND = [
    (button.verb, *button.arguments)
    for button in BUTTONS[3:15]
    if button.where == "do" and button.arguments not in (("PennTreebank",), ("WikiText2",))
]


def test_both_languages_say_the_same_in_the_same_order() -> None:
    assert languages() == ["en", "zh"]
    english, chinese = map(read, languages())
    assert english.words.keys() == chinese.words.keys()
    shapes = [[(part.level, part.anchor, len(part.buttons)) for part in text.parts] for text in (english, chinese)]
    assert shapes[0] == shapes[1]
    actions = [[(one.where, one.verb, one.arguments) for one in text.buttons()] for text in (english, chinese)]
    assert actions[0] == actions[1]
    facts = [sorted(re.findall(r"\{\{([^}]+)\}\}", (guide.FOLDER / f"{name}.md").read_text())) for name in languages()]
    assert facts[0] == facts[1]


@pytest.mark.parametrize(("language", "file"), [("en", "guide.md"), ("zh", "guide.zh.md")])
def test_the_documents_are_the_text_of_the_page(language: str, file: str) -> None:
    assert (PROJECT / "docs" / file).read_text() == as_markdown(read(language)), "run: make docs"
    assert "{{" not in as_markdown(read(language))


def test_the_verb_prints_the_guide(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guide", "--language", "zh"]) == 0
    assert capsys.readouterr().out == as_markdown(read("zh"))


@pytest.mark.parametrize("name", ["kind GPTBloc", "preset tiny lr", "default Loss lr", "weather", "parameters small"])
def test_a_fact_that_does_not_exist_is_no_text(name: str) -> None:
    with pytest.raises(GuideError, match="there is no fact"):
        fact(name)


def test_facts_come_from_presets_and_registry() -> None:
    assert fact("preset large embedding_dim") == "512"
    assert fact("parameters small 33278") == "9,147,518"
    assert fact("default GPTBlock dropout") == "0.1"


# Steps


def test_the_steps_by_hand_make_a_gpt_without_a_fault() -> None:
    assert [verb for verb, *_ in BY_HAND] == ["new", "source", "add", "add", "add", "blocks", "add", "add", "tie", "add"]
    graph = done(BY_HAND)
    assert [node.kind for node in graph.nodes] == [
        "Shakespeare", "Embedding", "PositionalEncoding", *["GPTBlock"] * 4, "LayerNorm", "Linear", "Loss",
    ]  # fmt: skip
    assert plan(graph, 1000).issues == ()
    assert honesty(plan(graph)).ok


def test_three_blocks_of_the_steps_are_the_small_preset() -> None:
    steps = [one for one in BY_HAND if one[0] != "tie" and one[1:2] != ("GPTBlock",)]
    assert plan(done(steps), 1000).total == plan(preset("small"), 1000).total


EDITS = [one for one in BUTTONS if one.where == "do" and not opens(one.verb) and one.verb not in ("add", "blocks")]


@pytest.mark.parametrize("button", EDITS, ids=lambda one: one.label)
def test_every_button_changes_a_graph_and_brings_no_fault(button: guide.Button) -> None:
    before = preset("small", "WikiText103")
    after = step(before, button.verb, *button.arguments)
    assert after != before
    assert [issue for issue in plan(after).issues if issue.field != "path"] == []


def test_every_page_that_a_button_names_is_there() -> None:
    assert read("en").buttons() == BUTTONS
    for button in BUTTONS:
        if button.where == "page":
            assert (PROJECT / "pages" / f"{button.verb}.py").is_file(), button


def test_every_example_of_the_guide_is_a_document_without_a_fault() -> None:
    names = [button.arguments[0] for button in read("en").buttons() if button.verb == "example"]
    assert len(names) == 6
    for name in names:
        graph = opening("example", name)
        assert plan(graph).issues == ()
        for node in expand(graph).graph.nodes:
            assert not node.params.get("path") or (EXAMPLES.parent / node.params["path"]).is_file()


def test_a_further_block_stands_behind_the_last_one_also_when_the_chain_is_whole() -> None:
    graph = step(preset("small"), "blocks", "2", "nhead=4")
    order = [node.id for node in graph.nodes]
    assert order[order.index("block_3") :] == ["block_3", "gpt_block", "gpt_block_2", "norm", "head", "loss"]
    assert [edge.source for edge in graph.into("norm")] == ["gpt_block_2"]
    assert plan(graph, 1000).issues == ()


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(StepError, match="add a source first"):
        step(Graph(), "add", "Embedding")
    with pytest.raises(StepError, match="already") as told:
        step(preset("small"), "add", "Embedding")
    assert told.value.node == "embedding"
    with pytest.raises(StepError, match="add both first"):
        step(Graph(), "tie")
    with pytest.raises(StepError, match="cannot be halved"):
        step(preset("small").with_param("data", "batch_size", 1), "halve")
    with pytest.raises(StepError):
        opening("example", "nothing")


def test_half_the_batch_is_the_same_step() -> None:
    graph = step(preset("small"), "halve")
    assert (graph.node("data").params["batch_size"], graph.training["accumulate"]) == (10, 2)


def test_what_a_step_has_made_is_told_in_signs() -> None:
    small = preset("small")
    assert changes(small, step(small, "add", "GPTBlock")) == "+ gpt_block"
    assert changes(small, step(small, "source", "PennTreebank")) == "data: PennTreebank"
    assert changes(small, step(small, "tie")) == "head.bias = False, head.tie_to = embedding"
    assert changes(small, step(small, "halve")) == "data.batch_size = 10, accumulate = 2"
    assert re.search(r"… \(\+\d+\)$", changes(small, step(small, "recipe", "tuned")))
    assert changes(small, small) == ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_reason_why_a_step_cannot_be_done_has_words(language: str) -> None:
    found = []
    for graph, verb, *arguments in (
        (Graph(), "add", "Embedding"), (preset("small"), "add", "Embedding"), (Graph(), "tie"), (Graph(), "halve"),
        (preset("small").with_param("data", "batch_size", 1), "halve"), (preset("small"), "add", "TransformerEncoder"),
    ):  # fmt: skip
        with pytest.raises(StepError) as told:
            step(graph, verb, *arguments)
        found.append(told.value.why)
    assert found == ["no source", "there already", "no head", "no source", "one sequence", "no end"]
    assert set(found) <= read(language).words.keys()


# The page


def texts(test: object) -> str:
    return "\n".join(part.value for part in [*test.markdown, *test.header, *test.subheader, *test.caption, *test.title])


def test_the_page_shows_the_guide_in_both_languages(home: Places) -> None:
    test = sound(page("guide").run())
    assert "Quick start" in texts(test)
    test = sound(page("guide", lang="zh").run())
    assert "快速开始" in texts(test)
    assert "Quick start" not in texts(test)


def press(test: object, label: str) -> object:
    next(button for button in test.button if button.label == label).click()
    return sound(test.run())


def test_a_gpt_is_built_by_pressing_the_buttons_of_the_page(home: Places) -> None:
    test = sound(page("guide").run())
    steps = (
        "an empty graph",
        "Shakespeare",
        "the embedding",
        "sine and cosine positions",
        "three blocks",
        "the norm",
        "the head",
    )
    for name in (f"Start {steps[0]}", *(f"Add {what}" for what in steps[1:]), "Add the loss"):
        test = press(test, name)
    (name,) = documents.recent(home.documents)
    graph = documents.load(home.documents, name)
    assert plan(graph).issues == ()
    assert len(graph.of_kind("GPTBlock")) == 3
    assert len(graph.layout) == len(graph.nodes)
    test = press(test, "Add the embedding")
    assert documents.load(home.documents, name) == graph
    assert "There is one already" in test.toast[0].value


def test_a_step_without_a_graph_says_what_to_do_first(home: Places) -> None:
    test = press(sound(page("guide").run()), "Clip the gradient at 1")
    assert "There is no graph yet. Press “Open small” or “Start an empty graph” first." in test.toast[0].value
    assert documents.recent(home.documents) == []


def test_a_preset_is_opened_from_the_guide(home: Places) -> None:
    test = page("guide").run()
    next(button for button in test.button if button.label == "Open medium").click()
    test.run()  # alone, the page has no other to go to
    (found,) = documents.recent(home.documents)
    assert documents.load(home.documents, found).name == "gpt-medium"


def test_an_example_takes_its_data_to_where_the_app_may_read(home: Places) -> None:
    test = page("guide").run()
    next(button for button in test.button if button.label == "A classifier").click()
    test.run()  # alone, the page has no other to go to
    (found,) = documents.recent(home.documents)
    path = Path(documents.load(home.documents, found).of_kind("CustomData")[0].params["path"])
    assert path.is_relative_to(home.uploads)
    assert path.is_file()


def test_the_page_tells_what_a_button_did_in_its_language(home: Places) -> None:
    test = sound(page("guide", lang="zh").run())
    for label, said in (
        ("新建一张空图", "已打开一张空图"),  # nothing is kept, for there was nothing
        ("加入嵌入", "请先加入一个"),
        ("加入 Shakespeare", "+ data"),
        ("加入 Shakespeare", "已经是这样了"),
        ("一次 256 个词元", r"data.seq\_len = 256"),
        ("新建一张空图", "原来的图仍然保留"),
    ):
        test = press(test, label)
        assert said in test.toast[0].value

"""A document that cannot be written, was damaged or deleted while it is edited: one clear line, and nothing is lost."""

from __future__ import annotations

import pytest
from conftest import disk_with_room_for
from streamlit.testing.v1 import AppTest
from test_pages import open_document, page, sound, words

from cortex import documents
from cortex.graph import Graph
from cortex.places import Places
from cortex.rework import rename_node

__all__ = ["open_document"]


@pytest.fixture
def build(open_document: str) -> AppTest:
    return sound(page("build", doc=open_document))


def rename(build: AppTest, name: str) -> AppTest:
    field = next(field for field in build.text_input if field.label == "Name")
    return sound(field.set_value(name).run())


def kept(home: Places, build: AppTest) -> Graph:
    return documents.load(home.documents, build.session_state["document"])


def test_an_edit_on_a_full_disk_is_told_and_can_be_made_when_there_is_room(
    home: Places, build: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex.history.TOGETHER_SECONDS", 0)
    rename(build, "before")
    with disk_with_room_for(10):
        rename(build, "lost")
        assert "This change is not kept: File too large" in words(build)
        field = next(field for field in build.text_input if field.label == "Name")
        assert field.value == "before" == kept(home, build).name
        sound(build.button(key="history.undo").click().run())
        assert kept(home, build).name == "before"
        sound(build.button(key="save.keep").click().run())
        assert "The copy cannot be kept: File too large" in words(build)
    rename(build, "after")
    assert kept(home, build).name == "after" and "not kept" not in words(build)
    sound(build.button(key="history.undo").click().run())
    assert kept(home, build).name == "before"


def test_a_graph_that_cannot_be_kept_is_not_opened_and_said(home: Places, open_document: str, shakespeare: Places) -> None:
    build = sound(page("build"))
    with disk_with_room_for(10):
        sound(build.button(key="open.small").click().run())
        assert "The graph cannot be opened: File too large" in words(build)
    assert documents.recent(home.documents) == [open_document]
    sound(build.button(key="open.small").click().run())
    assert kept(home, build).name == "gpt-small"


def test_a_training_that_cannot_be_written_is_not_started_and_said(home: Places, build: AppTest) -> None:
    train = next(button for button in build.button if button.label == "Train tiny")
    with disk_with_room_for(10):
        sound(train.click().run())
    assert "The training cannot be started: File too large" in words(build)


@pytest.mark.parametrize("content", [b"", b'{"format": bro', b"\xff\x00\xfe", b"[]"])
@pytest.mark.parametrize("found", ["by the page", "by an edit", "by undo", "by another browser"])
def test_a_damaged_document_stays_and_its_last_state_goes_on_as_a_new_one_that_can_be_undone(
    found: str, content: bytes, home: Places, build: AppTest, open_document: str
) -> None:
    rename(build, "edited")
    path = documents.path_of(home.documents, open_document)
    path.write_bytes(content)
    if found == "by the page":
        sound(build.run())
    elif found == "by an edit":
        rename(build, "lost")
    elif found == "by undo":
        sound(build.button(key="history.undo").click().run())
    else:
        build = sound(page("build", doc=open_document))
    assert "damaged outside the app; it is left as it is" in words(build)
    assert kept(home, build).name == "edited" and path.read_bytes() == content
    sound(build.button(key="history.undo").click().run())
    assert kept(home, build).name == "tiny"


def test_a_document_damaged_before_its_first_edit_goes_on_from_what_the_session_holds(
    home: Places, build: AppTest, open_document: str, shakespeare: Places
) -> None:
    documents.path_of(home.documents, open_document).write_text("{")
    sound(build.run())
    assert kept(home, build).name == "tiny"
    other = sound(page("build", doc=open_document))
    assert "damaged outside the app" in words(other) and "doc" not in other.query_params


@pytest.mark.parametrize("found", ["by the page", "by an edit", "by undo"])
def test_a_deleted_document_goes_on_as_a_new_one_that_can_be_undone(
    found: str, home: Places, build: AppTest, open_document: str
) -> None:
    documents.update(home.documents, open_document, lambda graph: graph.with_training("seed", 7))
    sound(build.run())
    documents.path_of(home.documents, open_document).unlink()
    if found == "by an edit":
        rename(build, "again")
        assert kept(home, build).name == "again"
    if found != "by the page":
        sound(build.button(key="history.undo").click().run())
    if found != "by undo":
        sound(build.run())
        assert kept(home, build).name == "tiny" and kept(home, build).training["seed"] == 7
        sound(build.button(key="history.undo").click().run())
    assert "seed" not in kept(home, build).training


def test_what_another_tab_wrote_right_behind_an_edit_is_shown(
    home: Places, build: AppTest, open_document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = documents.update

    def overtaken(*arguments: object, **rest: object) -> Graph:
        after = update(*arguments, **rest)
        update(home.documents, open_document, lambda graph: graph.with_training("seed", 77))
        return after

    monkeypatch.setattr(documents, "update", overtaken)
    rename(build, "mine")
    monkeypatch.undo()
    assert kept(home, build).training["seed"] == 77
    sound(build.run())
    assert build.session_state["graph"]["training"]["seed"] == 77


def test_what_was_told_is_not_lost_to_a_page_that_runs_again_by_itself_and_ends_with_the_next_edit(
    home: Places, build: AppTest, open_document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.path_of(home.documents, open_document).write_text("{")
    for _ in range(2):
        assert "damaged outside the app" in words(sound(build.run()))
    assert "damaged outside the app" not in words(rename(build, "next"))
    documents.path_of(home.documents, build.session_state["document"]).write_text("{")
    assert "damaged outside the app" in words(sound(build.run()))
    monkeypatch.setattr("ui.notices._SECONDS", 0.0)
    assert "damaged outside the app" not in words(sound(build.run()))


def test_a_name_longer_than_a_field_takes_is_not_cut_by_looking_at_it(home: Places, open_document: str) -> None:
    path, long = documents.path_of(home.documents, open_document), "n" * 300
    documents.update(home.documents, open_document, lambda graph: rename_node(graph.rename(long), "norm", long))
    before = path.read_bytes()
    build = sound(page("build", doc=open_document))
    build.session_state["selected"] = long
    for _ in range(2):
        sound(build.run())
    assert path.read_bytes() == before

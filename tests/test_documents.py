"""Graphs that are being edited."""

from __future__ import annotations

import threading

import pytest

from cortex import documents
from cortex.graph import GraphError
from cortex.places import Places
from cortex.presets import preset


def test_a_document_comes_back_as_it_was_kept(home: Places) -> None:
    name = documents.create(home.documents, preset("small"))
    assert documents.load(home.documents, name) == preset("small")
    assert documents.recent(home.documents) == [name]


def test_a_change_is_made_on_top_of_what_others_changed_meanwhile(home: Places) -> None:
    name = documents.create(home.documents, preset("small").with_training("seed", 0))

    def count(times: int) -> None:
        for _ in range(times):
            documents.update(home.documents, name, lambda graph: graph.with_training("seed", graph.training["seed"] + 1))

    threads = [threading.Thread(target=count, args=(20,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert documents.load(home.documents, name).training["seed"] == 80


def test_a_change_that_fails_leaves_the_document_as_it_was(home: Places) -> None:
    name = documents.create(home.documents, preset("small"))
    with pytest.raises(KeyError):
        documents.update(home.documents, name, lambda graph: graph.with_param("nobody", "x", 1))
    assert documents.load(home.documents, name) == preset("small")


def test_what_is_the_same_is_not_written_again(home: Places) -> None:
    name = documents.create(home.documents, preset("small"))
    before = documents.stamp(home.documents, name)
    documents.update(home.documents, name, lambda graph: graph)
    assert documents.stamp(home.documents, name) == before


@pytest.mark.parametrize("name", ["../../x", "", "ABCDEF012345", "0123456789ab/../..", "0" * 13])
def test_only_ids_name_documents(name: str, home: Places) -> None:
    for use in (documents.load, documents.path_of, lambda folder, name: documents.update(folder, name, lambda graph: graph)):
        with pytest.raises(documents.DocumentError, match="expected 12 digits"):
            use(home.documents, name)
    assert documents.stamp(home.documents, name) is None


def test_a_missing_or_damaged_document_is_told(home: Places) -> None:
    for use in (documents.load, lambda folder, name: documents.update(folder, name, lambda graph: graph)):
        with pytest.raises(documents.DocumentError, match="there is none of this id"):
            use(home.documents, "0123456789ab")
    name = documents.create(home.documents, preset("small"))
    documents.path_of(home.documents, name).write_text("{")
    with pytest.raises(GraphError, match=f"document {name}: not JSON"):
        documents.load(home.documents, name)
    documents.path_of(home.documents, name).write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(GraphError, match=f"document {name}: not UTF-8"):
        documents.load(home.documents, name)
    documents.path_of(home.documents, name).unlink()
    documents.path_of(home.documents, name).mkdir()
    with pytest.raises(documents.DocumentError, match="cannot be read: Is a directory"):
        documents.load(home.documents, name)


def test_files_of_other_names_beside_the_documents_are_not_documents(home: Places) -> None:
    name = documents.create(home.documents, preset("small"))
    (home.documents / "mine.json").write_text("{}")
    (home.documents / f".{name}.json.abc").write_text("{")
    assert documents.recent(home.documents) == [name]

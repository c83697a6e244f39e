"""Name, note, tags, star and archive of a run: kept beside run.json, each label the last writer's."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from cortex import labels
from cortex.creating import create_run
from cortex.graph import Graph
from cortex.labels import LabelError, Labels, read, update, with_tags
from cortex.run_summary import summary
from cortex.runs import Run, find_run, summary_name


def test_a_run_that_nobody_has_labelled_has_no_labels_and_no_file(run: Run) -> None:
    assert read(run) == Labels() and not (run.path / "labels.json").exists()


def test_labels_are_kept_one_by_one_and_run_json_never_changes(run: Run) -> None:
    before = (run.path / "run.json").read_bytes()
    update(run, name="renamed", tags=["a", "b", "a"])
    update(run, note="  two\nlines ", starred=True)
    assert read(run) == Labels("renamed", "two\nlines", ("a", "b"), True, False)
    assert update(run, name="").name is None
    assert (run.path / "run.json").read_bytes() == before


def test_a_new_name_is_shown_and_found_and_the_old_one_still_leads_to_the_run(run: Run) -> None:
    update(run, name="second")
    assert summary_name(run) == summary(run)["name"] == "second"
    root = run.path.parent
    assert find_run("second", root) == find_run("first", root) == run
    other = create_run(root, Graph("first"), fingerprint="f")
    assert find_run("first", root) in (run, other) and find_run("first", root) == other


def test_the_summary_carries_the_labels(run: Run) -> None:
    update(run, note="n", tags=["t"], starred=True, archived=True)
    row = summary(run)
    assert (row["note"], row["tags"], row["starred"], row["archived"]) == ("n", ["t"], True, True)


def test_writers_of_different_labels_at_once_both_succeed(run: Run) -> None:
    threads = [
        threading.Thread(target=update, args=(run,), kwargs={"note": str(n)} if n % 2 else {"tags": [str(n)]})
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read(run)
    assert int(found.note) % 2 == 1 and int(found.tags[0]) % 2 == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": 5}, "name: found int, expected text"),
        ({"name": "x" * 201}, "name of 201 characters; expected at most 200"),
        ({"tags": "a"}, "tags: found str, expected a list"),
        ({"tags": ["a,b"]}, "no comma"),
        ({"starred": "yes"}, "starred: found str, expected true or false"),
        ({"colour": "red"}, "colour: there is no such label; expected one of name, note, tags, starred, archived"),
    ],
)
def test_what_is_no_label_is_refused_and_nothing_is_written(run: Run, change: dict[str, Any], expected: str) -> None:
    with pytest.raises(LabelError, match=expected):
        update(run, note="kept?", **change)
    assert read(run) == Labels()


@pytest.mark.parametrize("name", ["<b>bold</b>", "$x^2$", "🙂", "a\nb", "\ud800", "x" * 200], ids=ascii)
def test_a_name_of_any_letters_comes_back_on_one_line(run: Run, name: str) -> None:
    shown = update(run, name=name).name
    assert shown and "\n" not in shown and shown.encode()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"format": "other"}', "\udcff\udcfe", "[" * 100_000])
def test_a_damaged_file_is_told_and_kept_aside_when_a_label_is_given(run: Run, content: str) -> None:
    path = run.path / "labels.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    found = read(run)
    assert found.problem.startswith("labels.json") and found.note == ""
    assert summary(run)["problem"] == found.problem and summary(run)["state"] == "starting"
    assert update(run, note="new") == Labels(note="new")
    (aside,) = run.path.glob("labels-damaged-*.json")
    assert aside.read_bytes() == content.encode(errors="surrogateescape")


def test_one_wrong_value_does_not_lose_the_others(run: Run) -> None:
    update(run, note="n")
    path = run.path / "labels.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tags": 5, "starred": True}))
    found = read(run)
    assert (found.note, found.tags, found.starred) == ("n", (), True) and "tags: found int" in found.problem


def test_labels_of_a_newer_version_are_never_overwritten(run: Run) -> None:
    path = run.path / "labels.json"
    content = json.dumps({"format": labels.FORMAT, "version": 2, "note": "from the future"})
    path.write_text(content)
    with pytest.raises(LabelError, match="version 2, expected 1"):
        update(run, note="mine")
    assert path.read_text() == content and read(run).note == "from the future"


def test_a_folder_where_the_file_belongs_is_told(run: Run) -> None:
    (run.path / "labels.json").mkdir()
    assert "Is a directory" in read(run).problem
    assert update(run, starred=True).starred


def test_tags_are_added_and_taken_away_in_the_order_they_came() -> None:
    assert with_tags(("a", "b"), ["c", "a"], ["b", "never"]) == ("a", "c")

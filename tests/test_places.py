"""Where things are kept, and files that are replaced whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from conftest import disk_with_room_for

from cortex.places import places, to_json, write_atomically


def test_everything_lies_below_the_home_folder() -> None:
    where = places({"CORTEXNODUS_HOME": "/some/home"})
    assert where.runs == Path("/some/home/runs") and where.store == Path("/some/home/workspace/store")
    assert {where.documents.parent, where.uploads.parent} == {Path("/some/home/workspace")}


def test_without_a_home_the_working_directory_is_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert places({}).runs == places({"CORTEXNODUS_HOME": ""}).runs == tmp_path / "runs"
    assert places({"CORTEXNODUS_HOME": "below"}).store == tmp_path / "below" / "workspace" / "store"


def test_the_folder_of_runs_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    where = places({"CORTEXNODUS_HOME": "/some/home"}, runs="mine")
    assert where.runs == tmp_path / "mine" and where.store == Path("/some/home/workspace/store")


def test_texts_are_read_from_the_uploads_and_the_folders_that_were_configured(tmp_path: Path) -> None:
    uploads = Path("/h/workspace/uploads")
    assert places({"CORTEXNODUS_HOME": "/h"}).readable == places({"CORTEXNODUS_HOME": "/h", "CORTEXNODUS_DATA": ""}).readable
    named = os.pathsep.join(["/a/b", "", str(tmp_path), "near"])
    found = places({"CORTEXNODUS_HOME": "/h", "CORTEXNODUS_DATA": named}).readable
    assert found == (uploads, Path("/a/b"), tmp_path, Path("near").absolute())


@pytest.mark.parametrize("content", ["größe 🙂\n", b"\x00\xff", ""])
@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_written_and_replaced_and_leaves_nothing_beside_it(
    tmp_path: Path, content: str | bytes, durable: bool
) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    write_atomically(path, content, durable=durable)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path] and path.stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(OSError), disk_with_room_for(1000):
        write_atomically(path, "x" * 5000)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_name_that_cannot_be_replaced_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "folder", "x")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_a_reader_sees_one_content_or_the_other_and_never_a_part(tmp_path: Path) -> None:
    path, ended, seen = tmp_path / "file.json", threading.Event(), set()
    path.write_text("a" * 50_000)

    def read() -> None:
        while not ended.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        write_atomically(path, "ab"[number % 2] * 50_000, durable=False)
    ended.set()
    reader.join()
    assert seen and seen <= {"a" * 50_000, "b" * 50_000}


def test_json_is_indented_keeps_its_letters_and_ends_its_line() -> None:
    assert to_json({"größe": 1}) == '{\n "größe": 1\n}\n'

"""Graphs kept under a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortex import saves
from cortex.presets import preset


def test_a_kept_graph_comes_back_under_its_name(tmp_path: Path) -> None:
    saves.keep(tmp_path / "saved", "my best", preset("small"))
    assert saves.load(tmp_path / "saved", "my best") == preset("small").rename("my best")
    assert [save.name for save in saves.kept(tmp_path / "saved")] == ["my best"]


def test_a_name_that_is_taken_is_refused_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    saves.keep(tmp_path, "one", preset("small"))
    with pytest.raises(saves.SaveError, match="there is a graph of this name"):
        saves.keep(tmp_path, "one", preset("medium"))
    assert len(saves.load(tmp_path, "one").nodes) == len(preset("small").nodes)
    saves.keep(tmp_path, "one", preset("medium"), replace=True)
    assert len(saves.load(tmp_path, "one").nodes) == len(preset("medium").nodes)


@pytest.mark.parametrize("name", ["", " ", "../x", "a/b", ".hidden", "x" * 81, "a\0b", "end."])
def test_a_name_that_no_file_should_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(saves.SaveError, match="cannot be a name here"):
        saves.keep(tmp_path, name, preset("small"))


def test_what_is_gone_or_damaged_is_told(tmp_path: Path) -> None:
    with pytest.raises(saves.SaveError, match="nothing is kept"):
        saves.load(tmp_path, "gone")
    (tmp_path / "torn.json").write_text('{"format": "cortexnodus/graph"')
    with pytest.raises(saves.SaveError, match="is damaged"):
        saves.load(tmp_path, "torn")
    saves.forget(tmp_path, "torn")
    saves.forget(tmp_path, "torn")
    assert saves.kept(tmp_path) == []

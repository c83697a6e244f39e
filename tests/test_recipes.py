"""Recipes are visible edits: what they change, what they leave, and that the result can be built."""

from __future__ import annotations

import pytest

from cortex.builder import build, plan, train_config
from cortex.graph import Graph
from cortex.presets import PRESETS, preset
from cortex.recipes import DECIDES, RECIPES, apply_recipe, changes


@pytest.mark.parametrize("size", PRESETS)
def test_the_guides_recipe_is_what_the_presets_are_made_of(size: str) -> None:
    graph = preset(size)
    assert changes(graph, apply_recipe(graph, "guide")) == []
    assert changes(graph, apply_recipe(apply_recipe(graph, "tuned"), "guide")) == []


@pytest.mark.parametrize("size", PRESETS)
def test_the_tuned_recipe_has_no_fault_and_shares_the_heads_weights(size: str) -> None:
    graph = apply_recipe(preset(size), "tuned")
    planned = plan(graph, 1000)
    assert planned.issues == () and train_config(graph).optimizer == "Muon"
    assert planned.parameters["head"] == 0


def test_a_tied_head_is_the_embedding_and_learns_with_it() -> None:
    model = build(plan(apply_recipe(preset("small"), "tuned"), 50))
    assert model.head.weight is model.embedding.weight and model.head.bias is None
    assert "head.weight" not in dict(model.named_parameters())


def test_what_a_recipe_does_not_decide_is_kept() -> None:
    before = preset("small").with_training("seed", 7).with_training("epochs", 3).with_training("patience", 4)
    for name in RECIPES:
        after = apply_recipe(before, name)
        assert {key: after.training[key] for key in ("seed", "epochs", "patience")} == {"seed": 7, "epochs": 3, "patience": 4}
        assert after.layout == before.layout and after.edges == before.edges


def test_applying_a_recipe_twice_changes_nothing_more() -> None:
    for name in RECIPES:
        once = apply_recipe(preset("medium"), name)
        assert apply_recipe(once, name) == once


def test_every_training_setting_that_differs_between_recipes_is_one_they_decide() -> None:
    found = changes(apply_recipe(preset("small"), "guide"), apply_recipe(preset("small"), "tuned"))
    assert {key.partition(".")[2] for key, _, _ in found if key.startswith("training.")} <= set(DECIDES)


def test_a_head_of_another_size_than_the_embedding_keeps_its_own_weights() -> None:
    graph = preset("small").with_param("head", "out_features", 20_000).with_param("embedding", "num_embeddings", 17_741)
    after = apply_recipe(graph, "tuned")
    assert not after.node("head").params.get("tie_to") and plan(after, 17_741).issues == ()


def test_a_graph_without_the_usual_nodes_is_left_as_far_as_it_has_nothing_to_change() -> None:
    for name in RECIPES:
        assert apply_recipe(Graph("empty"), name).nodes == ()

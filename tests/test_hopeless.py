"""The median stopping rule on made curves, and in the worker of a trial."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cortex.creating import create_run
from cortex.graph import Graph
from cortex.hopeless import Judge, Rule, judge_of
from cortex.runs import Run
from cortex.sweep import Sweep

RULE = Rule(grace=2, others=3)
OTHERS = [[(10, 4.0), (20, 3.0), (30, 2.0)], [(10, 4.0), (20, 3.4), (30, 3.5)], [(10, 4.2), (20, 3.8), (30, 3.6)]]


def test_a_trial_worse_than_the_median_of_the_others_at_the_same_step_is_hopeless() -> None:
    why = RULE.verdict([(10, 4.1), (20, 3.7), (30, 3.5)], OTHERS)  # 2.0, 3.4 and 3.6 by step 30
    assert why == (
        "hopeless by the sweep's median rule: its best of 3.5000 at step 30 is worse than 3.4000, "
        "the median of 3 other trials there"
    )


@pytest.mark.parametrize(
    ("mine", "reason"),
    [
        ([(10, 9.0), (20, 9.0)], "the first two validations are never judged"),
        ([(10, 4.1), (20, 3.4), (30, 9.0)], "as good as the median, by its best and not its last"),
        ([(10, 9.0), (20, 9.0), (40, 9.0)], "nobody has come as far"),
        ([], "nothing is known"),
    ],
)
def test_a_trial_goes_on_when_the_rule_does_not_say_otherwise(mine: list, reason: str) -> None:
    assert RULE.verdict(mine, OTHERS) == "", reason


def test_others_count_as_far_as_the_trial_has_come_and_only_when_there_are_enough() -> None:
    late = [(10, 9.0), (20, 9.0), (100, 0.1)]  # gets better after the step that is judged
    mine = [(10, 5.0), (20, 5.0), (30, 5.0)]
    assert RULE.verdict(mine, [late] * 3) == ""
    assert RULE.verdict(mine, OTHERS[:2]) == ""
    assert RULE.verdict(mine, [*OTHERS[:2], [(10, 0.0)]]) == ""  # the third ended before


def made_run(root: Path, number: int, events: list[dict], sweep: str = "s") -> Run:
    run = create_run(root, Graph("t"), fingerprint="f", sweep={"id": sweep, "trial": number, "values": {}})
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return run


def validations(*losses: float, tokens: int = 32) -> list[dict]:
    steps = range(10, 10 * len(losses) + 1, 10)
    return [
        {"event": "validation", "step": step, "tokens": step * tokens, "loss": loss, "elapsed": 1.0}
        for step, loss in zip(steps, losses, strict=True)
    ]


def test_the_judge_reads_the_other_trials_of_the_sweep_and_only_what_is_new(tmp_path: Path) -> None:
    others = [made_run(tmp_path, number, validations(4.0, 3.0, 2.0)) for number in (1, 2, 3)]
    made_run(tmp_path, 1, validations(0.1, 0.1, 0.1), sweep="another")
    mine = made_run(tmp_path, 4, validations(4.0, 3.0))
    judge = Judge(mine, Sweep(tmp_path / ".sweeps" / "s"), RULE, "best_loss")
    assert judge.why_hopeless() == ""
    with open(mine.path / "metrics.jsonl", "a") as file:
        file.write('not json "validation"\n{"event": "validation", "loss": NaN, "step": 25, "tokens": 9}\n')
        file.write(json.dumps(validations(9, 9, 2.5)[2]) + "\n" + '{"event": "validation", "loss": 0.0, "st')
    assert "best of 2.5000 at step 30 is worse than 2.0000, the median of 3" in judge.why_hopeless()
    (others[0].path / "metrics.jsonl").unlink()
    made_run(tmp_path, 5, [])
    assert judge.why_hopeless()  # what was read stays read


def test_tokens_and_bytes_are_compared_where_steps_and_losses_cannot_be(tmp_path: Path) -> None:
    start = {"event": "start", "validation_tokens": 100, "validation_bytes": 400}
    for number in (1, 2, 3):  # twice the tokens a step: they have seen as much at half the steps
        made_run(tmp_path, number, [start, *validations(6.0, 5.0, 4.0, tokens=64)])
    few = {"event": "start", "validation_tokens": 50, "validation_bytes": 400}
    mine = made_run(tmp_path, 4, [few, *validations(9.0, 9.0, 8.5, 8.0)])

    def why(by: str, objective: str) -> str:
        return Judge(mine, Sweep(tmp_path / ".sweeps" / "s"), Rule(2, 3, by), objective).why_hopeless()

    assert why("step", "best_loss") == ""  # none has come to step 40
    assert "at 1,280 tokens is worse than 5.0000" in why("tokens", "best_loss")
    assert why("tokens", "bits_per_byte") == ""  # half the tokens: 8 nats each are 4 of the others


def test_a_run_is_judged_only_where_its_sweep_says_so(tmp_path: Path) -> None:
    run = made_run(tmp_path, 1, [])
    assert judge_of(run, run.record()) is None  # its sweep is gone
    alone = create_run(tmp_path, Graph("t"), fingerprint="f")
    assert judge_of(alone, alone.record()) is None and judge_of(alone, {"sweep": "x"}) is None

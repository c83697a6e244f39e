"""Verbs that look and change nothing but the store of prepared texts: presets, kinds, check, evaluate, generate, predict.

torch is imported where it is needed, so that the others answer at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cortex.graph import GraphError
from cortex.report import known, print_json, print_table, start_notes
from cortex.runs import find_run
from cortex.units import share
from cortex.verbs.common import OK, USER_ERROR, UserError, load_graph, places_of

if TYPE_CHECKING:
    from cortex.graph import Node
    from cortex.store import Prepared
    from cortex.tokenizer import Tokenizer


def presets(arguments: argparse.Namespace) -> int:
    """List the presets."""
    from cortex.presets import PRESETS

    if arguments.json:
        for name, settings in PRESETS.items():
            print_json({"preset": name, **settings})
        return OK
    columns = list(next(iter(PRESETS.values())))
    print_table(["preset", *columns], [[name, *settings.values()] for name, settings in PRESETS.items()])
    return OK


def kinds(arguments: argparse.Namespace) -> int:
    """List the node kinds."""
    from cortex.describe import describe_kinds, reference

    if arguments.markdown:
        print(reference(), end="")
        return OK
    for kind in describe_kinds():
        if arguments.json:
            print_json(kind)
            continue
        print(f"{kind['kind']}  ({kind['role']})  {kind['shape']}\n    {kind['help']}")
        for param in kind["params"]:
            print(f"    {param['name']} = {param['default']}: {param['help']} ({param['expected']})")
    return OK


def check(arguments: argparse.Namespace) -> int:
    """List every fault of a graph, or its shapes and parameters."""
    from cortex import data, graph_source
    from cortex.advice import advice
    from cortex.builder import plan
    from cortex.checks import Issue
    from cortex.corpus import CorpusError
    from cortex.describe import describe_issue, describe_plan
    from cortex.forecast import describe_forecast, forecast, in_a_line, verdict
    from cortex.honest import honesty
    from cortex.honest import issues as leaks
    from cortex.references import in_words, quick_references
    from cortex.room import room
    from cortex.run_length import counts, run_steps

    try:
        graph = load_graph(arguments)
    except GraphError as error:
        if not arguments.json:
            raise
        faults = [describe_issue(Issue(None, None, problem)) for problem in error.problems]
        print_json({"ok": False, "issues": faults})
        return USER_ERROR
    planned = plan(graph)
    node = graph_source.source_node(graph)
    found: list[Issue] = []
    references, prepared, notes = None, None, []
    if node is not None and not planned.issues_of(node.id):
        try:
            prepared = data.lookup(node, places_of(arguments).store)
            if prepared:
                planned = plan(graph, *prepared.sizes)
                short = data.too_short(node, prepared)
                found += [Issue(node.id, "seq_len", short)] if short else []
                references = quick_references(prepared) if prepared.task == "Text" else None
                notes = _notes(prepared, node)
            else:
                data.read_through(node)
        except CorpusError as error:
            found.append(Issue(node.id, None, str(error).removeprefix(f"{node.id}: ")))
    tried = honesty(planned) if arguments.honest and not planned.issues else None
    issues = (*planned.issues, *found, *(leaks(tried) if tried else ()))
    faults = [describe_issue(issue) for issue in issues]
    expected = forecast(planned, *counts(prepared)) if prepared else None
    has = room(places_of(arguments).runs)
    lacking = [] if faults else advice(planned, run_steps(planned, prepared) if prepared else None)
    if arguments.json:
        row = {"ok": not faults, **describe_plan(planned), "issues": faults, "honest": tried.ok if tried else None}
        row["advice"] = [{"node": found.node, "message": found.message, "edit": found.label} for found in lacking]
        row |= {"references": vars(references) if references else None, "forecast": describe_forecast(expected, has, planned)}
        print_json(row)
        return USER_ERROR if faults else OK
    if faults:
        raise UserError("\n".join(map(str, issues)))
    rows = [[row["id"], row["kind"], row["shape"], known(row["parameters"])] for row in describe_plan(planned)["nodes"]]
    print_table(["node", "kind", "shape", "parameters"], rows)
    vocabulary = f"{planned.vocabulary:,}" if planned.vocabulary else "not known before the data is prepared"
    print(f"parameters {known(planned.total)}, vocabulary {vocabulary}; no fault{f', {tried}' if tried else ''}")
    for hint in lacking:
        print(f"{hint.node}: {hint.message}; {hint.label[0].lower()}{hint.label[1:]}")
    if expected:
        print(in_a_line(expected, verdict(expected, has, planned)))
    if references:
        print(in_words(references))
    for note in notes:
        print(note)
    return OK


def _notes(prepared: Prepared, node: Node) -> list[str]:
    """What has to be said of the rows of a task."""
    from cortex import data, graph_source

    if prepared.task == "Text":
        return []
    rows = f"{prepared.row_count('train'):,} training rows, {prepared.row_count('validation'):,} for validation"
    said = start_notes(
        {
            "cut_rows": data.cut_rows(prepared, graph_source.source_of(node).seq_len),
            "unseen_labels": prepared.meta["unseen_labels"],
        }
    )
    return [rows + (f", labels {', '.join(prepared.labels)}" if prepared.labels else ""), *said]


def evaluate(arguments: argparse.Namespace) -> int:
    """Loss and perplexity of a run's weights over a split."""
    from cortex.judge import evaluate_run

    run = find_run(arguments.run, places_of(arguments).runs)
    found = evaluate_run(run, places_of(arguments).store, arguments.split, arguments.checkpoint)
    if arguments.json:
        print_json({"run": run.id, **found})
        return OK
    told = [f"loss {found['loss']:.4f} {found['unit']}"]
    if found["perplexity"] is not None:
        bits = f"{found['bits_per_byte']:.3f}" if found["bits_per_byte"] is not None else f"– ({found['why_not_bits']})"
        told += [f"perplexity {found['perplexity']:,.2f}", f"bits per byte {bits}"]
    print(
        f"{run.id}, checkpoint {found['checkpoint']} of step {found['step']:,}, {found['split']}: {', '.join(told)}, "
        f"{found['tokens']:,} {found['unit'].rpartition(' ')[2]}s"
    )
    for name, measured in found.get("losses", {}).items():
        metrics = "".join(f", {key} {share(value)}" for key, value in found["metrics"].get(name, {}).items())
        print(f"{name}: loss {measured:.4f}{metrics}")
    return OK


def generate(arguments: argparse.Namespace) -> int:
    """Text that follows a prompt."""
    from cortex.checkpoints import load_trained
    from cortex.judge import continue_text, write_for

    trained = load_trained(find_run(arguments.run, places_of(arguments).runs), arguments.checkpoint)
    if trained.task not in ("Text", "Pairs"):
        raise UserError(f"run {arguments.run} writes no text; ask it with predict" if trained.task else _LEARNS_NOTHING)
    unknown = _say_unknown(trained.tokenizer, arguments.prompt)
    if arguments.json:
        text = ""
    else:
        print(arguments.prompt + (" → " if trained.task == "Pairs" else ""), end="", flush=True)
    sampling = dict(
        max_tokens=arguments.max_tokens, temperature=arguments.temperature, top_k=arguments.top_k or 0,
        top_p=arguments.top_p, seed=arguments.seed,
    )  # fmt: skip
    write = write_for if trained.task == "Pairs" else continue_text
    for piece in _told(write(trained, arguments.prompt, **sampling)):
        if arguments.json:
            text += piece
        else:
            print(piece, end="", flush=True)
    if arguments.json:
        print_json({"prompt": arguments.prompt, "text": text, "unknown": unknown})
    else:
        print()
    return OK


_LEARNS_NOTHING = "the main loss of this run compares nothing that it could be asked for"


def _say_unknown(tokenizer: Tokenizer, text: str) -> list[str]:
    """The words or characters that the vocabulary lacks, said where there are any."""
    unknown = tokenizer.unknown(text)
    if unknown:
        print(f"not in the vocabulary, read as <unk>: {', '.join(unknown)}", file=sys.stderr)
    return unknown


def _told(pieces: Iterator[str]) -> Iterator[str]:
    """The pieces; UserError where the text cannot be read as a whole."""
    from cortex.answers import AnswerError

    try:
        yield from pieces
    except AnswerError as error:
        raise UserError(f"--prompt: {error}") from None


def predict(arguments: argparse.Namespace) -> int:
    """The class of a text, a tag for each of its words, or what stands in its gaps."""
    from cortex.answers import AnswerError, ask
    from cortex.checkpoints import load_trained

    trained = load_trained(find_run(arguments.run, places_of(arguments).runs), arguments.checkpoint)
    if trained.task is None:
        raise UserError(_LEARNS_NOTHING)
    unknown = _say_unknown(trained.tokenizer, arguments.text.replace("<mask>", " "))
    try:
        answers = ask(trained, arguments.text)
    except AnswerError as error:
        raise UserError(f"--text: {error}") from None
    if arguments.json:
        rows = [{"piece": answer.piece, "choices": [list(choice) for choice in answer.choices]} for answer in answers]
        print_json({"text": arguments.text, "task": trained.task, "answers": rows, "unknown": unknown})
        return OK
    if trained.task == "Tagged":
        print_table(["word", "tag", "probability"], [[a.piece, a.best, share(a.choices[0][1])] for a in answers])
        return OK
    for answer in answers:
        print_table([answer.piece, "probability"], [[name, share(value)] for name, value in answer.choices])
    return OK


def guide(arguments: argparse.Namespace) -> int:
    """The guide as Markdown."""
    from cortex.guide import as_markdown, read

    print(as_markdown(read(arguments.language)), end="")
    return OK

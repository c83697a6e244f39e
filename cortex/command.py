"""The verbs of the command line: arguments in, lines on standard output, an exit status out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex import __version__
from cortex.graph import Graph, GraphError, from_json
from cortex.places import Places, places
from cortex.report import Reporter, known, print_json, print_table, silence
from cortex.runs import ACTIVE, CHECKPOINTS, Run, RunError, create_run, find_run, list_runs, summary
from cortex.units import count, duration, loss, perplexity

if TYPE_CHECKING:
    from cortex.data import Prepared
    from cortex.graph import Node

OK, FAILED, USER_ERROR, INTERRUPTED = 0, 1, 2, 130


class UserError(ValueError):
    """A mistake of the user's; its text is the line that they read."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise UserError(f"{self.prog}: {message}; see {self.prog} --help")


def main(argv: list[str]) -> int:
    """Run one verb; its exit status comes out."""
    try:
        _refuse_broken_text(argv)
        arguments = _parser().parse_args(argv)
        return arguments.verb(arguments)
    except (UserError, RunError, GraphError) as error:
        return _say(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        silence()
        return OK
    except OSError as error:
        return _say(f"{error.filename2 or error.filename or 'standard output'}: {error.strerror or error}")


def _refuse_broken_text(argv: list[str]) -> None:
    for text in argv:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UserError(f"argument {text!a}: not UTF-8; expected UTF-8 text") from None


def _parser() -> _Parser:
    parser = _Parser(prog="python -m cortex", description="Design, train, compare and understand GPT-style language models.")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)

    def verb(
        name: str,
        run: Callable[[argparse.Namespace], int],
        help: str,
        *,
        json_lines: bool = True,
        takes_runs: bool = False,
    ) -> _Parser:
        added = verbs.add_parser(name, help=help, description=help)
        added.set_defaults(verb=run)
        if json_lines:
            added.add_argument(
                "--json", action="store_true", help="one JSON object a line on standard output, nothing else there"
            )
        if takes_runs:
            added.add_argument("--runs", metavar="DIR", help="the folder of all runs (default: runs)")
        return added

    def takes_graph(added: _Parser) -> None:
        added.add_argument("graph", nargs="?", metavar="GRAPH.json", help="a graph document")
        added.add_argument("--preset", help="small, medium or large instead of a document")
        example = "training.lr=3e-4, nodes.data.seq_len=128, model.embedding_dim=256; may be repeated"
        added.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help=example)

    verb("presets", _presets, "List the presets.")
    added = verb("kinds", _kinds, "List the node kinds and their parameters.")
    added.add_argument("--markdown", action="store_true", help="the node reference page")
    takes_graph(verb("check", _check, "List every fault of a graph, or its shapes and parameters."))
    added = verb("train", _train, "Train a graph, or start a run that was created.", takes_runs=True)
    takes_graph(added)
    added.add_argument("--name", help="name of the run (default: that of the graph)")
    added.add_argument("--max-steps", type=_positive, metavar="N", help="end after N steps; changes nothing else")
    text = verb("data", _data_prepare, "Tokenise the text of a graph beforehand.", json_lines=False)
    text.add_argument("what", choices=("prepare",))
    text.add_argument("graph", metavar="GRAPH.json", help="a graph document")
    added = verb("stop", _stop, "Ask a run to stop; it keeps its best and its last weights.", json_lines=False, takes_runs=True)
    added.add_argument("run", metavar="RUN", help="a run's name or directory")
    verb("runs", _runs, "List the runs.", takes_runs=True)
    added = verb("evaluate", _evaluate, "Loss and perplexity of a run's weights over a whole split.", takes_runs=True)
    added.add_argument("run", metavar="RUN", help="a run's name or directory")
    added.add_argument("--split", choices=("validation", "test"), default="validation")
    added.add_argument("--checkpoint", choices=CHECKPOINTS, default="best")
    added = verb("generate", _generate, "Text that follows a prompt.", takes_runs=True)
    added.add_argument("run", metavar="RUN", help="a run's name or directory")
    added.add_argument("--prompt", required=True, metavar="TEXT")
    added.add_argument("--max-tokens", type=_positive, default=100, metavar="N")
    added.add_argument(
        "--temperature", type=_between(0, 100), default=0.8, metavar="T", help="0 takes the likeliest token each time"
    )
    added.add_argument("--top-k", type=_positive, default=None, metavar="K")
    added.add_argument("--top-p", type=_between(0, 1), default=1.0, metavar="P")
    added.add_argument("--seed", type=_seed, default=1, metavar="S")
    added.add_argument("--checkpoint", choices=CHECKPOINTS, default="best")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed, a whole number from 0 to 2^63 - 1")
    return int(text)


def _between(low: float, high: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low} to {high}")
        return value

    return number


# Verbs. torch is imported where it is needed, so that the others answer at once.


def _presets(arguments: argparse.Namespace) -> int:
    from cortex.presets import PRESETS

    if arguments.json:
        for name, settings in PRESETS.items():
            print_json({"preset": name, **settings})
        return OK
    columns = list(next(iter(PRESETS.values())))
    print_table(["preset", *columns], [[name, *settings.values()] for name, settings in PRESETS.items()])
    return OK


def _kinds(arguments: argparse.Namespace) -> int:
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


def _check(arguments: argparse.Namespace) -> int:
    from cortex import data
    from cortex.builder import plan
    from cortex.checks import Issue
    from cortex.corpus import CorpusError
    from cortex.describe import describe_issue, describe_plan

    try:
        graph = _load_graph(arguments)
    except GraphError as error:
        if not arguments.json:
            raise
        faults = [describe_issue(Issue(None, None, problem)) for problem in error.problems]
        print_json({"ok": False, "issues": faults})
        return USER_ERROR
    planned = plan(graph)
    node = data.source_node(graph)
    found: list[Issue] = []
    if node is not None and not planned.issues_of(node.id):
        try:
            prepared = data.lookup(node, _places(arguments).store)
            if prepared:
                planned = plan(graph, prepared.vocab_size)
                short = data.too_short(node, prepared)
                found += [Issue(node.id, "seq_len", short)] if short else []
            else:
                data.read_through(node)
        except CorpusError as error:
            found.append(Issue(node.id, None, str(error).removeprefix(f"{node.id}: ")))
    issues = (*planned.issues, *found)
    faults = [describe_issue(issue) for issue in issues]
    if arguments.json:
        print_json({"ok": not faults, **describe_plan(planned), "issues": faults})
        return USER_ERROR if faults else OK
    if faults:
        raise UserError("\n".join(map(str, issues)))
    rows = [[row["id"], row["kind"], row["shape"], known(row["parameters"])] for row in describe_plan(planned)["nodes"]]
    print_table(["node", "kind", "shape", "parameters"], rows)
    vocabulary = f"{planned.vocabulary:,}" if planned.vocabulary else "not known before the data is prepared"
    print(f"parameters {known(planned.total)}, vocabulary {vocabulary}; no fault")
    return OK


def _train(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.graph) if arguments.graph else None
    if folder and os.path.isfile(folder / "run.json"):
        return _start_created(arguments, Run(folder.absolute()))
    from cortex import data
    from cortex.builder import plan, train_config
    from cortex.worker import work

    graph, where = _load_graph(arguments), _places(arguments)
    _refuse(plan(graph).issues)
    _check_device(graph)
    node = data.source_node(graph)
    prepared = _prepared(node, where, _Told(sys.stderr.isatty()))
    _refuse(plan(graph, prepared.vocab_size).issues)
    short = data.too_short(node, prepared)
    if short:
        raise UserError(f"{node.id}: {short}; set seq_len to at most {prepared.count('train')}, or give a longer text")
    run = create_run(
        where.runs,
        graph,
        fingerprint=prepared.fingerprint,
        training=asdict(train_config(graph)),
        name=arguments.name,
        max_steps=arguments.max_steps,
    )
    if arguments.json:
        print_json({"event": "run", "run": run.id, "directory": str(run.path)})
    else:
        print(f"run {run.path}", flush=True)
    reporter = Reporter(arguments.json)
    state = work(run, where.store, on_event=reporter)
    return _ended(arguments, run, state, reporter)


def _data_prepare(arguments: argparse.Namespace) -> int:
    from cortex import data
    from cortex.builder import plan

    graph = from_json(_read(Path(arguments.graph)), arguments.graph)
    node = data.source_node(graph)
    if node is None:
        raise UserError(f"{arguments.graph}: expected a graph with one data source")
    _refuse(tuple(plan(graph).issues_of(node.id)))
    prepared = _prepared(node, _places(arguments), _Told(True))
    print(f"{node.kind}: vocabulary {prepared.vocab_size:,}, {prepared.count('train'):,} training tokens, in {prepared.path}")
    return OK


class _Told:
    """Says what is going on with the data, each thing once, where somebody reads along."""

    def __init__(self, reads_along: bool) -> None:
        self._said = "" if reads_along else None

    def __call__(self, what: str, share: float | None) -> None:
        if self._said is not None and what != self._said:
            self._said = what
            print(what, file=sys.stderr, flush=True)


def _check_device(graph: Graph) -> None:
    from cortex.builder import train_config
    from cortex.config import TrainingError
    from cortex.device import pick_device

    try:
        pick_device(train_config(graph).device)
    except TrainingError as error:
        raise UserError(str(error)) from None


def _prepared(node: Node, where: Places, progress: Callable[[str, float | None], None]) -> Prepared:
    from cortex import data
    from cortex.corpus import CorpusError

    try:
        return data.prepare(node, where.store, progress)
    except CorpusError as error:
        raise UserError(_at(node.id, str(error))) from None
    except OSError as error:
        raise UserError(f"{error.filename or where.store}: {error.strerror}; the prepared text needs room there") from None


def _start_created(arguments: argparse.Namespace, run: Run) -> int:
    """Take up a run that a page has created; the same process from then on."""
    if run.state() != "starting" or run.status().get("pid") is not None:
        raise UserError(f"run {run.id} is {run.state()}; only a run that was just created can be started")
    if arguments.preset or arguments.settings or arguments.name or arguments.max_steps:
        raise UserError(
            f"run {run.id} was created with its settings; --preset, --set, --name and --max-steps do not go with it"
        )
    from cortex.status import Status

    status = Status(run)
    from cortex.worker import work

    reporter = Reporter(arguments.json)
    state = work(run, _places(arguments).store, status, on_event=reporter)
    return _ended(arguments, run, state, reporter)


def _ended(arguments: argparse.Namespace, run: Run, state: str, reporter: Reporter) -> int:
    reporter.close()
    row = summary(run)
    if arguments.json:
        print_json({"event": "summary", **row})
    elif row["best_loss"] is not None:
        print(
            f"{state} after {row['step']:,} steps: best validation loss {loss(row['best_loss'])}, "
            f"perplexity {perplexity(row['best_perplexity'])} at step {row['best_step']:,}"
        )
    if state == "failed":
        print(f"run {run.id} failed: {row['error']}", file=sys.stderr)
    return FAILED if state == "failed" else OK


def _stop(arguments: argparse.Namespace) -> int:
    run = find_run(arguments.run, _places(arguments).runs)
    state = run.state()
    if state not in ACTIVE:
        raise UserError(f"run {run.id} is {state}; there is nothing to stop")
    run.request("stop")
    print(f"asked run {run.id} to stop; it keeps its best and its last weights")
    return OK


def _runs(arguments: argparse.Namespace) -> int:
    root = _places(arguments).runs
    rows = [summary(run) for run in list_runs(root)]
    if arguments.json:
        for row in rows:
            print_json(row)
        return OK
    if not rows:
        print(f"no runs in {root}; python -m cortex train --preset small starts one")
        return OK
    print_table(
        ["run", "state", "step", "parameters", "best loss", "best perplexity", "at step", "time"],
        [
            [row["run"], row["state"], known(row["step"]), count(row["parameters"]), loss(row["best_loss"]),
             perplexity(row["best_perplexity"]), known(row["best_step"]), duration(row["elapsed"])]
            for row in rows
        ],
    )  # fmt: skip
    return OK


def _evaluate(arguments: argparse.Namespace) -> int:
    from cortex.judge import evaluate_run

    run = find_run(arguments.run, _places(arguments).runs)
    found = evaluate_run(run, _places(arguments).store, arguments.split, arguments.checkpoint)
    if arguments.json:
        print_json({"run": run.id, **found})
        return OK
    bits = f"{found['bits_per_byte']:.3f}" if found["bits_per_byte"] is not None else f"– ({found['why_not_bits']})"
    print(
        f"{run.id}, checkpoint {found['checkpoint']} of step {found['step']:,}, {found['split']}: "
        f"loss {found['loss']:.4f} nats per token, perplexity {found['perplexity']:,.2f}, bits per byte {bits}, "
        f"{found['tokens']:,} tokens"
    )
    return OK


def _generate(arguments: argparse.Namespace) -> int:
    from cortex.checkpoints import load_trained
    from cortex.judge import continue_text

    trained = load_trained(find_run(arguments.run, _places(arguments).runs), arguments.checkpoint)
    unknown = trained.tokenizer.unknown(arguments.prompt)
    if unknown:
        print(f"not in the vocabulary, read as <unk>: {', '.join(unknown)}", file=sys.stderr)
    if arguments.json:
        text = ""
    else:
        print(arguments.prompt, end="", flush=True)
    for piece in continue_text(
        trained, arguments.prompt, max_tokens=arguments.max_tokens, temperature=arguments.temperature,
        top_k=arguments.top_k or 0, top_p=arguments.top_p, seed=arguments.seed,
    ):  # fmt: skip
        if arguments.json:
            text += piece
        else:
            print(piece, end="", flush=True)
    if arguments.json:
        print_json({"prompt": arguments.prompt, "text": text, "unknown": unknown})
    else:
        print()
    return OK


# Graphs and settings


def _load_graph(arguments: argparse.Namespace) -> Graph:
    from cortex.edit import SettingError, apply_setting
    from cortex.presets import PRESETS, preset

    if bool(arguments.graph) == bool(arguments.preset):
        raise UserError("give either a GRAPH.json or --preset small, medium or large")
    if arguments.preset:
        if arguments.preset not in PRESETS:
            raise UserError(f"--preset {arguments.preset}: expected one of {', '.join(PRESETS)}")
        graph = preset(arguments.preset)
    else:
        path = Path(arguments.graph)
        graph = Run(path.parent).graph() if path.name == "run.json" else from_json(_read(path), arguments.graph)
    for text in arguments.settings:
        try:
            graph = apply_setting(graph, text)
        except SettingError as error:
            raise UserError(f"--set {text}: {error}") from None
    return graph


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, expected a graph document") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start:,}, expected a graph document as JSON") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _places(arguments: argparse.Namespace) -> Places:
    return places(runs=getattr(arguments, "runs", None))


def _refuse(issues: tuple[Any, ...]) -> None:
    if issues:
        raise UserError("\n".join(map(str, issues)))


# Faults


def _at(node: str, message: str) -> str:
    return message if message.startswith(f"{node}:") else f"{node}: {message}"


def _say(text: str) -> int:
    print(text, file=sys.stderr)
    return USER_ERROR

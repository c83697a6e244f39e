"""The verbs of the command line and the arguments of each."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from cortex import __version__
from cortex.verbs import asking, data, look, runs, templates, training
from cortex.verbs.common import UserError
from cortex.verbs.compare import compare
from cortex.verbs.export import export
from cortex.verbs.imports import import_document
from cortex.verbs.lr_range import lr_range
from cortex.verbs.measure import measure
from cortex.verbs.metrics import metrics
from cortex.verbs.numbers import between, positive, seed
from cortex.verbs.probe import probe
from cortex.verbs.report import AXES as REPORT_AXES
from cortex.verbs.report import report
from cortex.verbs.sweep import add_options, sweep
from cortex.verbs.sweep_away import add_away_options
from cortex.verbs.sweeps import sweeps


class Parser(argparse.ArgumentParser):
    """One whose faults are the user's, in one line."""

    def error(self, message: str) -> None:
        raise UserError(f"{self.prog}: {message}; see {self.prog} --help")


class _Verbs:
    """The verbs of a parser, or those below one of its verbs."""

    def __init__(self, parser: Parser, metavar: str) -> None:
        self._into = parser.add_subparsers(metavar=metavar, required=True, parser_class=Parser)

    def verb(
        self,
        name: str,
        run: Callable[[argparse.Namespace], int],
        help: str,
        *,
        json_lines: bool = True,
        takes_runs: bool = False,
    ) -> Parser:
        """The parser of a verb that does `run`."""
        added = self._into.add_parser(name, help=help, description=help)
        added.set_defaults(verb=run)
        if json_lines:
            added.add_argument(
                "--json", action="store_true", help="one JSON object a line on standard output, nothing else there"
            )
        if takes_runs:
            added.add_argument("--runs", metavar="DIR", help="the folder of all runs (default: runs)")
        return added

    def below(self, name: str, help: str) -> _Verbs:
        """The verbs below one that does nothing by itself."""
        return _Verbs(self._into.add_parser(name, help=help), "WHAT")


def parser() -> Parser:
    """The parser of the whole command line; `verb` of what it gives does what was asked."""
    made = Parser(prog="python -m cortex", description="Design, train, compare and understand GPT-style language models.")
    made.add_argument("--version", action="version", version=__version__)
    verbs = _Verbs(made, "VERB")
    for add in (_graphs, _training, _export, _data, _templates, _asking, _runs, _models):
        add(verbs)
    return made


def _graphs(verbs: _Verbs) -> None:
    verbs.verb("presets", look.presets, "List the presets.")
    added = verbs.verb("guide", look.guide, "The guide as Markdown.", json_lines=False)
    added.add_argument("--language", choices=("en", "zh"), default="en")
    added = verbs.verb("kinds", look.kinds, "List the node kinds and their parameters.")
    added.add_argument("--markdown", action="store_true", help="the node reference page")
    added = verbs.verb(
        "check", look.check, "List every fault of a graph, or its shapes, parameters and what training will take."
    )
    _takes_graph(added)
    trial = "try out on a small copy of the model that no score hangs on a later token (on unless --no-honest)"
    added.add_argument("--honest", action=argparse.BooleanOptionalAction, default=True, help=trial)
    _takes_graph(
        verbs.verb("measure", measure, "Prepare a graph's text: its sizes, duplicates, perplexities of counting models.")
    )
    added = verbs.verb("probe", probe, "Train a few steps and tell speed, memory, and minutes of an epoch and of the run.")
    _takes_graph(added)
    added.add_argument("--steps", type=positive, metavar="N", help="steps to measure (default: about 6 s, at least 3)")
    added = verbs.verb("import", import_document, "Translate a document of the Flask original (LiteGraph JSON), with a report.")
    added.add_argument("file", metavar="FILE.json", help="the document; subgraphs that it refers to are looked for beside it")
    added.add_argument("-o", "--output", metavar="FILE", help="where to write the graph (default: standard output)")


def _training(verbs: _Verbs) -> None:
    added = verbs.verb("train", training.train, "Train a graph, or start a run that was created.", takes_runs=True)
    _takes_graph(added)
    added.add_argument("--name", help="name of the run (default: that of the graph)")
    added.add_argument("--max-steps", type=positive, metavar="N", help="end after N steps; changes nothing else")
    budget = "time budget: the run and its schedule are shortened to fit; the same as --set training.max_minutes=M"
    added.add_argument("--max-minutes", type=between(0.01, 1e6), metavar="M", help=budget)
    added.add_argument("--seeds", type=positive, metavar="N", help="N runs that differ in their seed, one after the other")
    _takes_now(added)
    added = verbs.verb(
        "resume", training.resume, "Go on with a run that was interrupted, paused, stopped or failed.", takes_runs=True
    )
    added.add_argument("run", metavar="RUN", help="a run's name or directory")
    _takes_now(added)
    added = verbs.verb("sweep", sweep, "Try settings of a graph, run after run; resume or stop a sweep.", takes_runs=True)
    _takes_graph(added)
    add_options(added)
    added = verbs.verb("sweeps", sweeps, "List the sweeps, or the trials of one; archive or delete one.", takes_runs=True)
    added.add_argument("sweep", nargs="?", metavar="SWEEP", help="a sweep's id or name")
    add_away_options(added)
    added = verbs.verb("extend", training.extend, "Train further, in a new run, from where a run ended.", takes_runs=True)
    added.add_argument("run", metavar="RUN", help="a run's name or directory")
    added.add_argument("--epochs", type=positive, metavar="N")
    added.add_argument("--steps", type=positive, metavar="N")
    added.add_argument("--name", help="name of the new run")
    _takes_now(added)
    added = verbs.verb("lr-range", lr_range, "Loss against a growing learning rate, and a rate to start with.")
    _takes_graph(added)
    added.add_argument("--steps", type=positive, metavar="N", help="at most so many steps (default: 100)")
    added.add_argument("--low", type=between(1e-12, 100), metavar="LR", help="first rate (default: 1e-6)")
    added.add_argument("--high", type=between(1e-12, 100), metavar="LR", help="last rate (default: 1)")


def _export(verbs: _Verbs) -> None:
    added = verbs.verb("export", export, "A graph or a run as one stand-alone PyTorch script.", takes_runs=True)
    _takes_graph(added, "GRAPH.json|RUN", "a graph document, or a run's name or directory")
    added.add_argument("--format", choices=("script",), default="script")
    added.add_argument("-o", "--output", metavar="FILE", help="where to write it (default: standard output)")
    proof = "train in the app and as the script, and lay the losses side by side"
    added.add_argument("--prove", action="store_true", help=proof)
    added.add_argument("--steps", type=positive, default=20, metavar="N", help="steps of that proof (default: 20)")


def _data(verbs: _Verbs) -> None:
    kept = verbs.below("data", "Prepared texts: list, prepare, show, remove.")
    kept.verb("list", data.list_sets, "List the prepared texts and what they take on disk.", takes_runs=True)
    _takes_graph(kept.verb("prepare", data.prepare, "Fetch and tokenise the text of a graph; twice does it once."))
    for name, run, help, json_lines in (
        ("show", data.show, "Everything known of a prepared text.", True),
        ("remove", data.remove, "Take a prepared text off the disk; it can be prepared again.", False),
    ):
        added = kept.verb(name, run, help, json_lines=json_lines, takes_runs=True)
        added.add_argument("name", metavar="NAME", help="its name in the list, the first letters of it, or its source")


def _templates(verbs: _Verbs) -> None:
    made = verbs.below("template", "Groups of nodes as one card: list, make, put-back, keep, add.")
    made.verb("list", templates.kept, "List the templates that are kept.")
    for name, run, help, second in (
        ("make", templates.make, "Make one card of several nodes, as a template of this name.", "name"),
        ("put-back", templates.put_back, "Put the nodes of a card back.", "card"),
        ("keep", templates.keep, "Keep a template of a document for other documents.", "name"),
        ("add", templates.add, "Add a card of a template, one that is kept or the document's own.", "name"),
    ):
        added = made.verb(name, run, help, json_lines=False)
        added.add_argument("graph", metavar="GRAPH.json", help="a graph document")
        added.add_argument(
            second, metavar=second.upper(), help="the id of the card" if second == "card" else "the template's name"
        )
        if name == "make":
            added.add_argument("--nodes", required=True, metavar="A,B", help="ids of the nodes, with commas between them")
        if name != "keep":
            added.add_argument("-o", "--output", metavar="FILE", help="where to write the document (default: in its own place)")


def _asking(verbs: _Verbs) -> None:
    for name, run, help in (
        ("stop", asking.stop, "Ask a run to stop; it keeps its best and its last weights."),
        ("pause", asking.pause, "Ask a run to pause: it saves its state and frees its memory."),
        ("save", asking.save, "Ask a run to save a checkpoint now."),
    ):
        added = verbs.verb(name, run, help, json_lines=False, takes_runs=True)
        added.add_argument("run", metavar="RUN", help="a run's name or directory")


def _runs(verbs: _Verbs) -> None:
    added = verbs.verb("runs", runs.runs, "List the runs.", takes_runs=True)
    asks = "words, state:finished, tag:x, lr<1e-3, best_perplexity<=120; together, with or, not and brackets"
    added.add_argument("--filter", metavar="EXPR", help=asks)
    added.add_argument(
        "--sort", metavar="KEY", help="a column, the best, newest or largest first: best_perplexity, training.lr"
    )
    added.add_argument("--reverse", action="store_true", help="the other way round")
    added.add_argument("--columns", metavar="KEYS", help="columns with commas between: name,state,best_loss,lr")
    added.add_argument("--archived", action="store_true", help="list archived runs too")
    added = verbs.verb("label", runs.label, "Name, note, tag, star or archive a run.", takes_runs=True)
    added.add_argument("run", metavar="RUN", help="a run's name or directory")
    added.add_argument("--name", help="a new name; an empty one gives it back the name that it was started with")
    added.add_argument("--note", help="a line about it; an empty one takes it away")
    for name, help in (("tag", "a tag to add"), ("untag", "a tag to take away")):
        added.add_argument(f"--{name}", action="append", default=[], metavar="TAG", help=f"{help}; may be repeated")
    for name in ("star", "unstar", "archive", "unarchive"):
        added.add_argument(f"--{name}", action="store_true")
    added = verbs.verb("delete", runs.delete, "Take runs off the disk, after asking.", json_lines=False, takes_runs=True)
    added.add_argument("run", metavar="RUN", nargs="+", help="a run's name or directory")
    added.add_argument("--yes", action="store_true", help="do not ask")
    added = verbs.verb("compare", compare, "What differs between runs: settings, graphs, results.", takes_runs=True)
    added.add_argument("run", nargs="+", metavar="RUN", help="the first run is what the others are measured against")
    added.add_argument("--all", action="store_true", help="every setting, not only those that differ")
    added = verbs.verb("report", report, "One HTML file about runs: charts, comparison, graphs, samples.", takes_runs=True)
    added.add_argument("run", nargs="+", metavar="RUN", help="a run's name or directory")
    added.add_argument("-o", "--output", required=True, metavar="FILE.html", help="where to write it")
    added.add_argument("--axis", choices=REPORT_AXES, default="step", help="what the charts are drawn over (default: step)")
    added = verbs.verb("metrics", metrics, "The points of runs as a table, or for TensorBoard or Trackio.", takes_runs=True)
    added.add_argument("run", nargs="+", metavar="RUN", help="a run's name or directory")
    added.add_argument("-o", "--output", metavar="FILE", help="FILE.csv or FILE.parquet (default: CSV on standard output)")
    added.add_argument("--tensorboard", metavar="DIR", help="event files, a folder a run; needs the package tensorboard")
    added.add_argument("--trackio", metavar="PROJECT", help="into this project of Trackio; needs the package trackio")


def _models(verbs: _Verbs) -> None:
    added = verbs.verb("evaluate", look.evaluate, "Loss and perplexity of a run's weights over a whole split.", takes_runs=True)
    added.add_argument("run", metavar="RUN", help="a run's name or directory")
    added.add_argument("--split", choices=("validation", "test"), default="validation")
    added.add_argument("--checkpoint", default="best", metavar="NAME", help="best, last, or step-N where one was kept")
    added = verbs.verb(
        "predict", look.predict, "The class of a text, the tags of its words, or what fills its gaps.", takes_runs=True
    )
    added.add_argument("run", metavar="RUN", help="a run's name or directory")
    added.add_argument("--text", required=True, metavar="TEXT", help="a text; for a run of hidden tokens with <mask> in it")
    added.add_argument("--checkpoint", default="best", metavar="NAME", help="best, last, or step-N where one was kept")
    added = verbs.verb("generate", look.generate, "Text that follows a prompt, or belongs to a text of Pairs.", takes_runs=True)
    added.add_argument("run", metavar="RUN", help="a run's name or directory")
    added.add_argument("--prompt", required=True, metavar="TEXT")
    added.add_argument("--max-tokens", type=positive, default=100, metavar="N")
    added.add_argument(
        "--temperature", type=between(0, 100), default=0.8, metavar="T", help="0 takes the likeliest token each time"
    )
    added.add_argument("--top-k", type=positive, default=None, metavar="K")
    added.add_argument("--top-p", type=between(0, 1), default=1.0, metavar="P")
    added.add_argument("--seed", type=seed, default=1, metavar="S")
    added.add_argument("--checkpoint", default="best", metavar="NAME", help="best, last, or step-N where one was kept")


def _takes_graph(added: Parser, metavar: str = "GRAPH.json", help: str = "a graph document") -> None:
    added.add_argument("graph", nargs="?", metavar=metavar, help=help)
    added.add_argument("--preset", help="small, medium or large instead of a document")
    example = "training.lr=3e-4, nodes.data.seq_len=128, model.embedding_dim=256; may be repeated"
    added.add_argument("--recipe", help="guide or tuned: settings of graph and training, before those of --set")
    added.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help=example)


def _takes_now(added: Parser) -> None:
    added.add_argument("--now", action="store_true", help="do not wait for runs that are going on")

"""Shared by the tests: a made text, tiny graphs over it, and a home folder of their own."""

from __future__ import annotations

import functools
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# Before torch is loaded, here and in child processes: models this small only lose by a second thread.
os.environ["OMP_NUM_THREADS"] = "1"

from cortex.creating import create_run
from cortex.data import prepare
from cortex.graph import Edge, Graph, Node, to_json
from cortex.places import Places, places
from cortex.presets import preset
from cortex.runs import Run
from cortex.store import Prepared

PROJECT = Path(__file__).parents[1]
NOUNS = ("cat", "dog", "bird", "fish", "king", "queen", "tree", "river", "house", "star")
VERBS = ("sees", "likes", "finds", "hears", "follows")

MakeGraph = Callable[..., Graph]
MakeRun = Callable[..., Run]
Say = Callable[..., tuple[int, str, str]]


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="a process's start time is told by Linux alone")


def json_lines(text: str) -> list[dict[str, Any]]:
    """The objects of lines of JSON; what JSON has no word for fails the test."""
    return [json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON")) for line in text.splitlines()]


def made_lines(count: int = 400, seed: int = 1) -> list[str]:
    """Sentences of about twenty different words, the same for the same seed."""
    draw = random.Random(seed)
    return [f"the {draw.choice(NOUNS)} {draw.choice(VERBS)} the {draw.choice(NOUNS)} ." for _ in range(count)]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A file with the made text."""
    path = tmp_path / "text.txt"
    path.write_text("\n".join(made_lines()) + "\n")
    return path


@pytest.fixture
def make_graph(text: Path) -> MakeGraph:
    """A function that gives a tiny graph over the made text; `training` and `data` settings by keyword."""

    def make(data: dict[str, Any] | None = None, blocks: int = 1, **training: Any) -> Graph:
        return tiny_graph(text, data, blocks, **training)

    return make


def tiny_graph(path: Path, data: dict[str, Any] | None = None, blocks: int = 1, **training: Any) -> Graph:
    """Source, embedding, positions, blocks of width 8, norm, head and loss, over the text of that path."""
    nodes = [
        Node("data", "CustomData", {"path": str(path), "batch_size": 4, "seq_len": 8, **(data or {})}),
        Node("embedding", "Embedding", {"embedding_dim": 8}),
        Node("positions", "PositionalEncoding", {"max_len": 64, "dropout": 0.0}),
        *(Node(f"block_{n}", "GPTBlock", {"nhead": 2, "dim_feedforward": 16, "dropout": 0.1}) for n in range(1, blocks + 1)),
        Node("norm", "LayerNorm"),
        Node("head", "Linear"),
        Node("loss", "Loss"),
    ]
    edges = [Edge(before.id, after.id) for before, after in itertools.pairwise(nodes)]
    return Graph("tiny", tuple(nodes), tuple(edges), {"steps": 20, "eval_every": 10, "lr": 0.01, "device": "cpu", **training})


@pytest.fixture
def document(make_graph: MakeGraph, tmp_path: Path) -> str:
    """The path of a file with a tiny graph."""
    path = tmp_path / "graph.json"
    path.write_text(to_json(make_graph()))
    return str(path)


@pytest.fixture
def brief(make_graph: MakeGraph, tmp_path: Path) -> str:
    """The path of a file with a tiny graph that trains four steps."""
    path = tmp_path / "graph.json"
    path.write_text(to_json(make_graph(steps=4, eval_every=2, sample_tokens=0)))
    return str(path)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], home: Places) -> Say:
    """A function that runs the command line: exit status, standard output, standard error."""
    from cortex.command import main

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(arguments))
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """The folders below a home of this test's own."""
    monkeypatch.setenv("CORTEXNODUS_HOME", str(tmp_path / "home"))
    return places()


@pytest.fixture(scope="session", autouse=True)
def _components_are_looked_for_once() -> None:
    """Streamlit reads what every installed package says of itself when an AppTest first runs: that takes longer than a page."""
    if "streamlit" in sys.modules:
        from streamlit.components.v2 import manifest_scanner

        manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


@pytest.fixture(autouse=True)
def _nothing_counts_on() -> Iterator[None]:
    """A page counts what a training will take beside itself; that must not draw random numbers in the next test."""
    yield
    card = sys.modules.get("ui.forecast_card")
    if card:
        card._counter().submit(int).result()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of runs that is not there yet."""
    return tmp_path / "runs"


@pytest.fixture
def run(root: Path) -> Run:
    """A run that has just been created, of an empty graph."""
    return create_run(root, Graph("first"), fingerprint="f")


@pytest.fixture
def prepared(make_graph: MakeGraph, home: Places) -> Prepared:
    """The made text as word tokens."""
    return prepare(make_graph().node("data"), home.store)


def with_uploaded_text(graph: Graph, home: Places) -> Graph:
    """The graph with its text among the uploads, and prepared."""
    home.uploads.mkdir(parents=True)
    upload = home.uploads / "0123-cats.txt"
    upload.write_bytes(Path(graph.node("data").params["path"]).read_bytes())
    graph = graph.with_param("data", "path", str(upload))
    prepare(graph.node("data"), home.store)
    return graph


@pytest.fixture
def make_run(make_graph: MakeGraph, home: Places) -> MakeRun:
    """A function that creates a run whose data is prepared and which nobody has taken up."""

    def make(graph: Graph | None = None, **settings: Any) -> Run:
        graph = graph or make_graph()
        found = prepare(graph.node("data"), home.store)
        return create_run(home.runs, graph, fingerprint=found.fingerprint, **settings)

    return make


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished run named "tiny", for tests that only read."""
    from cortex.worker import work

    root = tmp_path_factory.mktemp("trained")
    path = root / "text.txt"
    path.write_text("\n".join(made_lines()) + "\n")
    where = places({"CORTEXNODUS_HOME": str(root)})
    graph = tiny_graph(path, {"test": 0.1}, steps=60, eval_every=30)
    found = prepare(graph.node("data"), where.store)
    run = create_run(where.runs, graph, fingerprint=found.fingerprint)
    assert work(run, where.store) == "finished", run.log_tail()
    return root


@pytest.fixture
def trained(trained_home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The finished run of `trained_home`, whose folders are now those of the application."""
    monkeypatch.setenv("CORTEXNODUS_HOME", str(trained_home))
    return Run(next((trained_home / "runs").iterdir()))


@pytest.fixture
def trained_here(home: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials of a sweep are trained in this process, which has torch, and one after the other."""
    from cortex.status import Status
    from cortex.sweep_driver import Driver
    from cortex.worker import work

    monkeypatch.delenv("CORTEXNODUS_SLOTS", raising=False)
    made = Driver.__init__

    def begin(run: Run) -> None:
        work(run, home.store, queued=True)

    def take_up(run: Run) -> None:
        work(run, home.store, Status(run, again=True), queued=True)

    def init(self: Any, sweep: Any, store: Path, **settings: Any) -> None:
        made(self, sweep, store, **{"begin": begin, "take_up": take_up, "look_seconds": 0.01, **settings})

    monkeypatch.setattr(Driver, "__init__", init)


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts Python with the project importable; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, home: Path | None = None) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "CORTEXNODUS_HOME": str(home or tmp_path / "home")}
        child = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(child)
        return child

    yield begin
    for child in started:
        if child.poll() is None:
            child.kill()
        with child:  # closes its pipes
            pass


@contextmanager
def disk_with_room_for(octets: int) -> Iterator[None]:
    """No file can grow past this size; the system refuses as it does on a full disk."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def shakespeare(home: Places, tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Shakespeare prepared once for all tests."""
    store = tmp_path_factory.getbasetemp() / "shakespeare-store"
    found = prepare(preset("small").node("data"), store)
    shutil.copytree(found.path, home.store / found.path.name)
    return home

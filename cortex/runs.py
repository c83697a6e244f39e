"""The run directory: created by whoever starts a run, filled by one worker, read by everybody else (docs/formats.md)."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cortex import __version__, labels
from cortex.graph import Graph, GraphError, from_document, to_document
from cortex.metrics import EventReader, Progress
from cortex.places import to_json, write_atomically

FORMAT, VERSION = "cortexnodus/run", 1
CHECKPOINTS = ("best", "last")  # and step-N, where keep_every kept one
REQUESTS = ("stop", "pause", "save")
ENDED = ("finished", "stopped", "failed", "paused")
ACTIVE = ("starting", "queued", "preparing", "running")
RESUMABLE = ("interrupted", "paused", "stopped", "failed")

# A run that nobody has taken up after this many seconds was never started, unless the process that will is known and lives:
# a worker claims its run before it loads torch.
_START_GRACE = 10.0
_HEARTBEAT_GRACE = 10.0


class RunError(ValueError):
    """No such run, or one that cannot be read or used: which, what was found, what to do."""


@dataclass(frozen=True)
class Run:
    """A run on disk. Reading it never changes it."""

    path: Path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    def record(self) -> dict[str, Any]:
        """run.json: what the run was started with. RunError when it is damaged or of a newer version."""
        record = self._object("run.json")
        if record.get("format") != FORMAT or record.get("version") != VERSION:
            newer = isinstance(record.get("version"), int) and record["version"] > VERSION and record.get("format") == FORMAT
            hint = f", but {record['version']}: a newer CortexNodus has made it" if newer else ""
            raise RunError(f'{self.path}: run.json is not of format "{FORMAT}" version {VERSION}{hint}')
        if not isinstance(record.get("graph"), dict) or not isinstance(record.get("data"), dict) or "name" not in record:
            raise RunError(f"{self.path}: run.json lacks name, graph or data")
        if not isinstance(record["name"], str):
            raise RunError(f"{self.path}: run.json name: found {type(record['name']).__name__}, expected text")
        return record

    def graph(self) -> Graph:
        """The document that the run was started with."""
        try:
            return from_document(self.record()["graph"], "run.json graph")
        except GraphError as error:
            raise RunError(f"{self.path}: {error}") from None

    def status(self) -> dict[str, Any]:
        """What the worker last wrote of itself; empty when it has written nothing readable."""
        try:
            return self._object("status.json")
        except RunError:
            return {}

    def _object(self, name: str) -> dict[str, Any]:
        try:
            text = (self.path / name).read_text(encoding="utf-8")
            found = json.loads(text)
        except FileNotFoundError:
            raise RunError(f"{self.path}: {name} cannot be read: it is missing") from None
        except UnicodeDecodeError as error:
            raise RunError(f"{self.path}: {name} cannot be read: not UTF-8 at byte {error.start:,}") from None
        except OSError as error:
            raise RunError(f"{self.path}: {name} cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            why = str(error) if text.strip() else "it is empty"
            raise RunError(f"{self.path}: {name} cannot be read: {why}") from None
        if not isinstance(found, dict):
            raise RunError(f"{self.path}: {name} cannot be read: found {type(found).__name__}, expected an object")
        return found

    def state(self, now: float | None = None, status: Mapping[str, Any] | None = None) -> str:
        """starting, queued, preparing, running, finished, stopped, paused, failed or interrupted; computed, never guessed.

        Args:
            status: what the worker wrote of itself, where the caller has read it already.
        """
        status, now = self.status() if status is None else status, time.time() if now is None else now
        state = status.get("state")
        alive = state in ACTIVE and worker_alive(status)
        resumed = self._resumed_at()
        if not alive and (now - resumed < _START_GRACE or (resumed and self._on_its_way())):
            return "starting"
        if state in ENDED:
            return state
        if status.get("pid") is None:
            soon = now - _seconds(status.get("heartbeat")) < _START_GRACE
            return "starting" if soon or self._on_its_way() else "interrupted"
        return state if alive else "interrupted"

    def _resumed_at(self) -> float:
        """When somebody last asked for a worker to take this run up again; the worker takes the mark away."""
        try:
            return os.stat(self.path / "requests" / "resume").st_mtime
        except OSError:
            return 0.0

    def expect(self, pid: int) -> None:
        """Note the process that will be this run's worker: on a busy machine it can take long to say so itself."""
        mark = {"pid": pid, "pid_started": process_started(pid), "heartbeat": time.time()}
        with contextlib.suppress(OSError):  # without the mark a slow start is called interrupted, and mended by its first word
            write_atomically(self.path / "requests" / "expected", to_json(mark), durable=False)

    def _on_its_way(self) -> bool:
        """Whether a worker was started that lives and has not spoken yet."""
        try:
            return worker_alive(self._object("requests/expected"))
        except RunError:
            return False

    def events(self) -> list[dict[str, Any]]:
        """Every whole event of metrics.jsonl in order; a torn or foreign line is passed over."""
        return EventReader(self.path / "metrics.jsonl").read()

    def checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / f"{name}.safetensors"

    def kept(self) -> list[str]:
        """The names of its checkpoints: best, last, then those kept for good in the order of their steps."""
        try:
            files = os.listdir(self.path / "checkpoints")
        except OSError:
            return []
        found = {name.removesuffix(".safetensors") for name in files if name.endswith(".safetensors")}
        steps = [name for name in found if re.fullmatch(r"step-[0-9]{1,18}", name)]
        return [*(name for name in CHECKPOINTS if name in found), *sorted(steps, key=lambda name: int(name[5:]))]

    def why_interrupted(self, status: Mapping[str, Any] | None = None) -> str:
        """What is known of the end of a worker that ended without a word."""
        status = self.status() if status is None else status
        before, now = status.get("oom_kills"), oom_kills()
        held = status.get("memory")
        if isinstance(before, int) and now is not None and now > before:
            size = f" (it held {held / 2**20:,.0f} MiB)" if isinstance(held, int) else ""
            return (
                "the system has killed a process for want of memory since this worker's last sign of life; if it was this one"
                f"{size}, try a smaller batch_size, seq_len or model, or accumulate with a smaller batch_size"
            )
        return "its worker was killed, or the machine was switched off"

    def request(self, what: str) -> None:
        """Ask the worker for something; it answers by doing it."""
        folder = self.path / "requests"
        folder.mkdir(exist_ok=True)
        write_atomically(folder / what, "")

    def requested(self, what: str) -> bool:
        return (self.path / "requests" / what).exists()

    def requests(self) -> set[str]:
        """All that is asked of the worker now."""
        try:
            return set(os.listdir(self.path / "requests"))
        except OSError:
            return set()

    def answer(self, what: str) -> None:
        """Take a request away, since it has been done."""
        (self.path / "requests" / what).unlink(missing_ok=True)

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of the worker's log."""
        try:
            with open(self.path / "log.txt", "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 200 * lines))
                return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def create_run(
    root: Path,
    graph: Graph,
    *,
    fingerprint: str,
    training: Mapping[str, Any] | None = None,
    name: str | None = None,
    max_steps: int | None = None,
    parent: str | None = None,
    group: str | None = None,
    sweep: Mapping[str, Any] | None = None,
    launcher: Mapping[str, Any] | None = None,
) -> Run:
    """A new run directory with run.json and a first status; whoever calls this starts a worker on it next.

    Args:
        training: every training setting with its value, also those that the graph leaves at their default.
        parent: the run that this one goes on from.
        group: a name shared by runs that differ in their seed alone.
        sweep: the `id` of the sweep that this run is a trial of, its number `trial`, and the `values` that it tries.
        launcher: the process that starts this run's workers again when they fail.
    """
    name = (name or graph.name).strip() or "run"
    created = datetime.now().astimezone()
    root.mkdir(parents=True, exist_ok=True)
    path = _new_folder(root, f"{created:%Y%m%d-%H%M%S}-{_slug(name)}")
    record = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "created": created.isoformat(timespec="seconds"),
        "order": time.time_ns(),
        "parent": parent,
        "group": group,
        "sweep": dict(sweep) if sweep else None,
        "launcher": dict(launcher) if launcher else None,
        "graph": to_document(graph),
        "training": dict(training or graph.training),
        "max_steps": max_steps,
        "data": {"fingerprint": fingerprint},
        "versions": _versions(),
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
    }
    try:
        (path / "checkpoints").mkdir()
        (path / "requests").mkdir()
        write_atomically(path / "status.json", to_json({"state": "starting", "pid": None, "heartbeat": time.time()}))
        # Last: a folder without run.json is not a run, so a reader never meets half of one.
        write_atomically(path / "run.json", to_json(record))
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return Run(path)


def list_runs(root: Path) -> list[Run]:
    """The runs below `root`, newest first: every folder that has a run.json, and what is left of one that has lost it."""
    try:
        with os.scandir(root) as entries:
            # A name that is not UTF-8 can stand in no JSON and on no page.
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.name.isprintable()]
    except OSError:
        return []
    return [Run(root / name) for name in sorted(names, reverse=True) if _is_listed(f"{root}/{name}")]


def _is_listed(path: str) -> bool:
    try:
        os.stat(f"{path}/run.json")
        return True
    except PermissionError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        # A run that is just being made has no events yet.
        return os.path.isfile(f"{path}/metrics.jsonl")
    except OSError:
        return False


def find_run(name: str, root: Path) -> Run:
    """The run of that directory, folder name, or name; RunError when there is none or more than one.

    A run that was renamed is found by its new name, and by its old one where no other has that.
    """
    for path in (root / name if _is_plain(name) else Path(name), Path(name)):
        if _is_run(path):
            return Run(path.absolute())
    runs = list_runs(root)
    named = [run for run in runs if summary_name(run) == name] or [run for run in runs if _started_as(run) == name]
    if len(named) > 1:
        raise RunError(f"run {name}: {len(named)} runs have this name; give one of {', '.join(run.id for run in named)}")
    if named:
        return named[0]
    have = f"there are {', '.join(run.id for run in runs[:5])}" + (" …" if len(runs) > 5 else "") if runs else "there are none"
    raise RunError(f"run {name}: not found in {root}; {have}")


def _is_run(path: Path) -> bool:
    try:
        return (path / "run.json").is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def summary_name(run: Run) -> str:
    """The name the user gave the run last; its folder's name where run.json cannot be read."""
    return labels.read(run).name or _started_as(run) or run.id


def _started_as(run: Run) -> str | None:
    try:
        return run.record()["name"].encode("utf-8", "replace").decode()
    except RunError:
        return None


SUMMARY = (
    "run", "name", "state", "created", "source", "task", "step", "steps", "last_step", "progress", "epoch", "tokens",
    "parameters", "vocabulary", "train_loss", "tokens_per_second", "mean_tokens_per_second", "elapsed", "seconds_left",
    "best_loss", "best_perplexity", "has_perplexity", "best_step", "best_tokens", "best_elapsed", "bits_per_byte",
    "why_not_bits", "word_perplexity",
    "why_not_words", "tokenizer", "data", "validation_text", "device", "error", "problem", "directory", "parent", "group",
    "unit", "metric", "best_metric", "best_metrics",
    "cut_rows", "sweep", "seed", "note", "tags", "starred", "archived",
)  # fmt: skip


def summary(run: Run, progress: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What tables and headers show of a run: every key of SUMMARY, None where it is not known.

    `best_*` are of the lowest validation loss, not the last. `best_metric` is what `metric` names, of the main loss;
    `best_perplexity` is None where exp of that loss is no perplexity. `tokens_per_second` is of the last point of the curve,
    without validations; `mean_tokens_per_second` of the whole run, all tokens over all time. `error` is why a run failed or
    cannot be read, `problem` what else of its folder cannot. `progress` is what the caller has read of the events already.
    """
    found = Progress(run.path / "metrics.jsonl").read() if progress is None else progress
    return summary_of(run, recorded(run), found, run.status(), labels.read(run))


def recorded(run: Run) -> dict[str, Any]:
    """What a summary needs of run.json, which never changes; `error` where it cannot be read."""
    try:
        record = run.record()
        from_document(record["graph"], "run.json graph")
    except GraphError as error:
        return {"name": record["name"], "error": f"{run.path}: {error}"}
    except RunError as error:
        return {"error": str(error)}
    training, sweep = (record[key] if isinstance(record.get(key), dict) else {} for key in ("training", "sweep"))
    texts = {key: record.get(key) for key in ("name", "created", "parent", "group")}
    texts |= {"data": record["data"].get("fingerprint"), "sweep": sweep.get("id")}
    numbers = {"seed": training.get("seed"), "budget": training.get("max_minutes"), "order": record.get("order")}
    return {
        **{key: value if isinstance(value, str) else None for key, value in texts.items()},
        **{key: value if type(value) in (int, float) else None for key, value in numbers.items()},
    }


def summary_of(
    run: Run,
    record: Mapping[str, Any],
    found: Mapping[str, Any],
    status: Mapping[str, Any],
    given: labels.Labels,
) -> dict[str, Any]:
    """The summary of a run whose parts have been read: `recorded`, progress, status and labels."""
    row: dict[str, Any] = dict.fromkeys(SUMMARY)
    row |= {"run": run.id, "directory": str(run.path), "state": run.state(status=status)}
    row |= {key: value for key, value in record.items() if key in row and value is not None}
    row |= {key: value for key, value in found.items() if key in row}
    row |= {"name": given.name or record.get("name") or run.id, "note": given.note, "tags": list(given.tags)}
    row |= {"starred": given.starred, "archived": given.archived, "problem": _problem(found, given, row["state"])}
    if record.get("error"):
        row["state"] = "damaged"
    if row["step"] is not None and row["last_step"]:
        row["progress"] = min(1.0, row["step"] / row["last_step"])
    if row["tokens"] and row["elapsed"]:
        row["mean_tokens_per_second"] = row["tokens"] / row["elapsed"]
    if row["best_loss"] is not None and found.get("has_perplexity", True):
        row["best_perplexity"] = _exp(row["best_loss"])
        tokens = found.get("validation_tokens")
        if found.get("validation_bytes") and tokens:
            row["bits_per_byte"] = row["best_loss"] * tokens / (found["validation_bytes"] * math.log(2))
        if found.get("validation_words") and tokens:
            row["word_perplexity"] = _exp(row["best_loss"] * tokens / found["validation_words"])
    if row["state"] == "running" and row["step"] and row["last_step"]:
        row["seconds_left"] = row["elapsed"] / row["step"] * (row["last_step"] - row["step"])
        if record.get("budget"):  # before it has been measured, the number of steps is not yet the run's
            row["seconds_left"] = min(row["seconds_left"], max(0.0, 60 * record["budget"] - row["elapsed"]))
    if row["state"] != "damaged":
        said = status.get("error")
        said = said if isinstance(said, str | None) else json.dumps(said)
        row["error"] = run.why_interrupted(status) if row["state"] == "interrupted" else said
    return {key: shown(value) for key, value in row.items()}


def shown(value: Any) -> Any:
    """The value, where it is text as one that a page and a file can hold: half a surrogate pair is none."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value


def _exp(loss: float) -> float:
    """As cortex.evaluate.perplexity, without its torch, which listing, stopping or claiming a run does not need."""
    return math.exp(loss) if loss < 700 else math.inf


def _problem(found: Mapping[str, Any], given: labels.Labels, state: str) -> str | None:
    said, lines = [], found.get("passed_over")
    if lines:
        said.append(f"metrics.jsonl: {lines:,} {'line' if lines == 1 else 'lines'} passed over that cannot be read")
    if found.get("torn") and state not in ACTIVE:
        said.append("metrics.jsonl: its last line is torn off")
    if given.problem:
        said.append(given.problem)
    return "; ".join(said) or None


def worker_alive(status: Mapping[str, Any]) -> bool:
    """Whether the process that wrote this status still runs: not dead, not a zombie, not another one of the same number."""
    pid = status.get("pid")
    if type(pid) is not int or pid <= 0:
        return False
    if Path("/proc/self/stat").exists():
        return status.get("pid_started") is not None and process_started(pid) == status["pid_started"]
    return time.time() - _seconds(status.get("heartbeat")) < _HEARTBEAT_GRACE


def oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory since the machine's start; None where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def _seconds(value: Any) -> float:
    return value if isinstance(value, (int, float)) else 0.0


def process_started(pid: int) -> int | None:
    """When a live process started, in clock ticks since the machine's start; None for a dead one and for a zombie.

    Linux tells it in /proc/PID/stat; elsewhere None, and heartbeats tell who lives.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()  # the name before it may hold spaces and brackets
    return None if fields[0] in "ZX" else int(fields[19])


def _new_folder(root: Path, name: str) -> Path:
    for number in range(1, 10_000):
        path = root / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue
    raise RunError(f"{root}: no free folder name for {name}")


def _slug(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9._]+", "-", name).strip("-.")[:60] or "run"


def _is_plain(name: str) -> bool:
    return bool(name) and Path(name).name == name and name not in (".", "..")


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"cortexnodus": __version__, "python": platform.python_version(), "torch": version("torch")}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())

"""What has happened to a run, in order: created, started, paused, resumed, interrupted, fitted to a budget, failed, warnings.

log.txt is the source, since it is never cut back; metrics.jsonl adds what it knows, and stands in where there is no log.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from cortex.runs import ACTIVE, Run, RunError

_MOST_BYTES = 4 * 2**20  # of a log; only its end is read of a longer one
_MOST_LETTERS = 400  # of one line
_LINE = re.compile(r"(\d\d):(\d\d):(\d\d) (.*)")
_TAKEN_UP = re.compile(r"run .+, process (\d+)(?:, (\d{4}-\d\d-\d\d))?")
_FROM = re.compile(r"[\d,]+ parameters on (\w+), .*from step ([\d,]+)")
_ENDED = re.compile(r"(finished|stopped|paused|failed)(?:: (.*))?")
_PROGRESS = re.compile(r"step [\d,]+: ")
_BUDGET = re.compile(r"[\d,]+ steps fit the time budget.*")
_TOLD = ("start", "train", "validation", "sample", "horizon", "resumed", "end")
_SAME_MOMENT = 60.0  # seconds that the log and metrics.jsonl may lie apart in telling the same


@dataclass(frozen=True)
class Moment:
    """`time` in seconds since 1970, None where it is not known; `what` in a word, `text` in more."""

    time: float | None
    what: str
    text: str = ""


def timeline(run: Run, events: Sequence[Mapping[str, Any]] | None = None) -> list[Moment]:
    """All that is known, oldest first; nothing raises, whatever the files hold.

    Args:
        events: what the caller has read of metrics.jsonl already.
    """
    events = run.events() if events is None else events
    created, zone, parent = _created(run)
    found = [Moment(created, "created")] if created else []
    logged = _logged(run, created, zone)
    if any(moment.what == "started" for moment in logged):
        found += _with_ends(logged, events)
    else:
        found += [*_of_events(events), *logged]
    found += _foreign(events)
    found = _with_parent(found, events, parent)
    found += _now(run, found)
    known = iter(sorted((moment for moment in found if moment.time is not None), key=lambda moment: moment.time))
    return [moment if moment.time is None else next(known) for moment in found]


def _created(run: Run) -> tuple[float | None, tzinfo | None, str | None]:
    try:
        record = run.record()
        when = datetime.fromisoformat(record["created"])
        parent = record.get("parent")
        return when.timestamp(), when.tzinfo, parent if isinstance(parent, str) else None
    except (RunError, KeyError, TypeError, ValueError, OverflowError, OSError):
        return None, None, None


# The log


def _logged(run: Run, created: float | None, zone: tzinfo | None) -> list[Moment]:
    found: list[Moment] = []
    working = False  # a worker has taken the run up and has not said its end
    last: float | None = None
    for when, line in _lines(run, created, zone):
        taken, begun, ended = (pattern.fullmatch(line) for pattern in (_TAKEN_UP, _FROM, _ENDED))
        if when is None:
            if re.search("warning", line, re.IGNORECASE):
                found.append(Moment(last, "warning", line))
            continue
        if taken:
            if working:
                found.append(Moment(last, "interrupted", "its worker ended without a word; this was its last sign of life"))
            again = any(moment.what == "started" for moment in found)
            found.append(Moment(when, "resumed" if again else "started", f"process {taken[1]}"))
            working = True
        elif begun:
            found[-1:] = [_from_step(found[-1], begun)] if found and found[-1].what in ("started", "resumed") else found[-1:]
        elif ended:
            found.append(Moment(when, ended[1], ended[2] or ""))
            working = False
        elif _BUDGET.fullmatch(line):
            found.append(Moment(when, "horizon", line))
        elif not _PROGRESS.match(line) and not line.startswith("Traceback"):
            found.append(Moment(when, "note", line))
        last = when
    return found


def _from_step(moment: Moment, begun: re.Match[str]) -> Moment:
    where = "" if begun[2] == "0" else f"from step {begun[2]}, "
    return replace(moment, text=f"{where}{moment.text}, on {begun[1]}")


def _lines(run: Run, created: float | None, zone: tzinfo | None) -> Iterator[tuple[float | None, str]]:
    """Each line with its time, None where it has none of its own. A line says the hour alone: the day is the one that the
    worker named when it took the run up, else that of the creation, and the next one where the hour goes back."""
    text, whole = _read_log(run)
    day = _day(created, zone)
    before = None
    for line in text.splitlines():
        match = _LINE.fullmatch(line[:_MOST_LETTERS].rstrip())
        if not match or day is None:
            yield None, line[:_MOST_LETTERS].strip()
            continue
        hour, minute, second = int(match[1]), int(match[2]), int(match[3])
        taken = _TAKEN_UP.fullmatch(match[4])
        if taken and taken[2]:
            day, before = _date(taken[2]) or day, None
        elif before is not None and (hour, minute) < before and whole:
            day += timedelta(days=1)
        before = (hour, minute)
        try:
            yield datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone).timestamp(), match[4]
        except (ValueError, OverflowError, OSError):
            yield None, match[4]


def _read_log(run: Run) -> tuple[str, bool]:
    """The end of the log, and whether that is all of it."""
    try:
        with open(run.path / "log.txt", "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _MOST_BYTES))
            return file.read().decode(errors="replace"), size <= _MOST_BYTES
    except OSError:
        return "", True


def _day(created: float | None, zone: tzinfo | None) -> date | None:
    return datetime.fromtimestamp(created, zone).date() if created is not None else None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


# The events


def _of_events(events: Sequence[Mapping[str, Any]]) -> list[Moment]:
    found = []
    for event in events:
        kind, when = event["event"], _time(event)
        if kind == "start":
            found.append(Moment(when, "started", f"on {event.get('device') or 'an unknown device'}"))
        elif kind == "resumed":
            found.append(Moment(when, "resumed", f"from step {_whole(event.get('step'))}"))
        elif kind == "horizon":
            found.append(Moment(when, "horizon", f"{_whole(event.get('last_step'))} steps fit the time budget"))
        elif kind == "end":
            found.append(Moment(when, str(event.get("state") or "ended"), _end_text(event)))
    return found


def _with_ends(logged: Sequence[Moment], events: Sequence[Mapping[str, Any]]) -> list[Moment]:
    """The log's moments, each end with the step and the reason that its event tells."""
    ends = [event for event in events if event["event"] == "end"]
    found = []
    for moment in logged:
        told = next((event for event in ends if _tells(event, moment)), None)
        found.append(replace(moment, text=_end_text(told)) if told and not moment.text else moment)
    return found


def _tells(event: Mapping[str, Any], moment: Moment) -> bool:
    when = _time(event)
    near = when is not None and moment.time is not None and abs(when - moment.time) < _SAME_MOMENT
    return event.get("state") == moment.what and near


def _end_text(event: Mapping[str, Any]) -> str:
    why = event.get("why")
    return f"at step {_whole(event.get('step'))}" + (f", {why}" if isinstance(why, str) and why else "")


def _foreign(events: Sequence[Mapping[str, Any]]) -> list[Moment]:
    """Events that this version does not know: a warning that a newer one gives, for example."""
    found = []
    for event in events:
        if event["event"] not in _TOLD:
            said = ", ".join(f"{key} {value}" for key, value in event.items() if key not in ("event", "time"))
            found.append(Moment(_time(event), str(event["event"])[:40], said[:_MOST_LETTERS]))
    return found


def _with_parent(found: list[Moment], events: Sequence[Mapping[str, Any]], parent: str | None) -> list[Moment]:
    """Where a child run began, said at its start."""
    if not parent:
        return found
    begun = next((event for event in events if event["event"] == "resumed" and event.get("parent") == parent), None)
    said = f"goes on where {parent} had ended" + (f", from step {_whole(begun.get('step'))}" if begun else "")
    return [replace(moment, text=said) if moment.what == "created" else moment for moment in found]


def _now(run: Run, found: Sequence[Moment]) -> list[Moment]:
    """What the state of this moment adds: an interruption that nobody has answered, a failure that no log tells, requests."""
    state, status = run.state(), run.status()
    beat = status.get("heartbeat")
    beat = float(beat) if isinstance(beat, (int, float)) and abs(beat) < 1e11 else None
    last = found[-1].what if found else ""
    added = []
    if state == "interrupted":
        added.append(Moment(beat, "interrupted", run.why_interrupted()))
    elif state == "failed" and last != "failed":
        added.append(Moment(beat, "failed", str(status.get("error") or "")[:_MOST_LETTERS]))
    if state in ACTIVE:
        for what in sorted(run.requests() & {"stop", "pause", "save"}):
            added.append(Moment(_asked_at(run, what), f"asked to {what}", "not answered yet"))
    return added


def _asked_at(run: Run, what: str) -> float | None:
    try:
        return os.stat(run.path / "requests" / what).st_mtime
    except OSError:
        return None


def _time(event: Mapping[str, Any]) -> float | None:
    when = event.get("time")
    number = isinstance(when, (int, float)) and not isinstance(when, bool)
    return float(when) if number and 0 <= when < 1e11 else None


def _whole(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "?"

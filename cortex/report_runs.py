"""What a report says of each run by itself: the text it last wrote, how it is repeated, what happened to it."""

from __future__ import annotations

from collections.abc import Mapping

from cortex.comparison import Comparison, Subject
from cortex.comparison_words import short
from cortex.markup import quiet, row, safe, section, table
from cortex.origin import moment_text, origin
from cortex.repeat import repeat
from cortex.report_tables import dot
from cortex.timeline import timeline

_MOST_LETTERS = 4000  # of a sample


def samples(found: Comparison, places: Mapping[str, int]) -> str:
    """The last sample of each run, runs with the same prompt side by side; empty where none has written."""
    prompts: dict[str, list[str]] = {}
    for subject in found.subjects:
        told = [event for event in subject.run.events() if event["event"] == "sample" and isinstance(event.get("text"), str)]
        if not told:
            continue
        last = told[-1]
        prompt = last["prompt"] if isinstance(last.get("prompt"), str) else ""
        step = f"step {last['step']:,}" if isinstance(last.get("step"), int) else ""
        prompts.setdefault(prompt, []).append(
            f'<div>{dot(subject, places)}<b>{safe(short(subject.name))}</b> <span class="quiet">{step}</span>'
            f'<pre><span class="prompt">{safe(prompt)}</span>{safe(last["text"][:_MOST_LETTERS])}</pre></div>'
        )
    parts = []
    for prompt, boxes in prompts.items():
        parts.append(quiet(f"Prompt: {prompt}" if prompt else "Without a prompt"))
        parts.append(f'<div class="samples">{"".join(boxes)}</div>')
    return section("The last sample of each run", "".join(parts))


def origins(found: Comparison) -> str:
    """Of each run what it was made with, the command that repeats it, and what happened to it. Paths are given from the folder
    that holds the runs: a report is read elsewhere."""
    return section("How each run came about", "".join(map(_origin, found.subjects)))


def _origin(subject: Subject) -> str:
    events = subject.run.events()
    again, facts = repeat(subject.run, here=subject.run.path.parents[1]), origin(subject.run, events)
    said = quiet("; ".join(f"{name} {value}" for name, value in facts.items())) if facts else ""
    command = f"<pre>{safe(str(again))}</pre>" if again.words else ""
    moments = [
        row([moment_text(moment.time), safe(moment.what), safe(moment.text)]) for moment in timeline(subject.run, events)
    ]
    history = f"<details><summary>What happened to it</summary>{table([], moments)}</details>"
    return f"<h3>{safe(short(subject.name, 80))}</h3>{said}{command}{quiet(again.note)}{history}"

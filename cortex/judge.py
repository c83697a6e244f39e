"""What a trained run is asked: its loss over a split, and the text that follows a prompt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cortex import data
from cortex.checkpoints import Trained, load_trained
from cortex.corpus import CorpusError
from cortex.evaluate import evaluate
from cortex.generate import generate
from cortex.runs import Run, RunError


def evaluate_run(run: Run, store: Path, split: str = "validation", checkpoint: str = "best") -> dict[str, Any]:
    """`loss` in nats per token, `perplexity`, `bits_per_byte` (None with `why_not_bits` where not honest), `tokens`.

    Raises:
        RunError: no such checkpoint, or the text that the run was trained on can no longer be had.
    """
    trained = load_trained(run, checkpoint)
    prepared = prepared_of(run, store)
    if not prepared.count(split):
        raise RunError(f"run {run.id}: its {split} split has no tokens; the share of text kept for it is 0")
    found = evaluate(trained.model, prepared.tokens(split), trained.seq_len, text_bytes=prepared.honest_bytes(split))
    return {
        "split": split,
        "checkpoint": checkpoint,
        "step": trained.step,
        "loss": found.loss,
        "perplexity": found.perplexity,
        "bits_per_byte": found.bits_per_byte,
        "why_not_bits": prepared.why_not_bytes(split),
        "tokens": found.tokens,
    }


def prepared_of(run: Run, store: Path) -> data.Prepared:
    """The very tokens that a run was trained on, made again where the store has lost them.

    Raises:
        RunError: the text is gone or is another one now.
    """
    wanted = run.record()["data"]["fingerprint"]
    try:
        found = data.find(wanted, store)
        if found is None:
            found = data.prepare(data.source_node(run.graph()), store)
    except CorpusError as error:
        raise RunError(f"run {run.id}: {error}") from None
    except OSError as error:
        raise RunError(f"run {run.id}: its text cannot be prepared again in {store}: {error.strerror or error}") from None
    if found.fingerprint != wanted:
        raise RunError(f"run {run.id}: its text has changed since it was trained, so a loss on it would not be the run's")
    return found


def continue_text(trained: Trained, prompt: str, **sampling: Any) -> Iterator[str]:
    """The text that follows the prompt, in pieces as it is made; `sampling` goes to `generate`. An empty prompt starts
    where a text starts, after `<eos>`."""
    tokenizer = trained.tokenizer
    ids = tokenizer.encode(prompt) or [tokenizer.eos]
    said = tokenizer.decode(ids)
    for token in generate(trained.model, list(ids), context=trained.seq_len, vocab_size=tokenizer.vocab_size, **sampling):
        ids.append(token)
        text = tokenizer.decode(ids)
        # A character of several bytes is not whole before its last token; a replacement mark says so.
        if text.endswith("\ufffd") or not text.startswith(said):
            continue
        yield text[len(said) :]
        said = text

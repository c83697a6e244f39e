"""What a trained run is asked: its losses over a split, and the text that follows a prompt or belongs to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from cortex import data, graph_source
from cortex.answers import text_tokens
from cortex.checkpoints import Trained, load_trained
from cortex.corpus import CorpusError
from cortex.feed import judged
from cortex.generate import generate
from cortex.measures import has_perplexity, measures, tells_all
from cortex.runs import Run, RunError
from cortex.store import Prepared, find
from cortex.tokenizer import Tokenizer


def evaluate_run(run: Run, store: Path, split: str = "validation", checkpoint: str = "best") -> dict[str, Any]:
    """`loss` in `unit`, `perplexity`, `bits_per_byte` (None with `why_not_bits` where not honest), `tokens` that were compared.

    `perplexity` is None where exp of the main loss is none (measures.has_perplexity). `losses` and `metrics` by loss are given
    where there is more than one loss of next tokens.

    Raises:
        RunError: no such checkpoint, or the text that the run was trained on can no longer be had.
    """
    trained = load_trained(run, checkpoint)
    prepared = prepared_of(run, store)
    if not prepared.count(split):
        what = "tokens; the share of text" if prepared.task == "Text" else "rows; the share of them"
        raise RunError(f"run {run.id}: its {split} split has no {what} kept for it is 0")
    graph = run.graph()
    honest = has_perplexity(graph)
    found = judged(
        trained.model, prepared.split(split), seq_len=trained.seq_len, eos=trained.tokenizer.eos,
        vocabulary=prepared.vocab_size, labels=trained.labels, text_bytes=prepared.honest_bytes(split) if honest else None,
    )  # fmt: skip
    row = {
        "split": split,
        "checkpoint": checkpoint,
        "step": trained.step,
        "loss": found.loss,
        "unit": next(iter(measures(graph).values())).unit,
        "perplexity": found.perplexity if honest else None,
        "bits_per_byte": found.bits_per_byte,
        "why_not_bits": prepared.why_not_bytes(split) if honest else "this loss is not that of a text's next tokens",
        "tokens": found.tokens,
    }
    told = found.facts()
    return row | ({"losses": told["losses"], "metrics": told["metrics"]} if tells_all(graph) else {})


def prepared_of(run: Run, store: Path) -> Prepared:
    """The very tokens that a run was trained on, made again where the store has lost them.

    Raises:
        RunError: the text is gone or is another one now.
    """
    wanted = run.record()["data"]["fingerprint"]
    try:
        found = find(wanted, store)
        if found is None:
            found = data.prepare(graph_source.source_node(run.graph()), store)
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
    tokens = generate(trained.model, list(ids), context=trained.seq_len, vocab_size=tokenizer.vocab_size, **sampling)
    yield from _told(tokenizer, ids, tokens)


def write_for(trained: Trained, source: str, **sampling: Any) -> Iterator[str]:
    """What a model of pairs writes for a text, in pieces as it is made, up to its `<eos>`; `sampling` goes to `generate`."""
    tokenizer = trained.tokenizer
    read = torch.tensor([text_tokens(trained, source)], device=next(trained.model.parameters()).device)  # (1, S)
    sampling = {"context": trained.seq_len, "vocab_size": tokenizer.vocab_size, "stop": tokenizer.eos, **sampling}
    yield from _told(tokenizer, [], generate(trained.model, [tokenizer.eos], batch={"source": read}, **sampling))


def _told(tokenizer: Tokenizer, ids: list[int], tokens: Iterable[int]) -> Iterator[str]:
    """What tokens add to the text of `ids`, as soon as it is whole."""
    said = tokenizer.decode(ids)
    for token in tokens:
        ids.append(token)
        text = tokenizer.decode(ids)
        # A character of several bytes is not whole before its last token; a replacement mark says so.
        if text.endswith("\ufffd") or not text.startswith(said):
            continue
        yield text[len(said) :]
        said = text


def sample_of(trained: Trained, prepared: Prepared, prompt: str, tokens: int, seed: int) -> dict[str, str] | None:
    """`prompt` and `text`: what a model writes along the way. For pairs the prompt is a text to read, the first of validation
    where it is empty; None where the model does not write."""
    if trained.task == "Text":
        return {"prompt": prompt, "text": "".join(continue_text(trained, prompt, max_tokens=tokens, seed=seed))}
    if trained.task != "Pairs":
        return None
    if not prompt:
        rows = prepared.rows("validation")
        prompt = trained.tokenizer.decode(rows.source[: rows.source_offsets[1]].tolist())
    return {"prompt": prompt, "text": " → " + "".join(write_for(trained, prompt, max_tokens=tokens, temperature=0))}

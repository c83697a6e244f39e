"""Sampling of tokens from a model, one at a time, with a key/value cache. Importable alone: torch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def pick(logits: Tensor, *, temperature: float, top_k: int, top_p: float, generator: torch.Generator | None = None) -> int:
    """A token drawn from logits (V,).

    Args:
        temperature: divides the logits; 0 takes the likeliest token.
        top_k: only the k likeliest tokens can be drawn; 0 for all.
        top_p: only the likeliest tokens that together reach this probability (Holtzman et al. 2020); 1 for all.
    """
    if temperature == 0:
        return int(logits.argmax())
    logits = logits.double()
    probability = torch.softmax((logits - logits.max()) / temperature, -1)  # (V,)
    tokens = None
    if top_k:
        probability, tokens = probability.topk(min(top_k, len(logits)))  # (top_k,), likeliest first
    elif top_p < 1:
        probability, tokens = _likeliest(probability, top_p)
    if top_p < 1:
        before = probability.cumsum(0) - probability  # (top_k,) or (V,): of all likelier ones
        kept = max(1, int((before < top_p).sum()))  # one also where top_p is 0
        probability = probability[:kept]
    # The place of one uniform number among the sums: torch.multinomial draws one number a token, for ten times the time.
    sums = probability.cumsum(0)
    number = torch.rand(1, generator=generator, dtype=torch.float64) * sums[-1]
    place = min(int(torch.searchsorted(sums, number, right=True)), len(sums) - 1)
    return place if tokens is None else int(tokens[place])


def _likeliest(probability: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """Probabilities in falling order and their tokens, at least as many as together reach top_p: mostly few of many."""
    found = probability.topk(min(256, len(probability)))  # (256,)
    return found if found.values.sum() > top_p else probability.sort(descending=True)  # (V,)


@torch.inference_mode()
def generate(
    model: nn.Module,
    prompt: list[int],
    *,
    context: int,
    vocab_size: int,
    max_tokens: int = 100,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 1,
    batch: dict[str, Tensor] | None = None,
    stop: int | None = None,
) -> Iterator[int]:
    """Tokens that follow the prompt, as they are drawn.

    Args:
        prompt: at least one token.
        context: most positions that the model sees at once: what it was trained on. When it is full, the older half is
            forgotten and the rest is read again from position 0.
        vocab_size: tokens from this one on have no text and are never drawn.
        batch: what a decoder reads besides: `source` (1, S). What is written then ends where the context is full.
        stop: a token that ends what is written, and is not given.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    was_training = model.training
    model.eval()
    try:
        seen = prompt[-context:]
        cache, new = model.new_cache(), seen
        for _ in range(max_tokens):
            if len(seen) > context:
                if batch is not None:
                    return
                seen = seen[-max(1, context // 2) :]
                cache, new = model.new_cache(), seen
            tokens = torch.tensor([new], device=device)  # (1, T)
            scores = model.logits(tokens, cache) if batch is None else model.logits(tokens, cache, batch)
            logits = scores[0, -1, :vocab_size]  # (V,)
            token = pick(logits.float().cpu(), temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
            if token == stop:
                return
            yield token
            seen, new = [*seen, token], [token]
    finally:
        model.train(was_training)

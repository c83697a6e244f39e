"""What charts are called: of each metric its title, unit and kind of axis; of each horizontal axis its name."""

from __future__ import annotations

METRICS: dict[str, tuple[str, str, bool]] = {
    # key: title, axis, whether the axis is logarithmic
    "loss": ("Loss", "nats per token", False),
    "perplexity": ("Perplexity", "perplexity", True),
    "word_perplexity": ("Perplexity per word", "perplexity per word", True),
    "bits_per_byte": ("Bits per byte", "bits per byte", False),
    "lr": ("Learning rate", "learning rate", False),
    "grad_norm": ("Gradient norm", "norm before clipping", True),
    "tokens_per_second": ("Throughput", "tokens per second", False),
}
AXES = {
    "step": "step", "tokens": "tokens seen", "epoch": "epoch", "elapsed": "minutes since start", "time": "time of day",
    "flops": "FLOPs",
}  # fmt: skip
PERPLEXITIES = ("perplexity", "word_perplexity")
# These say nothing across runs that predict different tokens.
PER_TOKEN = ("loss", "perplexity")

"""Whether perplexities can be laid beside each other: cortex/comparable.py says it, for pages, reports and the terminal."""

from cortex.comparable import HELP, measures, why_not

__all__ = ["HELP", "measures", "why_not"]

"""CortexNodus: design, train, compare and understand GPT-style language models on one machine."""

__version__ = "0.1.0"

"""Colours that mean something: a run's, and the family of a node. Pages, pictures and reports take them from here."""

from __future__ import annotations

# Okabe & Ito 2008: told apart with every kind of colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C00", "#7F7F7F")

FAMILY_COLOURS = {
    "source": "#0d9488",
    "embedding": "#2f7dd1",
    "attention": "#5661d8",
    "norm": "#64748b",
    "activation": "#64748b",
    "linear": "#7a6a4f",
    "sequence": "#0891b2",
    "merge": "#d08700",
    "subgraph": "#8b5cf6",
    "loss": "#d1436b",
}

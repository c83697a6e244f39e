"""The node kind that stands for a group of nodes."""

from __future__ import annotations

from cortex.params import Int, Text
from cortex.registry import register


@register(
    role="subgraph",
    family="subgraph",
    shape="in: … C -> … C",
    params={
        "template": Text(default="", max_length=64, help="The group of nodes that this card stands for, by its name."),
        "repeat": Int(
            default=1,
            low=1,
            high=512,
            help="Copies, each with weights of its own. The first port goes through them one after the other; all others lead "
            "to every copy.",
        ),
    },
)
class Subgraph:
    """A group of nodes as one card, any number of times one behind the other, each with weights of its own."""

    def __init__(self, template: str, repeat: int) -> None:
        self.template, self.repeat = template, repeat  # it is laid out into its nodes before anything is built

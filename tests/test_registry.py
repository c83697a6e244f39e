"""Every node kind keeps what its declaration promises; a kind that is added later is tested here without an edit."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import cortex.builder  # noqa: F401  fills the registry
from cortex.counted import parameter_count
from cortex.kind import ANY, Kind
from cortex.params import AUTO, FROM_VOCABULARY, Bool, Choice, Float, Int, Text
from cortex.registry import KINDS, divides, register
from cortex.shapes import Dim

B, T, C, V = 2, 6, 8, 11
MODULES = [name for name, kind in KINDS.items() if kind.role in ("module", "merge")]
LOSSES = [name for name, kind in KINDS.items() if kind.role == "loss"]

# A kind with all settings at small values, or with one option of one setting.
Case = tuple[str, str, Any]


def cases() -> list[Case]:
    """Every kind as it is, and with every option of every setting that has options."""
    found: list[Case] = []
    for name in MODULES:
        found.append((name, "", None))
        for setting, param in KINDS[name].params.items():
            options = param.options if isinstance(param, Choice) else (False, True) if isinstance(param, Bool) else ()
            found += [(name, setting, option) for option in options if option != param.default]
    extra = [("GPTBlock", "num_kv_heads", 1), ("Conv1d", "groups", C), ("Conv1d", "dilation", 2), ("Conv1d", "kernel_size", 1)]
    return found + extra


CASES = cases()


def small_values(kind: Kind) -> dict[str, Any]:
    """Values for a tiny module: widths of 8, whole numbers at most 2 where they are free, no dropout."""
    bound = {dim for dims in kind.inputs.values() for dim in dims}
    values: dict[str, Any] = {}
    for name, param in kind.params.items():
        values[name] = param.default
        if param.auto == FROM_VOCABULARY:
            values[name] = V
        elif name in bound or name in (kind.output or ()):
            values[name] = C
        elif name in ("dropout", "p"):
            values[name] = 0.0
        elif name == "window":
            values[name] = 3
        elif isinstance(param, Int) and param.default != AUTO:
            values[name] = max(param.low, min(param.default, 2 if name in ("nhead", "num_heads") else 16))
    return values


def values_of(case: Case) -> dict[str, Any]:
    name, setting, option = case
    return small_values(KINDS[name]) | ({setting: option} if setting else {})


def sizes(kind: Kind, values: Mapping[str, Any]) -> dict[str, int]:
    return {"B": B, "T": T, "S": T, "C": C, "V": V, **{name: value for name, value in values.items() if type(value) is int}}


def spelt(dims: tuple[str, ...]) -> tuple[str, ...]:
    """The dimensions of a rule, B and T in the place of any leading ones."""
    return ("B", "T", *dims[1:]) if dims[:1] == (ANY,) else dims


def ports_of(kind: Kind) -> list[str]:
    return kind.ports(["in_3"] if kind.most else [])


def inputs_for(kind: Kind, values: Mapping[str, Any]) -> list[Tensor]:
    """One input a port, three for a merge: token ids where the rule says B T, floats elsewhere."""
    found = []
    for port in ports_of(kind):
        dims = kind.dims(port)
        shape = [sizes(kind, values)[dim] for dim in spelt(dims)]
        found.append(torch.randint(V, shape) if dims[-1] == "T" else torch.randn(shape))
    return found


def make(case: Case) -> tuple[nn.Module, list[Tensor]]:
    kind = KINDS[case[0]]
    torch.manual_seed(zlib.crc32(kind.name.encode()))
    values = values_of(case)
    return kind.cls(**values).eval(), inputs_for(kind, values)


def named(case: Case) -> str:
    return " ".join(str(part) for part in case if part not in ("", None))


each_case = pytest.mark.parametrize("case", CASES, ids=named)


def those(wanted: Callable[[Kind, dict[str, Any]], Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [case for case in CASES if wanted(KINDS[case[0]], values_of(case))], ids=named)


def test_the_registry_holds_the_kinds_of_a_gpt() -> None:
    wanted = {"Shakespeare", "CustomData", "Embedding", "PositionalEncoding", "GPTBlock", "LayerNorm", "Linear", "Loss"}
    assert wanted <= set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_and_every_setting_explains_itself(name: str) -> None:
    kind = KINDS[name]
    assert kind.help.endswith(".") and len(kind.help) > 20
    for setting, param in kind.params.items():
        assert param.help.endswith((".", ".)")), setting


@each_case
def test_the_declared_shape_is_what_torch_gives(case: Case) -> None:
    kind, values = KINDS[case[0]], values_of(case)
    module, inputs = make(case)
    declared = tuple(sizes(kind, values)[dim] for dim in spelt(kind.output or ()))
    if kind.joins:
        given = [(port, (Dim("B", B), Dim("T", T), Dim("C", C))) for port in ports_of(kind)]
        declared = tuple(dim.size for dim in kind.joins(values, given))
    assert module(*inputs).shape == declared


@each_case
def test_forward_and_backward_are_finite(case: Case) -> None:
    module, inputs = make(case)
    module.train()
    inputs = [x.requires_grad_() if x.is_floating_point() else x for x in inputs]
    y = module(*inputs)
    assert torch.isfinite(y).all()
    if KINDS[case[0]].reads:
        return  # it gives on numbers of tokens
    y.square().sum().backward()
    gradients = [x.grad for x in [*inputs, *module.parameters()] if x.requires_grad]
    assert gradients and all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


def changed_from(position: int, kind: Kind, inputs: list[Tensor]) -> list[Tensor]:
    """The inputs with other values from this position on, but for what is seen whole anyhow."""
    changed = [x.clone() for x in inputs]
    for port, x in zip(ports_of(kind), changed, strict=True):
        if port not in kind.whole:
            x[:, position:] = (x[:, position:] + 3) % V if not x.is_floating_point() else x[:, position:] * -2 + 5
    return changed


@those(lambda kind, values: kind.is_causal(values))
@pytest.mark.parametrize("position", range(1, T))
def test_what_comes_later_changes_nothing_before_it(case: Case, position: int) -> None:
    module, inputs = make(case)
    before, after = module(*inputs), module(*changed_from(position, KINDS[case[0]], inputs))
    assert torch.equal(before[:, :position], after[:, :position])
    assert not torch.equal(before[:, position:], after[:, position:])


@those(lambda kind, values: not kind.is_causal(values) and "T" in (kind.output or ()))
def test_a_kind_that_is_not_causal_does_see_what_comes_later(case: Case) -> None:
    module, inputs = make(case)
    kind = KINDS[case[0]]
    before, after = module(*inputs), module(*changed_from(T - 1, kind, inputs))
    assert not torch.equal(before[:, : T - 1], after[:, : T - 1]) and kind.seen_whole(values_of(case))


@those(lambda kind, values: kind.cached and kind.is_causal(values))
@pytest.mark.parametrize("cuts", [(1,) * T, (T,), (2, 3, 1), (1, T - 1), (T - 1, 1)], ids=str)
def test_a_cache_fed_in_pieces_gives_what_one_full_forward_gives(case: Case, cuts: tuple[int, ...]) -> None:
    module, inputs = make(case)
    cache: dict[str, Any] = {}
    ports = ports_of(KINDS[case[0]])
    parts = [
        [x] * len(cuts) if port in KINDS[case[0]].whole else x.split(cuts, 1) for port, x in zip(ports, inputs, strict=True)
    ]
    pieces = [module(*part, cache=cache) for part in zip(*parts, strict=True)]
    torch.testing.assert_close(torch.cat(pieces, 1), module(*inputs), atol=1e-5, rtol=0)
    assert cache


@those(lambda kind, values: kind.masks)
def test_padding_changes_nothing(case: Case) -> None:
    module, inputs = make(case)
    kind, real = KINDS[case[0]], T - 2
    dims = kind.dims(next(iter(kind.masks.values())))
    one_sequence = kind.is_causal(values_of(case)) and not kind.whole
    others = [port for port in ports_of(kind) if one_sequence or kind.dims(port) == dims]
    cut = [x[:, :real] if port in others else x for port, x in zip(ports_of(kind), inputs, strict=True)]
    mask = (torch.arange(T) < real).expand(B, T)
    whole, part = module(*inputs, **dict.fromkeys(kind.masks, mask)), module(*cut)
    time = part.size(1) if part.dim() == 3 else None
    torch.testing.assert_close(whole[:, :time] if time else whole, part, atol=1e-5, rtol=0)
    if not kind.is_causal(values_of(case)) and case[2] != "first":
        assert not torch.allclose(module(*inputs)[:, :time] if time else module(*inputs), part, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_finite_sum_over_every_token_with_finite_gradients(name: str) -> None:
    loss, (logits,) = make((name, "", None))
    targets = torch.randint(V, (B, T))
    total, count = loss(logits.requires_grad_(), {"targets": targets})
    total.backward()
    assert count == B * T and torch.isfinite(total) and torch.isfinite(logits.grad).all()


def extremes() -> list[tuple[str, str, Any]]:
    """Kind, setting and value for the minimum and maximum, or each option, of every setting."""
    found: list[tuple[str, str, Any]] = []
    for kind in KINDS.values():
        for name, param in kind.params.items():
            if isinstance(param, (Int, Float)):
                found += [(kind.name, name, param.low), (kind.name, name, param.high)]
            elif isinstance(param, Choice):
                found += [(kind.name, name, option) for option in param.options]
            elif isinstance(param, Bool):
                found += [(kind.name, name, value) for value in (False, True)]
            elif isinstance(param, Text):
                found += [(kind.name, name, value) for value in ("", "x" * param.max_length)]
    return found


@pytest.mark.parametrize(("name", "setting", "value"), extremes(), ids=lambda value: str(value)[:20])
def test_the_minimum_and_the_maximum_of_every_setting_construct(name: str, setting: str, value: Any) -> None:
    kind = KINDS[name]
    values = fitting(kind, setting, value)
    if kind.role in ("source", "subgraph"):
        assert vars(kind.cls(**values))
        return
    with torch.device("meta"):  # the largest take no memory there
        module = kind.cls(**values)
    assert all(parameter.is_meta for parameter in module.parameters())
    counted = parameter_count(kind, tuple(values.items()))
    assert counted == sum(parameter.numel() for parameter in module.parameters())


def fitting(kind: Kind, setting: str, value: Any) -> dict[str, Any]:
    """Values with this one among them that the kind's own check accepts: other whole numbers become 1, one the same, or all."""
    values = {**small_values(kind), setting: value}
    whole = [name for name, param in kind.params.items() if isinstance(param, Int) and name != setting]
    alike = [dict.fromkeys(names, value) for names in (*([name] for name in whole), whole)]  # one first: 1024 layers take long
    for other in ({}, dict.fromkeys(whole, 1), *alike):
        changed = {**values, **other}
        if kind.check is None or kind.role == "source" or not list(kind.check(changed, {})):
            return changed
    raise AssertionError(f"{kind.name}.{setting}={value} is refused whatever the other settings are")


# The declaration is checked against the class


def declare(cls: type, into: dict[str, Kind], **changed: Any) -> None:
    declaration: dict[str, Any] = dict(role="module", family="linear", shape="B T width -> B T width")
    params = {"width": Int(default=AUTO, low=1, high=64, auto="the input", help="Width.")}
    register(**{**declaration, "params": params, "into": into, **changed})(cls)


class Scale(nn.Module):
    """Multiplies each channel by a learned number."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.by


BAD = Int(default=99, low=1, high=64, help="Width.")
WIDTH = Int(default=AUTO, low=1, high=64, auto="the input", help="Width.")
ONLY = Int(default=1, low=1, high=64, help="Width.", only=("colour", ("red",)))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (dict(params={"widht": WIDTH}), "widht"),
        (dict(params={"width": WIDTH, "bias": Bool(default=True, help="Bias.")}), "bias"),
        (dict(params={"width": BAD}), "99"),
        (dict(params={"width": ONLY}), "colour"),
        (dict(shape="B T widht -> B T width"), "widht"),
        (dict(shape="B T -> B T width"), "auto"),
        (dict(role="modul"), "modul"),
        (dict(family="magic"), "magic"),
        (dict(cached=True), "cached"),
    ],
    ids=["misspelt", "too many", "default", "depends on nothing", "dimension", "auto", "role", "family", "cached"],
)
def test_a_declaration_that_disagrees_with_its_class_is_a_type_error(changed: dict[str, Any], says: str) -> None:
    registry: dict[str, Kind] = {}
    with pytest.raises(TypeError, match=says):
        declare(Scale, registry, **changed)
    assert registry == {}


class ShiftedScale(Scale):
    """Multiplies each channel by a learned number, then adds one of the document's."""

    def __init__(self, shift: float, **of_scale: int) -> None:
        super().__init__(**of_scale)
        self.shift = shift


def test_two_stars_in_a_constructor_stand_for_the_arguments_of_the_class_above() -> None:
    params = {"width": WIDTH, "shift": Float(default=0.0, low=-1.0, high=1.0, help="What is added.")}
    registry: dict[str, Kind] = {}
    declare(ShiftedScale, registry, params=params)
    assert list(registry["ShiftedScale"].params) == ["width", "shift"]
    for lacking in ("width", "shift"):
        with pytest.raises(TypeError, match=lacking):
            declare(ShiftedScale, {}, params={name: param for name, param in params.items() if name != lacking})


def test_a_kind_cannot_be_declared_twice() -> None:
    registry: dict[str, Kind] = {}
    declare(Scale, registry)
    with pytest.raises(TypeError, match="Scale is declared twice"):
        declare(Scale, registry)


class Undocumented(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_a_kind_needs_a_docstring_of_its_own_since_it_is_the_help_text() -> None:
    with pytest.raises(TypeError, match="docstring"):
        declare(Undocumented, {})


def test_a_kind_declared_into_another_registry_leaves_the_applications_alone() -> None:
    registry: dict[str, Kind] = {}
    declare(Scale, registry)
    assert list(registry) == ["Scale"] and "Scale" not in KINDS
    assert registry["Scale"].shape == "B T width -> B T width"
    assert registry["Scale"].help == "Multiplies each channel by a learned number."


def test_several_ports_are_declared_by_name() -> None:
    registry: dict[str, Kind] = {}
    declare(Scale, registry, role="merge", family="merge", shape="a: B T width; b: B S width -> B T width")
    assert registry["Scale"].inputs == {"a": ("B", "T", "width"), "b": ("B", "S", "width")}
    assert registry["Scale"].shape == "a: B T width; b: B S width -> B T width"


@pytest.mark.parametrize(("part", "whole", "tries"), [(5, 128, "4 or 8"), (7, 128, "4 or 8"), (3, 2, "2"), (9, 30, "6 or 10")])
def test_divides_names_the_numbers_that_would_do(part: int, whole: int, tries: str) -> None:
    field, message, hint = next(divides("nhead", "d_model")({"nhead": part, "d_model": whole}, {}))
    assert (field, message, hint) == ("nhead", f"nhead={part} must divide d_model={whole}", f"try {tries}")
    assert list(divides("nhead", "d_model")({"nhead": 1, "d_model": whole}, {})) == []

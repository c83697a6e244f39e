"""Modules against torch's own with the same weights, and against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from cortex.layers import CausalSelfAttention, Dropout, Embedding, GPTBlock, LayerNorm, Linear, PositionalEncoding

B, T, C, H = 3, 7, 16, 4


def gpt_block(dropout: float = 0.0, attention_dropout: float = 0.0, init: str = "torch", width: int = C) -> GPTBlock:
    options = ("GELU", "LayerNorm", True, "none", "full", 128, 0)
    return GPTBlock(width, H, 2 * width, dropout, attention_dropout, init, *options)


def block_and_torchs_own(dropout: float = 0.0) -> tuple[GPTBlock, nn.TransformerEncoderLayer]:
    """A GPTBlock and torch's pre-norm encoder layer with the same weights."""
    torch.manual_seed(1)
    ours = gpt_block(dropout)
    theirs = nn.TransformerEncoderLayer(C, H, 32, dropout, activation="gelu", norm_first=True, batch_first=True)
    pairs = [
        (theirs.self_attn.in_proj_weight, ours.attention.qkv.weight),
        (theirs.self_attn.in_proj_bias, ours.attention.qkv.bias),
        (theirs.self_attn.out_proj.weight, ours.attention.out.weight),
        (theirs.self_attn.out_proj.bias, ours.attention.out.bias),
    ]
    for name in ("norm1", "norm2", "linear1", "linear2"):
        their, our = getattr(theirs, name), getattr(ours, name)
        pairs += [(their.weight, our.weight), (their.bias, our.bias)]
    with torch.no_grad():
        for their, our in pairs:
            our.add_(torch.randn_like(our) * 0.1)  # biases and norms begin as 0 and 1, which hides a mix-up
            their.copy_(our)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    return ours, theirs


def causal_mask(size: int) -> torch.Tensor:
    return nn.Transformer.generate_square_subsequent_mask(size)


def test_a_block_gives_what_torchs_own_layer_gives_with_a_causal_mask() -> None:
    ours, theirs = block_and_torchs_own()
    x = torch.randn(B, T, C)
    torch.testing.assert_close(ours(x), theirs(x, src_mask=causal_mask(T), is_causal=True), atol=1e-5, rtol=1e-5)


def test_a_blocks_gradients_are_those_of_torchs_own_layer() -> None:
    ours, theirs = block_and_torchs_own()
    x = torch.randn(B, T, C)
    ours(x).square().sum().backward()
    theirs(x, src_mask=causal_mask(T), is_causal=True).square().sum().backward()
    wanted = theirs.self_attn.in_proj_weight.grad
    torch.testing.assert_close(ours.attention.qkv.weight.grad, wanted, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(ours.linear1.weight.grad, theirs.linear1.weight.grad, atol=1e-3, rtol=1e-4)


def test_attention_is_that_of_the_formula() -> None:
    torch.manual_seed(1)
    attention, x = CausalSelfAttention(C, H, 0.0), torch.randn(B, T, C)
    q, k, v = (part.view(B, T, H, C // H).transpose(1, 2) for part in attention.qkv(x).split(C, -1))
    scores = q @ k.transpose(-1, -2) / math.sqrt(C // H)
    weights = scores.masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf).softmax(-1)
    wanted = attention.out((weights @ v).transpose(1, 2).reshape(B, T, C))
    torch.testing.assert_close(attention(x), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 7, 16])
def test_positions_are_the_waves_of_the_paper(width: int) -> None:
    encoding = PositionalEncoding(50, width, 0.0)
    out = encoding(torch.zeros(1, 50, width))[0]
    for position in (0, 1, 17, 49):
        for channel in range(width):
            angle = position / 10_000 ** (2 * (channel // 2) / width)
            wanted = math.cos(angle) if channel % 2 else math.sin(angle)
            assert out[position, channel].item() == pytest.approx(wanted, abs=1e-4), (position, channel)


def test_positions_are_added_and_are_neither_learned_nor_saved() -> None:
    encoding, x = PositionalEncoding(50, 8, 0.0), torch.randn(2, 5, 8)
    torch.testing.assert_close(encoding(x) - x, encoding.waves[:5].expand(2, 5, 8))
    assert list(encoding.parameters()) == [] and encoding.state_dict() == {}


def test_a_position_past_max_len_is_an_error_that_names_both() -> None:
    encoding = PositionalEncoding(8, 4, 0.0)
    with pytest.raises(ValueError, match="position 8 is past max_len=8"):
        encoding(torch.zeros(1, 9, 4))
    cache: dict = {}
    encoding(torch.zeros(1, 8, 4), cache)
    with pytest.raises(ValueError, match="position 8 is past max_len=8"):
        encoding(torch.zeros(1, 1, 4), cache)


@pytest.mark.parametrize(
    "module",
    [gpt_block(0.5), gpt_block(attention_dropout=0.5), PositionalEncoding(50, C, 0.5), Dropout(0.5)],
    ids=["block", "attention", "positions", "alone"],
)
def test_dropout_acts_in_training_alone(module: nn.Module) -> None:
    x = torch.randn(B, T, C)
    module.train()
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.95])
def test_dropout_keeps_its_share_of_the_values_and_scales_them_so_that_the_mean_stays(p: float) -> None:
    torch.manual_seed(1)
    count = 300_001  # no multiple of 4: the random numbers are drawn 4 at a time
    y = Dropout(p)(torch.ones(count))
    deviation = math.sqrt(p * (1 - p) / count)
    assert (y != 0).double().mean().item() == pytest.approx(1 - p, abs=5 * deviation + 1 / 65_536)
    assert y.double().mean().item() == pytest.approx(1.0, abs=5 * deviation / (1 - p))
    (factor,) = set(y.tolist()) - {0.0}
    assert factor * round((1 - p) * 65_536) == pytest.approx(65_536)


def test_dropout_has_no_pattern_along_or_across_rows() -> None:
    torch.manual_seed(1)
    dropped = (Dropout(0.5)(torch.ones(1000, 1000)) == 0).double() - 0.5
    for shift in [(0, 1), (0, 2), (0, 4), (1, 0), (7, 3)]:
        agreement = (dropped * dropped.roll(shift, (0, 1))).mean().item() * 4
        assert abs(agreement) < 5 / 1000, shift


def test_dropout_passes_the_gradient_where_it_passed_the_value() -> None:
    x = torch.randn(5, 9, requires_grad=True)
    y = Dropout(0.3)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


def test_dropout_repeats_itself_from_the_same_random_state_whatever_the_number_of_threads() -> None:
    dropout, x, threads, found = Dropout(0.1), torch.randn(200, 999), torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            torch.manual_seed(1)
            found.append(dropout(x))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)
    assert not torch.equal(found[0], dropout(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dropout_keeps_the_type_of_its_input(dtype: torch.dtype) -> None:
    x = torch.randn(3, 5, dtype=dtype)
    y = Dropout(0.5)(x)
    assert y.dtype == dtype and y.shape == x.shape


def test_the_rest_are_torchs_own_modules() -> None:
    torch.manual_seed(1)
    ours = [Embedding(9, 4, 1.0, 1.0, ""), LayerNorm(4, 1e-3), Linear(4, 5, True, "")]
    torch.manual_seed(1)
    theirs = [nn.Embedding(9, 4), nn.LayerNorm(4, eps=1e-3), nn.Linear(4, 5)]
    tokens, x = torch.randint(9, (2, 3)), torch.randn(2, 3, 4)
    for our, their, given in zip(ours, theirs, (tokens, x, x), strict=True):
        assert isinstance(our, type(their)) and torch.equal(our(given), their(given))
    assert Linear(4, 5, False, "").bias is None


def test_an_embedding_draws_its_weights_as_wide_as_told_and_scales_what_comes_out() -> None:
    torch.manual_seed(1)
    embedding, tokens = Embedding(1000, 64, 0.125, 8.0, ""), torch.arange(1000)
    assert embedding.weight.std().item() == pytest.approx(0.125, rel=0.02)
    assert torch.equal(embedding(tokens), embedding.weight * 8)


def test_a_linear_remembers_whose_weights_it_is_to_share() -> None:
    head = Linear(4, 9, True, "embedding")
    assert head.tie_to == "embedding" and head.weight.shape == (9, 4)


def test_the_first_weights_are_torchs_own_unless_told() -> None:
    torch.manual_seed(1)
    ours = gpt_block()
    torch.manual_seed(1)
    for shape, mine in (((C, 3 * C), ours.attention.qkv), ((C, C), ours.attention.out), ((C, 2 * C), ours.linear1)):
        their = nn.Linear(*shape)
        assert torch.equal(mine.weight, their.weight) and torch.equal(mine.bias, their.bias)


def test_normal_first_weights_keep_the_size_of_what_goes_through() -> None:
    torch.manual_seed(1)
    block = gpt_block(init="normal", width=256)
    for linear in (block.attention.qkv, block.attention.out, block.linear1, block.linear2):
        assert linear.weight.std().item() == pytest.approx(linear.in_features**-0.5, rel=0.02)
        assert not linear.bias.any()


def test_a_block_that_begins_with_zeros_passes_its_input_on_and_learns_all_the_same() -> None:
    torch.manual_seed(1)
    block, x = gpt_block(init="zero"), torch.randn(B, T, C)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.linear2.weight.grad.any() and block.attention.out.weight.grad.any()


def test_dropout_on_attention_weights_leaves_the_mean_as_it_is() -> None:
    torch.manual_seed(1)
    attention, x = CausalSelfAttention(C, H, 0.3), torch.randn(1, T, C)
    attention.eval()
    wanted = attention(x)
    attention.train()
    with torch.no_grad():
        mean = torch.stack([attention(x) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(mean, wanted, atol=0.03, rtol=0)


def test_a_cache_grows_by_doubling_and_a_token_moves_nothing_that_is_there() -> None:
    block, cache, places = gpt_block().eval(), {}, []
    with torch.inference_mode():
        for _ in range(300):
            block(torch.randn(1, 1, C), cache)
            places.append((cache["k"].data_ptr(), cache["k"].size(2)))
    assert [room for _, room in sorted(set(places), key=places.index)] == [64, 128, 256, 512]
    assert cache["length"] == 300


def test_a_token_sees_itself_and_what_came_before_and_nothing_else() -> None:
    block, x = block_and_torchs_own()[0].eval(), torch.randn(1, T, C, requires_grad=True)
    for position in range(T):
        (gradient,) = torch.autograd.grad(block(x)[0, position].sum(), x)
        reached = gradient[0].abs().sum(-1) > 0
        assert reached.tolist() == [other <= position for other in range(T)]

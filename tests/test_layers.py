"""Modules against torch's own with the same weights, and against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from cortex.layers import CausalSelfAttention, Embedding, GPTBlock, LayerNorm, Linear, PositionalEncoding

B, T, C, H = 3, 7, 16, 4


def block_and_torchs_own(dropout: float = 0.0) -> tuple[GPTBlock, nn.TransformerEncoderLayer]:
    """A GPTBlock and torch's pre-norm encoder layer with the same weights."""
    torch.manual_seed(1)
    ours = GPTBlock(C, H, 32, dropout)
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
    attention, x = CausalSelfAttention(C, H), torch.randn(B, T, C)
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


@pytest.mark.parametrize("module", [GPTBlock(C, H, 32, 0.5), PositionalEncoding(50, C, 0.5)], ids=lambda m: type(m).__name__)
def test_dropout_acts_in_training_alone(module: nn.Module) -> None:
    x = torch.randn(B, T, C)
    module.train()
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


def test_the_rest_are_torchs_own_modules() -> None:
    torch.manual_seed(1)
    ours = [Embedding(9, 4), LayerNorm(4, 1e-3), Linear(4, 5, True)]
    torch.manual_seed(1)
    theirs = [nn.Embedding(9, 4), nn.LayerNorm(4, eps=1e-3), nn.Linear(4, 5)]
    tokens, x = torch.randint(9, (2, 3)), torch.randn(2, 3, 4)
    for our, their, given in zip(ours, theirs, (tokens, x, x), strict=True):
        assert isinstance(our, type(their)) and torch.equal(our(given), their(given))
    assert Linear(4, 5, False).bias is None


def test_a_token_sees_itself_and_what_came_before_and_nothing_else() -> None:
    block, x = block_and_torchs_own()[0].eval(), torch.randn(1, T, C, requires_grad=True)
    for position in range(T):
        (gradient,) = torch.autograd.grad(block(x)[0, position].sum(), x)
        reached = gradient[0].abs().sum(-1) > 0
        assert reached.tolist() == [other <= position for other in range(T)]

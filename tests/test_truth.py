"""Truth from outside: Hugging Face's GPT-2 and torch's own transformer modules with the same weights, and the formulas."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cortex.builder import build, plan
from cortex.graph import Graph, from_json
from cortex.kinds.attention import alibi_slopes, rotated
from cortex.kinds.gpt import GPTBlock
from cortex.kinds.transformer import (
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from cortex.layers import MultiheadAttention
from cortex.params import complete
from cortex.registry import KINDS
from cortex.templates import set_part

B, T, S, C, H = 3, 7, 5, 16, 4
GPT2 = Path(__file__).parents[1] / "examples" / "gpt2-124m.json"


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-5)


def shaken(module: nn.Module) -> nn.Module:
    """With biases and norms that are not 0 and 1, which would hide a mix-up."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return module.eval()


# GPT-2


def small_gpt2() -> Graph:
    """The document of GPT-2 124M with every number made small."""
    graph = from_json(GPT2.read_text()).with_param("embedding", "num_embeddings", 61).with_param("head", "out_features", 61)
    graph = (
        graph.with_param("embedding", "embedding_dim", C).with_param("blocks", "repeat", 2).with_param("data", "seq_len", 32)
    )
    graph = graph.with_param("positions", "max_len", 32)
    return set_part(set_part(graph, "block", "block", "nhead", H), "block", "block", "dim_feedforward", 4 * C)


def weights_of_gpt2(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's weights under the names of the document; its Conv1D keeps its matrices the other way round."""
    names = {"ln_1": "norm1", "ln_2": "norm2", "attn.c_attn": "attention.qkv", "attn.c_proj": "attention.out",
             "mlp.c_fc": "linear1", "mlp.c_proj": "linear2"}  # fmt: skip
    outer = {
        "transformer.wte.weight": "embedding.weight",
        "transformer.wpe.weight": "positions.weight",
        "transformer.ln_f.weight": "norm.weight",
        "transformer.ln_f.bias": "norm.bias",
        "lm_head.weight": "head.weight",
    }
    found = {}
    for key, value in theirs.items():
        if key in outer:
            found[outer[key]] = value
            continue
        _, _, number, name, last = key.replace("attn.c", "attn_c").replace("mlp.c", "mlp_c").split(".")
        name = names[name.replace("_c_", ".c_") if "_c_" in name else name]
        turned = value.t() if last == "weight" and value.dim() == 2 else value
        found[f"blocks_{int(number) + 1}_block.{name}.{last}"] = turned
    return found


def test_gpt2_has_its_published_number_of_parameters() -> None:
    transformers = pytest.importorskip("transformers")
    planned = plan(from_json(GPT2.read_text()), 50_257)
    with torch.device("meta"):
        theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config())
    assert planned.total == sum(parameter.numel() for parameter in theirs.parameters()) == 124_439_808


def test_gpt2_gives_the_logits_of_hugging_face_with_the_same_weights() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    config = transformers.GPT2Config(
        vocab_size=61, n_positions=32, n_embd=C, n_layer=2, n_head=H, bos_token_id=0, eos_token_id=0
    )
    theirs = shaken(transformers.GPT2LMHeadModel(config))
    ours = build(plan(small_gpt2(), 61)).eval()
    weights = weights_of_gpt2(theirs.state_dict())
    assert weights.keys() == ours.state_dict().keys()
    ours.load_state_dict(weights)
    tokens = torch.randint(61, (2, 32))
    with torch.no_grad():
        close(ours.logits(tokens), theirs(tokens).logits)


# torch's own


def copy_attention(theirs: nn.MultiheadAttention, ours: MultiheadAttention) -> None:
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.out_proj.weight.copy_(ours.out.weight)
        if theirs.in_proj_bias is not None:
            theirs.in_proj_bias.copy_(ours.qkv.bias)
            theirs.out_proj.bias.copy_(ours.out.bias)


def copy_layer(theirs: nn.Module, ours: nn.Module) -> None:
    copy_attention(theirs.self_attn, ours.self_attn)
    if hasattr(ours, "multihead_attn"):
        copy_attention(theirs.multihead_attn, ours.multihead_attn)
    for name in ("linear1", "linear2", "norm1", "norm2", "norm3"):
        if hasattr(ours, name):
            getattr(theirs, name).load_state_dict(getattr(ours, name).state_dict())


def padded(rows: int, time: int) -> Tensor:
    """(rows, time) of bool, true where a position is real: rows of different lengths."""
    return torch.arange(time) < torch.arange(time - rows + 1, time + 1).unsqueeze(1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("which", ["itself", "itself, causal", "another"])
def test_attention_is_torchs_own(which: str, bias: bool) -> None:
    torch.manual_seed(1)
    causal = which == "itself, causal"
    ours = shaken(MultiheadAttention(C, H, causal, 0.0, bias))
    theirs = nn.MultiheadAttention(C, H, bias=bias, batch_first=True).eval()
    copy_attention(theirs, ours)
    x = torch.randn(B, T, C)
    key = torch.randn(B, S, C) if which == "another" else x
    value = torch.randn(B, S, C) if which == "another" else x
    mask = nn.Transformer.generate_square_subsequent_mask(T) if causal else None
    close(ours(x, key, value), theirs(x, key, value, attn_mask=mask, need_weights=False)[0])
    if not causal:
        real = padded(B, key.size(1))
        wanted, _ = theirs(x, key, value, key_padding_mask=~real, need_weights=False)
        close(ours(x, key, value, mask=real), wanted)


@pytest.mark.parametrize("activation", ["ReLU", "GELU"])
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_an_encoder_layer_is_torchs_own(norm_first: bool, causal: bool, activation: str) -> None:
    torch.manual_seed(1)
    ours = shaken(TransformerEncoderLayer(C, H, 32, 0.0, activation, norm_first, causal))
    theirs = nn.TransformerEncoderLayer(
        C, H, 32, 0.0, activation=activation.lower(), norm_first=norm_first, batch_first=True
    ).train()  # dropout is 0; in evaluation torch takes another way, which leaves out what is padded
    copy_layer(theirs, ours)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    x, mask = torch.randn(B, T, C), nn.Transformer.generate_square_subsequent_mask(T) if causal else None
    close(ours(x), theirs(x, src_mask=mask, is_causal=causal))
    if not causal:
        real = padded(B, T)
        close(ours(x, mask=real), theirs(x, src_key_padding_mask=~real))


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_decoder_layer_is_torchs_own(norm_first: bool) -> None:
    torch.manual_seed(1)
    ours = shaken(TransformerDecoderLayer(C, H, 32, 0.0, "ReLU", norm_first))
    theirs = nn.TransformerDecoderLayer(C, H, 32, 0.0, norm_first=norm_first, batch_first=True).eval()
    copy_layer(theirs, ours)
    tgt, memory, real = torch.randn(B, T, C), torch.randn(B, S, C), padded(B, S)
    mask = nn.Transformer.generate_square_subsequent_mask(T)
    close(ours(tgt, memory), theirs(tgt, memory, tgt_mask=mask, tgt_is_causal=True))
    wanted = theirs(tgt, memory, tgt_mask=mask, tgt_is_causal=True, memory_key_padding_mask=~real)
    close(ours(tgt, memory, memory_mask=real), wanted)


def test_stacks_are_torchs_own() -> None:
    torch.manual_seed(1)
    x, memory, mask = torch.randn(B, T, C), torch.randn(B, S, C), nn.Transformer.generate_square_subsequent_mask(T)
    encoder = shaken(TransformerEncoder(3, C, H, 32, 0.0, "ReLU", True, False, True))
    layer = nn.TransformerEncoderLayer(C, H, 32, 0.0, norm_first=True, batch_first=True)
    theirs = nn.TransformerEncoder(layer, 3, nn.LayerNorm(C), enable_nested_tensor=False).train()
    for their, our in zip(theirs.layers, encoder.layers, strict=True):
        copy_layer(their, our)
    theirs.norm.load_state_dict(encoder.norm.state_dict())
    close(encoder(x), theirs(x))
    decoder = shaken(TransformerDecoder(3, C, H, 32, 0.0, "ReLU", True, True))
    theirs = nn.TransformerDecoder(
        nn.TransformerDecoderLayer(C, H, 32, 0.0, norm_first=True, batch_first=True), 3, nn.LayerNorm(C)
    )
    for their, our in zip(theirs.layers, decoder.layers, strict=True):
        copy_layer(their, our)
    theirs.norm.load_state_dict(decoder.norm.state_dict())
    close(decoder(x, memory), theirs.eval()(x, memory, tgt_mask=mask))


# The options of a block, by their formulas


def gpt_block(**options: Any) -> GPTBlock:
    torch.manual_seed(1)
    values = complete(KINDS["GPTBlock"].params, {"d_model": C, "nhead": H, "dim_feedforward": 32, "dropout": 0.0, **options})
    return shaken(GPTBlock(**values))


def by_hand(block: GPTBlock, x: Tensor, scores: Any, kv_heads: int = H) -> Tensor:
    """The attention half with these scores of a query and a key at their places, spelt out head by head."""
    qkv, width = block.attention.qkv(block.norm1(x)), C // H
    q, k, v = qkv.split((C, kv_heads * width, kv_heads * width), -1)
    heads = []
    for head in range(H):
        shared = head // (H // kv_heads)
        one = slice(head * width, (head + 1) * width)
        other = slice(shared * width, (shared + 1) * width)
        table = scores(q[..., one], k[..., other], head) / math.sqrt(width)
        later = torch.ones(T, T).triu(1).bool()
        heads.append(table.masked_fill(later, -math.inf).softmax(-1) @ v[..., other])
    return x + block.attention.out(torch.cat(heads, -1))


def feed_forward(block: GPTBlock, x: Tensor, activation: Any) -> Tensor:
    return x + block.linear2(activation(block.linear1(block.norm2(x))))


def dot(q: Tensor, k: Tensor, head: int) -> Tensor:
    return q @ k.transpose(-1, -2)


def turned(x: Tensor) -> Tensor:
    """Each pair of numbers turned as complex numbers are (Su et al. 2021, section 3.2.1)."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous())
    angle = torch.arange(T).unsqueeze(1) * 10_000.0 ** (-2 * torch.arange(x.size(-1) // 2) / x.size(-1))
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


def distance() -> Tensor:
    return torch.arange(T).unsqueeze(1) - torch.arange(T)


def test_shared_keys_and_values_serve_several_heads_of_queries() -> None:
    block, x = gpt_block(num_kv_heads=2), torch.randn(B, T, C)
    close(block(x), feed_forward(block, by_hand(block, x, dot, 2), F.gelu))


def test_rotary_positions_are_those_of_the_paper() -> None:
    block, x = gpt_block(positions="rotary"), torch.randn(B, T, C)
    wanted = by_hand(block, x, lambda q, k, head: dot(turned(q), turned(k), head))
    close(block(x), feed_forward(block, wanted, F.gelu))


def test_rotary_scores_hang_on_the_distance_alone() -> None:
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    found = [float((rotated(q, 5 + shift) * rotated(k, 2 + shift)).sum()) for shift in (0, 1, 40, 300)]
    assert max(found) - min(found) < 1e-4


@pytest.mark.parametrize(
    ("heads", "slopes"),
    [
        (1, [2**-8]),
        (8, [2**-1, 2**-2, 2**-3, 2**-4, 2**-5, 2**-6, 2**-7, 2**-8]),
        (6, [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]),
    ],
)
def test_alibi_slopes_are_those_of_the_paper(heads: int, slopes: list[float]) -> None:
    assert alibi_slopes(heads).flatten().tolist() == pytest.approx(slopes)


def test_alibi_scores_fall_with_the_distance() -> None:
    block, x = gpt_block(positions="ALiBi"), torch.randn(B, T, C)
    slopes = [2 ** (-8 * (head + 1) / H) for head in range(H)]

    def scores(q: Tensor, k: Tensor, head: int) -> Tensor:
        return dot(q, k, head) - slopes[head] * distance() * math.sqrt(C // H)

    close(block(x), feed_forward(block, by_hand(block, x, scores), F.gelu))


def test_a_window_hides_what_is_further_back() -> None:
    block, x = gpt_block(attention="window", window=3), torch.randn(B, T, C)
    wanted = by_hand(block, x, lambda q, k, head: dot(q, k, head).masked_fill(distance() >= 3, -math.inf))
    close(block(x), feed_forward(block, wanted, F.gelu))


def swiglu(x: Tensor) -> Tensor:
    gate, value = x.chunk(2, -1)
    return gate * torch.sigmoid(gate) * value


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("GELU", F.gelu),
        ("tanh-GELU", lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
        ("ReLU", lambda x: x.clamp(min=0)),
        ("SiLU", lambda x: x * torch.sigmoid(x)),
        ("SwiGLU", swiglu),
    ],
)
def test_activations_are_those_of_their_formulas(name: str, formula: Any) -> None:
    block, x = gpt_block(activation=name), torch.randn(B, T, C)
    close(block(x), feed_forward(block, by_hand(block, x, dot), formula))


def test_a_block_without_biases_has_none() -> None:
    assert [name for name, _ in gpt_block(bias=False).named_parameters() if name.endswith("bias")] == []


def test_rms_norm_stands_where_it_is_asked_for() -> None:
    block, x = gpt_block(norm="RMSNorm"), torch.randn(B, T, C)
    wanted = x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-6) * block.norm1.weight
    close(block.norm1(x), wanted)

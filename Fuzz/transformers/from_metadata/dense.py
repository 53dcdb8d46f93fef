"""Decoders whose blocks are attention and one feed-forward network."""

from __future__ import annotations

from typing import Any

import torch

from from_metadata import (
    Expression, Metadata, Positions, architecture, attention, decoder, layer_types, magnified, mixture, rope, sizes,
    windowed_layers,
)
from protocol import Unsupported
from strategies import Configuration


@architecture("llama")
def llama(m: Metadata) -> Expression:
    if m.get("expert_count", 0) == 0:
        values = decoder(m, attention_bias=True, mlp_bias=True)
        return Expression(Configuration("LlamaForCausalLM", values), adjust=magnified(m))
    values = decoder(m, **mixture(m, "num_local_experts"), sliding_window=None)
    return Expression(Configuration("MixtralForCausalLM", values), adjust=magnified(m))


@architecture("qwen2")
def qwen2(m: Metadata) -> Expression:
    return Expression(Configuration("Qwen2ForCausalLM", without_head_size(decoder(m))), adjust=magnified(m))


@architecture("qwen3")
def qwen3(m: Metadata) -> Expression:
    return Expression(Configuration("Qwen3ForCausalLM", decoder(m, attention_bias=True)), adjust=magnified(m))


@architecture("starcoder2")
def starcoder2(m: Metadata) -> Expression:
    values = sizes(m) | attention(m) | {
        "intermediate_size": m.get("feed_forward_length"), "norm_epsilon": m.get("attention.layer_norm_epsilon"),
        "rope_parameters": rope(m), "use_bias": True, "sliding_window": None,
    }
    return Expression(Configuration("Starcoder2ForCausalLM", without_head_size(values)), adjust=magnified(m))


@architecture("gemma")
def gemma(m: Metadata) -> Expression:
    return Expression(Configuration("GemmaForCausalLM", decoder(m, attention_bias=True)), adjust=magnified(m))


@architecture("gemma2")
def gemma2(m: Metadata) -> Expression:
    one_base(m)
    values = decoder(
        m, attention_bias=True, sliding_window=m.get("attention.sliding_window", 4096),
        layer_types=layer_types(windowed_layers(m, 2)),
        attn_logit_softcapping=m.get("attn_logit_softcapping", 50.0),
        final_logit_softcapping=m.get("final_logit_softcapping", 30.0))
    values["query_pre_attn_scalar"] = scaled_by(values, layers_of_27b=46)
    return Expression(Configuration("Gemma2ForCausalLM", values), counts_window=True, adjust=magnified(m))


@architecture("gemma3")
def gemma3(m: Metadata) -> Expression:
    window = m.get("attention.sliding_window", 0)
    windowed = windowed_layers(m, 6) if window else [False] * m.layers
    values = decoder(
        m, attention_bias=True, sliding_window=m.means("attention.sliding_window", window or 1),
        layer_types=layer_types(windowed))
    values["rope_parameters"] = {
        "full_attention": values["rope_parameters"],
        "sliding_attention": {
            "rope_type": "default", "rope_theta": m.get("rope.freq_base_swa", 10000.0, is_converted=window > 0)},
    }
    cap = m.get("final_logit_softcapping", 0.0)
    values |= {"final_logit_softcapping": cap or None, "query_pre_attn_scalar": scaled_by(values, layers_of_27b=62)}
    configuration = Configuration("Gemma3ForCausalLM", values, tokenizer="sentencepiece")
    return Expression(configuration, counts_window=any(windowed), adjust=magnified(m))


@architecture("olmo2")
def olmo2(m: Metadata) -> Expression:
    values = without_head_size(decoder(m, attention_bias=True))
    window = m.get("attention.sliding_window", 0)
    if window == 0:
        return Expression(Configuration("Olmo2ForCausalLM", values), adjust=magnified(m))
    windowed = windowed_layers(m, 4)
    base = m.get("rope.freq_base_swa", values["rope_parameters"]["rope_theta"])
    values |= {"sliding_window": window, "layer_types": layer_types(windowed), "rope_parameters": {
        "full_attention": values["rope_parameters"],
        "sliding_attention": {"rope_type": "default", "rope_theta": base},
    }}
    return Expression(
        Configuration("Olmo3ForCausalLM", values), counts_window=any(windowed), adjust=magnified(m, windows=False))


@architecture("gpt2")
def gpt2(m: Metadata) -> Expression:
    """Learned positions. Files say that the feed-forward network is four times as wide, whatever it is."""
    context = m.get("context_length")
    values = {
        **ungrouped(m, "n_head"), "n_embd": m.get("embedding_length"), "n_layer": m.layers, "n_positions": context,
        "n_inner": m.get("feed_forward_length", is_converted=False),
        "layer_norm_epsilon": m.get("attention.layer_norm_epsilon"),
    }
    configuration = Configuration("GPT2LMHeadModel", values, published={"n_ctx": context})
    return Expression(configuration, depends_on_differences=False)


@architecture("bloom")
def bloom(m: Metadata) -> Expression:
    """Positions by biases of the scores."""
    width = m.get("embedding_length")
    if m.get("feed_forward_length") != 4 * width:
        raise Unsupported("feed_forward_length: no four times the width")
    values = {
        **ungrouped(m, "n_head"), "hidden_size": width, "n_layer": m.layers,
        "layer_norm_epsilon": m.get("attention.layer_norm_epsilon"),
    }
    return Expression(Configuration("BloomForCausalLM", values), positions=Positions.COUNTED, adjust=exact_root)


def exact_root(model: torch.nn.Module) -> None:
    """BLOOM's code has √(2/π) of its GELU in eight digits, which is off by 1e-9."""
    for block in model.transformer.h:
        block.mlp.gelu_impl = torch.nn.GELU(approximate="tanh")


def ungrouped(m: Metadata, heads: str) -> dict[str, Any]:
    """Sizes where each head has its own keys and values. - Parameter heads: the name of the field."""
    fields = sizes(m) | attention(m)
    if fields["num_key_value_heads"] != fields["num_attention_heads"]:
        raise Unsupported("attention.head_count_kv: grouped heads")
    kept = ("vocab_size", "tie_word_embeddings", "bos_token_id", "eos_token_id")
    return {name: fields[name] for name in kept} | {heads: fields["num_attention_heads"]}


def without_head_size(values: dict[str, Any]) -> dict[str, Any]:
    """Of classes whose heads divide the width."""
    if values["head_dim"] * values["num_attention_heads"] != values["hidden_size"]:
        raise Unsupported("attention.key_length: heads that are not the width together")
    return {name: value for name, value in values.items() if name != "head_dim"}


def scaled_by(values: dict[str, Any], layers_of_27b: int) -> int:
    """By whose root the scores are divided: of the model of 27 billion, the width over the heads."""
    if values["num_hidden_layers"] == layers_of_27b:
        return values["hidden_size"] // values["num_attention_heads"]
    return values["head_dim"]


def one_base(m: Metadata) -> None:
    """Layers with and without a window rotate alike."""
    base = m.get("rope.freq_base", 10000.0)
    if m.get("rope.freq_base_swa", base, is_converted=False) != base:
        raise Unsupported("rope.freq_base_swa: a base of its own")

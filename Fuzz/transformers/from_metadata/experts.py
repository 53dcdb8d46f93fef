"""Decoders whose blocks are attention and a mixture of experts."""

from __future__ import annotations

from typing import Any

from from_metadata import (
    Expression, Metadata, architecture, decoder, expert_size, layer_types, magnified, mixture, rope, sizes,
    windowed_layers,
)
from from_metadata.dense import one_base, without_head_size
from protocol import Unsupported
from strategies import Configuration

SOFTMAX, SIGMOID, SOFTMAX_OF_SELECTED = 1, 2, 3
CHUNK = 8192


@architecture("qwen3moe")
def qwen3moe(m: Metadata) -> Expression:
    size = m.get("feed_forward_length", 0, is_converted=False) or 1
    values = decoder(
        m, **mixture(m), intermediate_size=size, moe_intermediate_size=expert_size(m), norm_topk_prob=True,
        attention_bias=True)
    return Expression(Configuration("Qwen3MoeForCausalLM", values), adjust=magnified(m))


@architecture("olmoe")
def olmoe(m: Metadata) -> Expression:
    """Files say 1e-5 of every norm, whatever the model's is."""
    values = without_head_size(decoder(m, **mixture(m), norm_topk_prob=False, attention_bias=True))
    values["rms_norm_eps"] = m.get("attention.layer_norm_rms_epsilon", is_converted=False)
    return Expression(Configuration("OlmoeForCausalLM", values), adjust=magnified(m))


@architecture("gpt-oss")
def gpt_oss(m: Metadata) -> Expression:
    one_base(m)
    size = m.one("expert_feed_forward_length")
    values = decoder(
        m, **mixture(m, "num_local_experts"), intermediate_size=size, attention_bias=True,
        sliding_window=m.get("attention.sliding_window"), layer_types=layer_types(windowed_layers(m, 2)))
    if values["rope_parameters"]["rope_type"] == "yarn":
        values["rope_parameters"]["truncate"] = False
    return Expression(Configuration("GptOssForCausalLM", values), counts_window=True, adjust=magnified(m))


@architecture("llama4")
def llama4(m: Metadata) -> Expression:
    """Positions step a temperature, and lie in chunks; with a window of 0, all blocks rotate and none has chunks."""
    one_base(m)
    m.expect("expert_gating_func", SIGMOID, absent=SIGMOID)
    has_chunks = m.get("attention.sliding_window", CHUNK, is_converted=False) != 0
    rotates = [int(not has_chunks or (layer + 1) % 4 != 0) for layer in range(m.layers)]
    chunked = windowed_layers(m, 4) if has_chunks else [False] * m.layers
    step = m.get("interleave_moe_layer_step")
    m.means("interleave_moe_layer_step", step or 1)
    values = decoder(
        m, **mixture(m, "num_local_experts"), intermediate_size=expert_size(m),
        intermediate_size_mlp=m.get("feed_forward_length"), interleave_moe_layer_step=step or 1,
        moe_layers=list(range(step - 1, m.layers, step)) if step else [], no_rope_layers=rotates,
        layer_types=layer_types(chunked, "chunked_attention"), attention_chunk_size=CHUNK,
        use_qk_norm=m.get("expert_count") != 128, attention_bias=True)
    return Expression(
        Configuration("Llama4ForCausalLM", values), depends_on_differences=False, counts_window=any(chunked),
        adjust=magnified(m))


@architecture("deepseek2")
def deepseek2(m: Metadata) -> Expression:
    """V2 chooses by softmax, V3 by sigmoids and a bias."""
    m.expect("attention.temperature_scale", 0.0, absent=0.0)
    values = sizes(m) | latent_attention(m) | shared_experts(m) | {
        "rms_norm_eps": m.get("attention.layer_norm_rms_epsilon"), "rope_parameters": rope(m, rotated=None),
        "q_lora_rank": compressed_queries(m),
    }
    magnitude = m.get("rope.scaling.yarn_log_multiplier", 0.0)
    if magnitude != 0 and values["rope_parameters"]["rope_type"] == "yarn":
        values["rope_parameters"] |= {"mscale": 10 * magnitude, "mscale_all_dim": 10 * magnitude}
    dense = m.get("leading_dense_block_count", 0)
    values |= {"first_k_dense_replace": dense, "intermediate_size": m.get("feed_forward_length") if dense else 1}
    gating = m.get("expert_gating_func", SOFTMAX)
    if gating == SIGMOID:
        scored_by_two(m)
        values["num_mtp_layers"] = 0
        published = {"scoring_func": "sigmoid", "topk_method": "noaux_tc"}
        configuration = Configuration("DeepseekV3ForCausalLM", values, published=published)
    elif gating == SOFTMAX and not m.has("exp_probs_b.bias"):
        m.expect("expert_weights_norm", False, absent=False)
        if values["qk_nope_head_dim"] % 2 or values["kv_lora_rank"] % 2:
            raise Unsupported("rotated elements at an odd offset, which are no complex numbers")
        values["topk_method"] = "group_limited_greedy" if values["n_group"] > 1 else "greedy"
        configuration = Configuration("DeepseekV2ForCausalLM", values)
    else:
        raise Unsupported(f"expert_gating_func {gating}{' with a bias' if gating == SOFTMAX else ''}")
    return Expression(configuration, adjust=magnified(m))


def compressed_queries(m: Metadata) -> int | None:
    """Of none the converter says 1536: its own reader takes what is null for the default."""
    rank = m.get("attention.q_lora_rank", 0)
    return rank or m.get("attention.q_lora_rank", None, is_converted=False) or None


def latent_attention(m: Metadata) -> dict[str, Any]:
    """Attention whose cache holds the latent vector alone, as the converter writes it, or all keys and values."""
    heads = m.get("attention.head_count")
    latent, rotated = m.get("attention.kv_lora_rank"), m.get("rope.dimension_count")
    key_size, value_size = m.get("attention.key_length_mla", 0), m.get("attention.value_length_mla", 0)
    row, row_value = m.get("attention.key_length"), m.get("attention.value_length", is_converted=False)
    if key_size == 0:
        key_size, value_size = row, row_value
        m.means("attention.head_count_kv", 1)
        m.means("attention.key_length", latent + rotated)
        m.means("attention.key_length_mla", key_size)
        m.means("attention.value_length_mla", value_size)
    return {
        "num_attention_heads": heads, "num_key_value_heads": heads, "kv_lora_rank": latent,
        "qk_rope_head_dim": rotated, "qk_nope_head_dim": key_size - rotated, "v_head_dim": value_size,
        "head_dim": rotated, "attention_bias": m.has("attn_q_a.bias", "attn_kv_a_mqa.bias", "attn_output.bias"),
    }


def shared_experts(m: Metadata) -> dict[str, Any]:
    """Experts in groups, beside those that are always used."""
    return groups(m) | {
        "n_routed_experts": m.get("expert_count"), "num_experts_per_tok": m.get("expert_used_count"),
        "n_shared_experts": m.get("expert_shared_count"), "moe_intermediate_size": m.get("expert_feed_forward_length"),
        "norm_topk_prob": m.get("expert_weights_norm", False),
        "routed_scaling_factor": m.means("expert_weights_scale", m.get("expert_weights_scale", 0.0) or 1.0),
    }


def groups(m: Metadata) -> dict[str, Any]:
    """Groups of experts, and how many of them a token may use; without groups, all are one."""
    count = m.means("expert_group_count", m.get("expert_group_count", 0) or 1)
    used = m.means("expert_group_used_count", m.get("expert_group_used_count", 1) if count > 1 else 1)
    return {"n_group": count, "topk_group": used}


def scored_by_two(m: Metadata) -> None:
    """A group's score is the sum of its best two: where there are no groups, all experts are one."""
    if m.get("expert_count") < 2 * (m.get("expert_group_count", 0) or 1):
        raise Unsupported("expert_count: fewer than two experts in a group")

"""Models with state space, convolution or delta rule blocks, alone or between attention blocks."""

from __future__ import annotations

from typing import Any

from from_metadata import (
    Expression, Metadata, Positions, alike, architecture, attention, expert_size, magnified, mixture, rope, sizes,
)
from from_metadata.experts import SIGMOID, latent_attention, shared_experts
from protocol import Unsupported
from strategies import Configuration


@architecture("mamba")
def mamba(m: Metadata) -> Expression:
    values = sizes(m) | {
        "layer_norm_epsilon": m.get("attention.layer_norm_rms_epsilon"), "conv_kernel": m.get("ssm.conv_kernel"),
        "state_size": m.get("ssm.state_size"), "time_step_rank": m.get("ssm.time_step_rank"),
        "expand": times(m.get("ssm.inner_size"), m.get("embedding_length")),
    }
    norms_steps = m.get("ssm.dt_b_c_rms", False)
    configuration = Configuration("FalconMambaForCausalLM" if norms_steps else "MambaForCausalLM", values)
    return Expression(configuration, positions=Positions.UNUSED)


@architecture("mamba2")
def mamba2(m: Metadata) -> Expression:
    inner, heads = m.get("ssm.inner_size"), m.get("ssm.time_step_rank")
    values = sizes(m) | {
        "layer_norm_epsilon": m.get("attention.layer_norm_rms_epsilon"), "conv_kernel": m.get("ssm.conv_kernel"),
        "state_size": m.get("ssm.state_size"), "num_heads": heads, "head_dim": inner // heads,
        "n_groups": m.get("ssm.group_count"), "expand": times(inner, m.get("embedding_length")),
    }
    return Expression(Configuration("Mamba2ForCausalLM", values), positions=Positions.UNUSED)


@architecture("jamba")
def jamba(m: Metadata) -> Expression:
    """Attention and experts are in every so many blocks."""
    key_heads = m.each("attention.head_count_kv", m.one("attention.head_count"))
    attention_period, attention_offset = periodic([count > 0 for count in key_heads], "attention.head_count_kv")
    heads, width = m.one("attention.head_count"), m.get("embedding_length")
    values = sizes(m) | {
        "num_attention_heads": heads, "num_key_value_heads": of_those(key_heads, "attention.head_count_kv"),
        "intermediate_size": m.get("feed_forward_length"), "rms_norm_eps": m.get("attention.layer_norm_rms_epsilon"),
        "attn_layer_period": attention_period, "attn_layer_offset": attention_offset, "num_experts": 1,
        "mamba_d_conv": m.get("ssm.conv_kernel"), "mamba_d_state": m.get("ssm.state_size"),
        "mamba_dt_rank": m.get("ssm.time_step_rank"), "mamba_expand": times(m.get("ssm.inner_size"), width),
    }
    routed = m.layers_with("ffn_gate_inp.weight")
    if m.get("expert_count", 0) > 0 and any(routed):
        expert_period, expert_offset = periodic(routed, "ffn_gate_inp")
        values |= mixture(m) | {"expert_layer_period": expert_period, "expert_layer_offset": expert_offset}
    return Expression(Configuration("JambaForCausalLM", values, tokenizer="sentencepiece"), positions=Positions.UNUSED)


def short_convolutions(m: Metadata) -> dict[str, Any]:
    key_heads = m.each("attention.head_count_kv", m.one("attention.head_count"))
    return sizes(m) | {
        "num_attention_heads": m.one("attention.head_count"),
        "num_key_value_heads": of_those(key_heads, "attention.head_count_kv"),
        "intermediate_size": m.get("feed_forward_length"), "norm_eps": m.get("attention.layer_norm_rms_epsilon"),
        "conv_L_cache": m.get("shortconv.l_cache"), "rope_parameters": rope(m),
        "layer_types": ["full_attention" if count > 0 else "conv" for count in key_heads],
    }


@architecture("lfm2")
def lfm2(m: Metadata) -> Expression:
    m.expect("attention.sliding_window", 0, absent=0)
    values = short_convolutions(m) | {"block_auto_adjust_ff_dim": False}
    return Expression(Configuration("Lfm2ForCausalLM", values), adjust=magnified(m))


@architecture("lfm2moe")
def lfm2moe(m: Metadata) -> Expression:
    m.expect("expert_gating_func", SIGMOID, absent=None)
    values = short_convolutions(m) | mixture(m) | {
        "moe_intermediate_size": m.get("expert_feed_forward_length"),
        "num_dense_layers": m.get("leading_dense_block_count", 0), "use_expert_bias": True, "norm_topk_prob": True,
    }
    return Expression(Configuration("Lfm2MoeForCausalLM", values), adjust=magnified(m))


@architecture("qwen3next")
def qwen3next(m: Metadata) -> Expression:
    interval = m.get("full_attention_interval", 4, is_converted=False)
    every = [(layer + 1) % interval != 0 for layer in range(m.layers)]
    recurrent = m.each("attention.recurrent_layers", every, is_converted=False)
    state = m.get("ssm.state_size")
    m.get("ssm.inner_size")
    heads = attention(m)
    rope_parameters = rope(m, rotated=None)
    rope_parameters["partial_rotary_factor"] = m.get("rope.dimension_count", heads["head_dim"]) / heads["head_dim"]
    values = sizes(m) | heads | mixture(m) | {
        "attention_bias": True, "intermediate_size": m.get("feed_forward_length"), "norm_topk_prob": True,
        "rms_norm_eps": m.get("attention.layer_norm_rms_epsilon"), "rope_parameters": rope_parameters,
        "layer_types": ["linear_attention" if flag else "full_attention" for flag in recurrent],
        "linear_conv_kernel_dim": m.get("ssm.conv_kernel"), "linear_key_head_dim": state,
        "linear_value_head_dim": state, "linear_num_key_heads": m.get("ssm.group_count"),
        "linear_num_value_heads": m.get("ssm.time_step_rank"), "moe_intermediate_size": expert_size(m),
        "shared_expert_intermediate_size": m.get("expert_shared_feed_forward_length", m.get("feed_forward_length")),
    }
    configuration = Configuration("Qwen3NextForCausalLM", values, converter={"no_mtp": True})
    return Expression(configuration, adjust=magnified(m))


@architecture("kimi-linear")
def kimi_linear(m: Metadata) -> Expression:
    m.expect("expert_gating_func", SIGMOID, absent=None)
    recurrent = [count == 0 for count in m.each("attention.head_count_kv", 1)]
    heads, dense = m.get("attention.head_count"), m.get("leading_dense_block_count", 0)
    values = sizes(m) | latent_attention(m) | shared_experts(m) | {
        "intermediate_size": m.get("feed_forward_length") if dense else 1, "norm_topk_prob": True,
        "rms_norm_eps": m.get("attention.layer_norm_rms_epsilon"), "linear_head_dim": m.get("kda.head_dim"),
        "linear_num_heads": heads, "linear_conv_kernel_dim": m.get("ssm.conv_kernel"),
        "layer_types": ["linear_attention" if flag else "full_attention" for flag in recurrent],
        "mlp_layer_types": ["dense" if layer < dense else "sparse" for layer in range(m.layers)],
    }
    return Expression(Configuration("KimiLinearForCausalLM", values), positions=Positions.UNUSED)


@architecture("nemotron_h", "nemotron_h_moe")
def nemotron_h(m: Metadata) -> Expression:
    """Each block is one of three or, with experts, four kinds."""
    key_heads = m.each("attention.head_count_kv", m.one("attention.head_count"))
    feed_forward = m.each("feed_forward_length", [0] * m.layers)
    is_sparse = m.get("expert_count", 0) > 0
    feed = "moe" if is_sparse else "mlp"
    kinds = [feed if fed else "full_attention" if heads else "linear_attention"
             for fed, heads in zip(feed_forward, key_heads)]
    inner, ssm_heads = m.get("ssm.inner_size"), m.get("ssm.time_step_rank")
    epsilon = m.get("attention.layer_norm_epsilon")
    values = sizes(m) | attention_of_some(m, key_heads) | {
        "layers_block_type": kinds, "layer_norm_epsilon": m.get("attention.layer_norm_rms_epsilon", epsilon),
        "intermediate_size": of_those(feed_forward, "feed_forward_length"), "ssm_state_size": m.get("ssm.state_size"),
        "conv_kernel": m.get("ssm.conv_kernel"), "n_groups": m.get("ssm.group_count"), "mamba_num_heads": ssm_heads,
        "mamba_head_dim": inner // ssm_heads, "attention_bias": True, "mlp_bias": not is_sparse,
        # Steps are not clamped in the authors' own code.
        "time_step_min": 0.0,
    }
    del values["num_hidden_layers"]
    return Expression(Configuration("NemotronHForCausalLM", values), positions=Positions.UNUSED)


def attention_of_some(m: Metadata, key_heads: list[int]) -> dict[str, Any]:
    heads, width = m.one("attention.head_count"), m.get("embedding_length")
    return {
        "num_attention_heads": heads, "num_key_value_heads": of_those(key_heads, "attention.head_count_kv"),
        "head_dim": m.get("attention.key_length", width // heads),
    }


def times(inner: int, width: int) -> int:
    if inner % width != 0:
        raise Unsupported(f"ssm.inner_size {inner}: no multiple of {width}")
    return inner // width


def of_those(counts: list[int], key: str) -> int:
    """What is the same for all layers that have it."""
    return alike((count for count in counts if count > 0), key) if any(counts) else 1


def periodic(flags: list[bool], what: str) -> tuple[int, int]:
    """The period and the offset by which layers have something."""
    layers = len(flags)
    for period in range(1, layers + 2):
        for offset in range(period):
            if flags == [layer % period == offset for layer in range(layers)]:
                return period, offset
    raise Unsupported(f"{what} in layers of no period")

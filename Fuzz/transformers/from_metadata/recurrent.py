"""Models with state space, convolution or delta rule blocks, alone or between attention blocks."""

from __future__ import annotations

import math
from typing import Any

import torch

from from_metadata import (
    Expression, Metadata, Positions, alike, architecture, attention, expert_size, magnified, mixture, rope, sizes,
)
from from_metadata.experts import SIGMOID, groups, latent_attention, scored_by_two, shared_experts
from protocol import Unsupported
from strategies import Configuration

BLOCKS = {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}


@architecture("mamba")
def mamba(m: Metadata) -> Expression:
    values = sizes(m) | {
        "layer_norm_epsilon": m.get("attention.layer_norm_rms_epsilon"), "conv_kernel": m.get("ssm.conv_kernel"),
        "state_size": m.get("ssm.state_size"), "time_step_rank": m.get("ssm.time_step_rank"),
        "expand": times(m.get("ssm.inner_size"), m.get("embedding_length")), "use_bias": True,
    }
    m.means("attention.head_count", 0)
    norms_steps = m.get("ssm.dt_b_c_rms", False)
    configuration = Configuration("FalconMambaForCausalLM" if norms_steps else "MambaForCausalLM", values)
    return Expression(configuration, positions=Positions.UNUSED)


@architecture("mamba2")
def mamba2(m: Metadata) -> Expression:
    inner, heads = m.get("ssm.inner_size"), m.get("ssm.time_step_rank")
    values = sizes(m) | {
        "layer_norm_epsilon": m.get("attention.layer_norm_rms_epsilon"), "conv_kernel": m.get("ssm.conv_kernel"),
        "state_size": m.get("ssm.state_size"), "num_heads": heads, "head_dim": inner // heads,
        "n_groups": m.get("ssm.group_count"), "expand": times(inner, m.get("embedding_length")), "use_bias": True,
    }
    m.means("attention.head_count", 0)
    return Expression(Configuration("Mamba2ForCausalLM", values), positions=Positions.UNUSED)


@architecture("jamba")
def jamba(m: Metadata) -> Expression:
    """Attention and experts are in every so many blocks."""
    key_heads = m.each("attention.head_count_kv", m.one("attention.head_count"))
    attention_period, attention_offset = periodic([count > 0 for count in key_heads], "attention.head_count_kv")
    expert_period, expert_offset = periodic(m.layers_with("ffn_gate_inp.weight"), "ffn_gate_inp")
    experts = m.means("expert_count", m.get("expert_count", 0) or 1)
    used = m.means("expert_used_count", m.get("expert_used_count", 1))
    values = sizes(m) | attention_of_some(m, key_heads) | {
        "intermediate_size": m.get("feed_forward_length"), "rms_norm_eps": m.get("attention.layer_norm_rms_epsilon"),
        "attn_layer_period": attention_period, "attn_layer_offset": attention_offset,
        "expert_layer_period": expert_period, "expert_layer_offset": expert_offset,
        "num_experts": experts, "num_experts_per_tok": used, "mamba_proj_bias": True,
        "mamba_d_conv": m.get("ssm.conv_kernel"), "mamba_d_state": m.get("ssm.state_size"),
        "mamba_dt_rank": m.get("ssm.time_step_rank"),
        "mamba_expand": times(m.get("ssm.inner_size"), m.get("embedding_length")),
    }
    m.expect("expert_group_count", 0, 1, absent=0)
    del values["head_dim"]
    return Expression(Configuration("JambaForCausalLM", values, tokenizer="sentencepiece"), positions=Positions.UNUSED)


def short_convolutions(m: Metadata) -> dict[str, Any]:
    key_heads = m.each("attention.head_count_kv", m.one("attention.head_count"))
    values = sizes(m) | attention_of_some(m, key_heads) | {
        "intermediate_size": m.get("feed_forward_length"), "norm_eps": m.get("attention.layer_norm_rms_epsilon"),
        "conv_L_cache": m.get("shortconv.l_cache"), "rope_parameters": rope(m),
        "layer_types": ["full_attention" if count > 0 else "conv" for count in key_heads],
    }
    del values["head_dim"]
    return values


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
    m.expect("expert_gating_func", SIGMOID, absent=SIGMOID)
    scored_by_two(m)
    key_heads, heads = m.each("attention.head_count_kv", 1), m.get("attention.head_count")
    dense = m.get("leading_dense_block_count", 0)
    values = sizes(m) | latent_attention(m) | shared_experts(m) | {
        "intermediate_size": m.get("feed_forward_length") if dense else 1, "first_k_dense_replace": dense,
        "norm_topk_prob": True, "rms_norm_eps": m.get("attention.layer_norm_rms_epsilon"),
        "moe_router_activation_func": "sigmoid", "linear_attn_config": {
            "head_dim": m.get("kda.head_dim"), "num_heads": heads, "short_conv_kernel_size": m.get("ssm.conv_kernel"),
            "full_attn_layers": [layer + 1 for layer, count in enumerate(key_heads) if count > 0],
            "kda_layers": [layer + 1 for layer, count in enumerate(key_heads) if count == 0],
        },
    }
    values["num_local_experts"] = values.pop("n_routed_experts")
    return Expression(Configuration("KimiLinearForCausalLM", values, family="kimi-linear"), positions=Positions.UNUSED)


KEYS_OF_EXPERTS = (
    "layers_block_type", "num_experts_per_tok", "n_routed_experts", "n_shared_experts", "n_group", "topk_group",
    "norm_topk_prob", "routed_scaling_factor", "moe_intermediate_size", "moe_shared_expert_intermediate_size")


@architecture("nemotron_h", "nemotron_h_moe")
def nemotron_h(m: Metadata) -> Expression:
    """Each block has one part: dense or sparse feed-forward networks, attention, or a state space."""
    is_sparse = m.get("expert_count", 0) > 0
    key_heads = m.each("attention.head_count_kv", m.one("attention.head_count"))
    feed_forward = m.each("feed_forward_length", [0] * m.layers, is_converted=not is_sparse)
    blocks = "".join(("E" if is_sparse else "-") if fed else "*" if heads else "M"
                     for fed, heads in zip(feed_forward, key_heads))
    key_heads = m.means("attention.head_count_kv", [0 if fed else heads for fed, heads in zip(feed_forward, key_heads)])
    epsilon = m.get("attention.layer_norm_rms_epsilon", m.get("attention.layer_norm_epsilon"))
    m.means("attention.layer_norm_epsilon", epsilon)
    inner, heads = m.get("ssm.inner_size"), m.get("ssm.time_step_rank")
    values = sizes(m) | attention_of_some(m, key_heads) | {
        "layers_block_type": [BLOCKS[block] for block in blocks], "ssm_state_size": m.get("ssm.state_size"),
        "layer_norm_epsilon": epsilon, "conv_kernel": m.get("ssm.conv_kernel"), "n_groups": m.get("ssm.group_count"),
        "mamba_num_heads": heads, "mamba_head_dim": inner // heads, "use_bias": True,
    }
    del values["num_hidden_layers"]
    published = {"d_head": inner // heads}
    if is_sparse:
        values |= experts_of_some(m, feed_forward)
    else:
        values |= {"intermediate_size": of_those(feed_forward, "feed_forward_length"), "mlp_bias": True}
        # As published: transformers' own configuration says more of experts than the converter can bear.
        published |= dict.fromkeys(KEYS_OF_EXPERTS) | {
            "model_type": "nemotron_h_of_its_authors", "hybrid_override_pattern": blocks, "num_hidden_layers": m.layers}
    configuration = Configuration("NemotronHForCausalLM", values, published=published)
    return Expression(configuration, positions=Positions.UNUSED, adjust=unclamped)


def unclamped(model: torch.nn.Module) -> None:
    """Time steps have no bounds in the code that was published with the models."""
    for module in model.modules():
        if hasattr(module, "time_step_limit"):
            module.time_step_limit = (0.0, math.inf)


def experts_of_some(m: Metadata, feed_forward: list[int]) -> dict[str, Any]:
    """Of the blocks that have a feed-forward network; the keys hold a value for each block."""
    def common(key: str, absent: list[int] | int) -> int:
        values = m.each(key, absent, is_converted=False)
        return of_those([value if fed else 0 for value, fed in zip(values, feed_forward)], key)

    used = common("expert_used_count", 1)
    shares = [fed // used for fed in feed_forward]
    m.means("expert_shared_count", 1)
    scored_by_two(m)
    return groups(m) | {
        "n_routed_experts": m.get("expert_count"), "num_experts_per_tok": used,
        "moe_intermediate_size": common("expert_feed_forward_length", shares),
        "n_shared_experts": 1, "moe_shared_expert_intermediate_size": m.get("expert_shared_feed_forward_length", 1),
        "moe_latent_size": m.get("moe_latent_size", 0) or None, "norm_topk_prob": m.get("expert_weights_norm", False),
        "routed_scaling_factor": m.means("expert_weights_scale", m.get("expert_weights_scale", 0.0) or 1.0),
    }


def attention_of_some(m: Metadata, key_heads: list[int]) -> dict[str, Any]:
    """Of the blocks that have heads of keys."""
    m.get("attention.value_length", None, is_converted=False)
    heads, width = m.one("attention.head_count"), m.get("embedding_length")
    return {
        "num_attention_heads": heads, "num_key_value_heads": of_those(key_heads, "attention.head_count_kv"),
        "head_dim": m.get("attention.key_length", width // heads, is_converted=False),
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

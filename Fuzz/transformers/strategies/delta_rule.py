"""Models with delta rules: Qwen3-Next, Kimi-Linear, RWKV-7."""

from __future__ import annotations

from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` and `tokenizer` name
import rwkv7
from strategies import (
    PROMPTS, VOCABULARY, Configuration, Draw, converter_drops, converter_ignores, converter_ignores_rope,
    converter_refuses, integers, llama_cpp_differs, llama_cpp_refuses_bias, rarely, rope, strategy,
)
from strategies.dense import activation, decoder
from strategies.deepseek import grouped_experts, latent_attention
from strategies.experts import SIZES, YARN_ONLY_IN_TRANSFORMERS, experts_and_used
from strategies.recurrent import has_layers_of_one_kind


@strategy("qwen3next")
def qwen3next(draw: Draw) -> Configuration:
    """Qwen3-Next: gated delta rule, and every few blocks gated attention of which a part is rotated."""
    layers = draw(st.integers(1, 4))
    head_size = draw(integers(8, 32, 8))
    experts, used = experts_and_used(draw)
    key_heads = draw(st.integers(1, 3))
    delta_size = draw(integers(4, 16, 4))
    parameters = draw(rope(head_size // 4, ("default", "linear", "yarn")))
    values = decoder(
        draw, num_hidden_layers=layers, head_dim=head_size, num_experts=experts, num_experts_per_tok=used,
        moe_intermediate_size=draw(SIZES), shared_expert_intermediate_size=draw(SIZES),
        linear_num_key_heads=key_heads, linear_num_value_heads=key_heads * draw(st.integers(1, 3)),
        linear_key_head_dim=delta_size, linear_value_head_dim=2 * delta_size if rarely(draw) else delta_size,
        linear_conv_kernel_dim=draw(st.integers(2, 5)), attention_bias=rarely(draw),
        hidden_act=activation(draw, "silu"), norm_topk_prob=not rarely(draw),
        rope_parameters=parameters | {"partial_rotary_factor": 0.25},
        layer_types=draw(st.lists(
            st.sampled_from(["linear_attention", "full_attention"]), min_size=layers, max_size=layers)))
    predicts = draw(st.booleans())
    options = {"fuse_gate_up_exps": draw(st.booleans()), "no_mtp": not predicts or rarely(draw)}
    return Configuration(
        "Qwen3NextForCausalLM", values, tokens=draw(PROMPTS), converter=options,
        family="with-prediction" if predicts else "transformers")


@converter_refuses("qwen3next", "values of the delta rule of another size than its keys: engines know one size")
def qwen3next_value_size(configuration: Configuration) -> bool:
    values = configuration.values
    return values["linear_value_head_dim"] != values["linear_key_head_dim"]


llama_cpp_differs("qwen3next", "blocks of one kind only: aborts")(has_layers_of_one_kind)
llama_cpp_refuses_bias("qwen3next")
converter_ignores("qwen3next", "hidden_act", "silu")
converter_ignores("qwen3next", "norm_topk_prob", True)
converter_ignores_rope("qwen3next", *YARN_ONLY_IN_TRANSFORMERS)


for _architecture in ("qwen3next", "kimi-linear"):
    @llama_cpp_differs(_architecture, "queries and keys of delta rules are normed with the epsilon of other norms")
    def delta_rule_epsilon(configuration: Configuration) -> bool:
        return configuration.values["rms_norm_eps"] > 1e-5


@strategy("kimi-linear")
def kimi_linear(draw: Draw) -> Configuration:
    """Kimi-Linear: a delta rule of one decay a channel, and every few blocks latent attention without positions."""
    layers = draw(st.integers(1, 4))
    values = decoder(
        draw, **latent_attention(draw), **grouped_experts(draw), num_hidden_layers=layers,
        hidden_act=activation(draw, "silu"))
    full = draw(st.sets(st.integers(1, layers)))
    values |= {
        "num_experts": values.pop("n_routed_experts"),
        "first_k_dense_replace": draw(st.integers(0, layers)),
        "moe_router_activation_func": "sigmoid",
        "linear_attn_config": {
            "num_heads": draw(st.integers(1, 4)) if rarely(draw) else values["num_attention_heads"],
            "head_dim": draw(integers(4, 16, 4)),
            "short_conv_kernel_size": draw(st.integers(2, 5)),
            "full_attn_layers": sorted(full),
            "kda_layers": sorted(set(range(1, layers + 1)) - full),
        },
    }
    if not rarely(draw):
        values |= {"q_lora_rank": None, "attention_bias": False}
    if not rarely(draw):
        values |= {"n_group": 1, "topk_group": 1, "norm_topk_prob": True}
    return Configuration("KimiLinearForCausalLM", values, tokens=draw(PROMPTS), family="kimi-linear")


@converter_refuses("kimi-linear", "compressed queries or biases of attention: engines know neither in Kimi-Linear")
def kimi_attention(configuration: Configuration) -> bool:
    return configuration.values["q_lora_rank"] is not None or configuration.values.get("attention_bias", False)


@converter_refuses("kimi-linear", "heads of the delta rule as many as no head count of the file")
def kimi_delta_heads(configuration: Configuration) -> bool:
    values = configuration.values
    return values["linear_attn_config"]["num_heads"] != values["num_attention_heads"]


@llama_cpp_differs("kimi-linear", "blocks of one kind only: aborts")
def kimi_of_one_kind(configuration: Configuration) -> bool:
    layers = configuration.values["linear_attn_config"]
    return not layers["full_attn_layers"] or not layers["kda_layers"]


converter_ignores("kimi-linear", "hidden_act", "silu")
converter_ignores("kimi-linear", "norm_topk_prob", True)


@converter_drops("kimi-linear", "groups of experts")
def kimi_groups(configuration: Configuration) -> Configuration | None:
    if configuration.values["n_group"] == 1:
        return None
    return configuration.with_values(n_group=1, topk_group=1)


@strategy("rwkv7")
def goose(draw: Draw) -> Configuration:
    """RWKV-7, whose class is its author's own."""
    head_size = draw(integers(4, 32, 4)) if draw(st.booleans()) else 64
    values = {
        "vocab_size": draw(VOCABULARY), "hidden_size": draw(st.integers(1, 4)) * head_size, "head_dim": head_size,
        "num_hidden_layers": draw(st.integers(1, 3)), "intermediate_size": draw(integers(8, 96, 4)), "norm_eps": 1e-5,
    }
    values |= {name: draw(st.integers(2, 24)) for name in rwkv7.LOW_RANK.values()}
    return Configuration("RWKV_x070", values, tokens=draw(PROMPTS), tokenizer="rwkv", family="rwkv7")


@llama_cpp_differs("rwkv7", "heads of another size than 64: crashes or gives nonsense")
def goose_heads(configuration: Configuration) -> bool:
    return configuration.values["head_dim"] != 64

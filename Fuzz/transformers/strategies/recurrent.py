"""Models with state space or convolution blocks, alone or between attention blocks."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` and `tokenizer` name
from strategies import (
    EPSILONS, PROMPTS, Configuration, Draw, converter_ignores, converter_ignores_rope, converter_refuses, integers,
    llama_cpp_differs, rarely, rope, strategy,
)
from strategies.dense import activation, decoder, head_size_of
from strategies.experts import SCALES, SIZES, YARN_ONLY_IN_TRANSFORMERS, experts_and_used


def state_spaces(draw: Draw) -> dict[str, Any]:
    """What models without attention have."""
    return {
        "vocab_size": draw(st.sampled_from([320, 336])),  # The converter pads to multiples of 8 and of 16.
        "hidden_size": draw(integers(16, 64, 8)),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "conv_kernel": draw(st.integers(2, 5)),
        "layer_norm_epsilon": draw(EPSILONS),
        "use_bias": rarely(draw),
        "use_conv_bias": not rarely(draw),
        "tie_word_embeddings": draw(st.booleans()),
        "hidden_act": activation(draw, "silu"),
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3,
    }


@strategy("mamba")
def mamba(draw: Draw) -> Configuration:
    """Mamba, and Falcon-Mamba, which norms what the step, the input and the output are made of."""
    values = state_spaces(draw)
    values |= {"state_size": draw(integers(4, 20, 4)), "time_step_rank": draw(st.integers(1, 8))}
    if rarely(draw):
        values["expand"] = draw(st.sampled_from([1, 3]))
    if draw(st.booleans()):
        return Configuration("MambaForCausalLM", values, tokens=draw(PROMPTS))
    if rarely(draw):
        values["mixer_rms_eps"] = draw(st.sampled_from([1e-5, 1e-2]))
    return Configuration("FalconMambaForCausalLM", values, tokens=draw(PROMPTS))


@converter_refuses("mamba", "a state space of another width than twice the model's")
def mamba_expand(configuration: Configuration) -> bool:
    return configuration.values.get("expand", 2) != 2


@llama_cpp_differs("mamba", "Falcon-Mamba's norms within a mixer have the epsilon of those between blocks")
def falcon_mamba_epsilon(configuration: Configuration) -> bool:
    is_falcon = configuration.model_class.startswith("Falcon")
    return is_falcon and configuration.values["layer_norm_epsilon"] != 1e-6


converter_ignores("mamba", "mixer_rms_eps", 1e-6)


def unbiased_convolutions(configuration: Configuration) -> bool:
    values = configuration.values
    return not values.get("use_conv_bias", values.get("mamba_conv_bias", True))


def biased_projections(configuration: Configuration) -> bool:
    values = configuration.values
    return values.get("use_bias", values.get("mamba_proj_bias", False))


for _architecture in ("mamba", "mamba2", "jamba"):
    converter_ignores(_architecture, "hidden_act", "silu")
    llama_cpp_differs(_architecture, "convolutions without biases: refused or crashes")(unbiased_convolutions)
    llama_cpp_differs(_architecture, "biases of projections: refused as tensors too many")(biased_projections)


@strategy("mamba2")
def mamba2(draw: Draw) -> Configuration:
    groups = draw(st.integers(1, 3))
    heads = groups * draw(st.integers(1, 3)) * 2
    expand = draw(st.sampled_from([1, 2]))
    head_size = draw(integers(4, 16, 4))
    values = state_spaces(draw) | {
        "num_heads": heads, "head_dim": head_size, "hidden_size": heads * head_size // expand, "expand": expand,
        "state_size": draw(integers(4, 20, 4)), "n_groups": groups, "chunk_size": draw(st.sampled_from([8, 256])),
    }
    if rarely(draw):
        values["time_step_limit"] = [0.5, 0.75]
    return Configuration("Mamba2ForCausalLM", values, tokens=draw(PROMPTS))


converter_ignores("mamba2", "time_step_limit", [0.0, float("inf")])


def period(draw: Draw, layers: int) -> tuple[int, int]:
    """Every so many blocks one, and which is the first."""
    every = draw(st.integers(1, layers + 1))
    return every, draw(st.integers(0, every - 1))


@strategy("jamba")
def jamba(draw: Draw) -> Configuration:
    layers = draw(st.integers(1, 4))
    attention_period, attention_offset = period(draw, layers)
    expert_period, expert_offset = period(draw, layers)
    experts, used = experts_and_used(draw, 4)
    values = decoder(
        draw, num_hidden_layers=layers, num_experts=experts, num_experts_per_tok=used,
        attn_layer_period=attention_period, attn_layer_offset=attention_offset,
        expert_layer_period=expert_period, expert_layer_offset=expert_offset,
        mamba_d_state=draw(integers(4, 20, 4)), mamba_d_conv=draw(st.integers(2, 5)),
        mamba_expand=draw(st.sampled_from([1, 3])) if rarely(draw) else 2, mamba_dt_rank=draw(st.integers(1, 8)),
        mamba_conv_bias=not rarely(draw), mamba_proj_bias=rarely(draw),
        hidden_act=activation(draw, "silu"))
    return Configuration("JambaForCausalLM", values, tokens=draw(PROMPTS), tokenizer="sentencepiece")


@llama_cpp_differs("jamba", "a state space of another width than twice the model's: aborts")
def jamba_expand(configuration: Configuration) -> bool:
    return configuration.values["mamba_expand"] != 2


@llama_cpp_differs("jamba", "blocks of one kind only: aborts")
def jamba_of_one_kind(configuration: Configuration) -> bool:
    values = configuration.values
    kinds = {layer % values["attn_layer_period"] == values["attn_layer_offset"]
             for layer in range(values["num_hidden_layers"])}
    return len(kinds) == 1


def convolutions(draw: Draw, values: dict[str, Any]) -> dict[str, Any]:
    """What LFM2 and its mixture of experts share."""
    layers = values["num_hidden_layers"]
    values = {name: value for name, value in values.items() if name != "rms_norm_eps"} | {
        "norm_eps": draw(EPSILONS),
        "conv_L_cache": draw(st.integers(2, 5)),
        "layer_types": draw(st.lists(st.sampled_from(["conv", "full_attention"]), min_size=layers, max_size=layers)),
        "rope_parameters": draw(rope(head_size_of(values), ("default", "linear", "yarn"))),
    }
    if rarely(draw):
        values["conv_bias"] = True
    return values


def has_layers_of_one_kind(configuration: Configuration) -> bool:
    values = configuration.values
    return len(set(values.get("layer_types") or values["layers_block_type"])) == 1


@strategy("lfm2")
def lfm2(draw: Draw) -> Configuration:
    """LFM2, and its models of embeddings, of which ColBERT's are projected."""
    values = convolutions(draw, decoder(draw))
    values["block_auto_adjust_ff_dim"] = draw(st.booleans())
    if values["block_auto_adjust_ff_dim"]:
        values |= {
            "block_multiple_of": draw(st.sampled_from([4, 16])),
            "block_ffn_dim_multiplier": draw(st.sampled_from([1.0, 1.25, 0.5])),
        }
    options = {"fuse_qkv": draw(st.booleans())}
    if draw(st.integers(0, 3)) < 3:
        return Configuration("Lfm2ForCausalLM", values, tokens=draw(PROMPTS), converter=options)
    pooling = draw(st.sampled_from(["last", "mean", "cls"]))
    if draw(st.booleans()):
        return Configuration("Lfm2Model", values, tokens=draw(PROMPTS), converter=options, pooling=pooling)
    values["projection_dim"] = draw(integers(4, 24, 4))
    return Configuration(
        "Lfm2Model", values, tokens=draw(PROMPTS), converter=options, pooling=pooling, family="projected")


@strategy("lfm2moe")
def lfm2moe(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    values = convolutions(draw, decoder(draw, tie_word_embeddings=not rarely(draw)))
    values |= {
        "num_experts": experts, "num_experts_per_tok": used, "moe_intermediate_size": draw(SIZES),
        "num_dense_layers": draw(st.integers(0, values["num_hidden_layers"])),
        "use_expert_bias": not rarely(draw),
    }
    if rarely(draw):
        values |= {"norm_topk_prob": draw(st.booleans()), "routed_scaling_factor": draw(SCALES)}
    return Configuration("Lfm2MoeForCausalLM", values, tokens=draw(PROMPTS))


@converter_refuses("lfm2moe", "a head of its own, or no bias that chooses experts: engines know neither")
def lfm2moe_tensors(configuration: Configuration) -> bool:
    values = configuration.values
    has_experts = values["num_dense_layers"] < values["num_hidden_layers"]
    return not values.get("tie_word_embeddings", True) or has_experts and not values["use_expert_bias"]


for _architecture in ("lfm2", "lfm2moe"):
    @converter_refuses(_architecture, "biases of convolutions")
    def convolution_biases(configuration: Configuration) -> bool:
        return configuration.values.get("conv_bias", False)

    llama_cpp_differs(_architecture, "blocks of one kind only: aborts")(has_layers_of_one_kind)
    converter_ignores_rope(_architecture, *YARN_ONLY_IN_TRANSFORMERS)

converter_ignores("lfm2moe", "norm_topk_prob", True)
converter_ignores("lfm2moe", "routed_scaling_factor", 1.0)

"""Nemotron-H and Nemotron 3: blocks of one kind each, state spaces, attention, dense networks or experts."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` and `tokenizer` name
from strategies import (
    EPSILONS, PROMPTS, Configuration, Draw, converter_ignores, converter_refuses, integers, llama_cpp_differs, rarely,
    strategy, transformers_differs,
)
from strategies.dense import decoder
from strategies.experts import SIZES
from strategies.deepseek import grouped_experts, looks_at_all_groups
from strategies.recurrent import biased_projections, unbiased_convolutions

EXPERT_KEYS = (
    "n_routed_experts", "num_experts_per_tok", "n_shared_experts", "moe_intermediate_size", "n_group", "topk_group",
    "moe_shared_expert_intermediate_size", "moe_latent_size", "routed_scaling_factor", "norm_topk_prob",
)
BLOCKS = {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}


def nemotron(draw: Draw, blocks: str) -> dict[str, Any]:
    """Nemotron-H, of blocks of the given kinds."""
    groups = draw(st.integers(1, 3))
    head_size = draw(st.sampled_from([16, 32, 64]))
    # The converter wants a state space whose width is a multiple of 64.
    mamba_heads = groups * draw(st.integers(1, 2)) * (64 // head_size if not rarely(draw) else 1)
    pattern = draw(st.lists(st.sampled_from(blocks), min_size=1, max_size=5))
    if set(pattern) == {"*"} and not rarely(draw):
        pattern.append("M")
    values = decoder(
        draw, vocab_size=draw(st.sampled_from([320, 336])),  # The converter pads to a multiple of 8.
        head_dim=draw(integers(4, 24, 2)), layers_block_type=[BLOCKS[block] for block in pattern],
        mamba_num_heads=mamba_heads, mamba_head_dim=head_size, n_groups=groups, ssm_state_size=draw(integers(4, 20, 4)),
        conv_kernel=draw(st.integers(2, 5)), chunk_size=draw(st.sampled_from([8, 128])),
        layer_norm_epsilon=draw(EPSILONS), use_bias=rarely(draw), mlp_bias=draw(st.booleans()),
        mlp_hidden_act="gelu" if rarely(draw) else "relu2", attention_bias=draw(st.booleans()),
        use_conv_bias=not rarely(draw))
    return {name: value for name, value in values.items() if name not in ("rms_norm_eps", "num_hidden_layers")}


@strategy("nemotron_h")
def nemotron_h(draw: Draw) -> Configuration:
    """Nemotron-H without experts, as published.

    What its class writes has keys of experts even where there are none, and the converter takes it at its word.
    """
    values = nemotron(draw, "M*-")
    published = {} if rarely(draw) else as_published(values)
    return Configuration("NemotronHForCausalLM", values, tokens=draw(PROMPTS), published=published)


def as_published(values: dict[str, Any]) -> dict[str, Any]:
    """What published files say in place of what the class writes.

    Of a model type that transformers does not know, as it did not when they were published, the converter reads these.
    """
    names = {kind: block for block, kind in BLOCKS.items()}
    return {
        "model_type": "nemotron_h_of_its_authors",
        "hybrid_override_pattern": "".join(names[kind] for kind in values["layers_block_type"]),
        "num_hidden_layers": len(values["layers_block_type"]),
        **dict.fromkeys(["layers_block_type", *EXPERT_KEYS]),
    }


@converter_refuses("nemotron_h", "what transformers' own class writes: becomes nemotron_h_moe without dense blocks")
def nemotron_h_native(configuration: Configuration) -> bool:
    return not configuration.published


@converter_refuses("nemotron_h", "attention blocks only: becomes granite")
def nemotron_h_attention(configuration: Configuration) -> bool:
    return set(configuration.values["layers_block_type"]) == {"full_attention"}


@strategy("nemotron_h_moe")
def nemotron_h_moe(draw: Draw) -> Configuration:
    """Nemotron 3: experts, of which some work on a compressed stream."""
    values = nemotron(draw, "M*E" if not rarely(draw) else "M*E-") | grouped_experts(draw) | {
        "moe_shared_expert_intermediate_size": draw(SIZES),
        "moe_latent_size": draw(st.none() | integers(4, 24, 4)),
        "mlp_bias": rarely(draw),
    }
    values["num_nextn_predict_layers"] = draw(st.integers(0, 1))
    return Configuration(
        "NemotronHForCausalLM", values, tokens=draw(PROMPTS), converter={"no_mtp": rarely(draw)},
        family="with-prediction" if values["num_nextn_predict_layers"] else "transformers")


@converter_refuses("nemotron_h_moe", "dense blocks beside blocks with experts: their length is written as 0")
def nemotron_h_moe_dense(configuration: Configuration) -> bool:
    return "mlp" in configuration.values["layers_block_type"]


@converter_refuses("nemotron_h_moe", "biases of experts: engines know none")
def nemotron_h_moe_biases(configuration: Configuration) -> bool:
    values = configuration.values
    has_experts = "moe" in values["layers_block_type"] or values.get("num_nextn_predict_layers", 0) > 0
    return values["mlp_bias"] and has_experts


llama_cpp_differs("nemotron_h_moe", "groups of experts that are all looked at: aborts")(looks_at_all_groups)


@converter_refuses("nemotron_h_moe", "attention blocks only: becomes granitemoe")
def nemotron_h_moe_attention(configuration: Configuration) -> bool:
    return set(configuration.values["layers_block_type"]) == {"full_attention"}


for _architecture in ("nemotron_h", "nemotron_h_moe"):
    converter_ignores(_architecture, "mlp_hidden_act", "relu2")
    llama_cpp_differs(_architecture, "convolutions without biases: crashes")(unbiased_convolutions)
    llama_cpp_differs(_architecture, "biases of projections: refused as tensors too many")(biased_projections)

    @llama_cpp_differs(_architecture, "no state space, or no attention: aborts")
    def lacks_a_kind(configuration: Configuration) -> bool:
        return not {"linear_attention", "full_attention"} <= set(configuration.values["layers_block_type"])

    @converter_refuses(_architecture, "a state space whose width is no multiple of 64")
    def narrow_state_space(configuration: Configuration) -> bool:
        return configuration.values["mamba_num_heads"] * configuration.values["mamba_head_dim"] % 64 != 0

    @transformers_differs(_architecture, "Δt = max(softplus(·), time_step_min)")
    def unclamped_steps(model: torch.nn.Module, configuration: Configuration) -> bool:
        """Mamba-2's own code and that published with the models have no floor: their `time_step_limit` is (0, ∞)."""
        mixers = [module for module in model.modules() if hasattr(module, "time_step_limit")]
        for mixer in mixers:
            mixer.time_step_limit = (0.0, float("inf"))
        return bool(mixers)

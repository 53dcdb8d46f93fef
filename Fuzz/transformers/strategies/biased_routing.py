"""Decoders with experts that sigmoids weigh, and a bias that chooses and does not weigh."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` and `tokenizer` name
from strategies import (
    PROMPTS, THETAS, Configuration, Draw, converter_drops, converter_ignores, converter_ignores_rope, converter_refuses,
    integers, llama_cpp_differs, llama_cpp_refuses_bias, rarely, rope, strategy,
)
from strategies.dense import WINDOWS, activation, decoder
from strategies.deepseek import first_dense, grouped_experts, looks_at_all_groups
from strategies.experts import SCALES, SIZES, YARN_ONLY_IN_TRANSFORMERS, experts_and_used

SIGMOID = {"scoring_func": "sigmoid"}
"""Published, and no argument of classes that know nothing else."""
SCALINGS = ("default", "linear", "yarn")


def partly_rotated(draw: Draw, head_size: int, scalings: tuple[str, ...] = SCALINGS) -> dict[str, Any]:
    """A rotary embedding of all of a head or half of it."""
    half = head_size % 4 == 0 and draw(st.booleans())
    factor = 0.5 if half else 1.0
    return draw(rope(int(head_size * factor), scalings)) | {"partial_rotary_factor": factor}


def windowed(draw: Draw, layers: int) -> list[str]:
    """Which layers have a window."""
    kinds = st.sampled_from(["sliding_attention", "full_attention"])
    return draw(st.lists(kinds, min_size=layers, max_size=layers))


@strategy("glm4moe")
def glm4moe(draw: Draw) -> Configuration:
    head_size = draw(integers(4, 32, 4))
    values = decoder(
        draw, head_dim=head_size, hidden_act=activation(draw, "silu"), attention_bias=draw(st.booleans()),
        use_qk_norm=draw(st.booleans()), **grouped_experts(draw))
    values["rope_parameters"] = partly_rotated(draw, head_size)
    values["first_k_dense_replace"] = first_dense(draw, values)
    values["num_nextn_predict_layers"] = draw(st.integers(0, 1))
    family = "with-prediction" if values["num_nextn_predict_layers"] else "transformers"
    return Configuration(
        "Glm4MoeForCausalLM", values, tokens=draw(PROMPTS), tokenizer="glm", family=family,
        converter={"no_mtp": draw(st.booleans()), "fuse_qkv": draw(st.booleans())})


llama_cpp_differs("glm4moe", "groups of experts that are all looked at: aborts")(looks_at_all_groups)
converter_ignores("glm4moe", "hidden_act", "silu")
converter_ignores_rope("glm4moe", *YARN_ONLY_IN_TRANSFORMERS)


@strategy("minimax-m2")
def minimax_m2(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    head_size = draw(integers(4, 32, 4))
    values = decoder(
        draw, head_dim=head_size, hidden_act=activation(draw, "silu"), intermediate_size=draw(SIZES),
        num_local_experts=experts, num_experts_per_tok=used, tie_word_embeddings=rarely(draw))
    values["rope_parameters"] = partly_rotated(draw, head_size)
    rotated = int(head_size * values["rope_parameters"]["partial_rotary_factor"])
    return Configuration(
        "MiniMaxM2ForCausalLM", values, tokens=draw(PROMPTS), published=SIGMOID | {"rotary_dim": rotated},
        converter={"fuse_qkv": draw(st.booleans())})


@llama_cpp_differs("minimax-m2", "a tied head: refused")
def minimax_m2_tied(configuration: Configuration) -> bool:
    return configuration.values["tie_word_embeddings"]


converter_ignores("minimax-m2", "hidden_act", "silu")
converter_ignores_rope("minimax-m2", *YARN_ONLY_IN_TRANSFORMERS)


@strategy("hy_v3")
def hy_v3(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    layers = draw(st.integers(1, 4))
    values = decoder(
        draw, num_hidden_layers=layers, head_dim=draw(integers(4, 32, 2)), hidden_act=activation(draw, "silu"),
        attention_bias=rarely(draw), moe_intermediate_size=draw(SIZES), num_experts=experts, num_experts_per_tok=used,
        num_shared_experts=draw(st.integers(1, 2)), router_scaling_factor=draw(SCALES),
        mlp_layer_types=draw(st.lists(st.sampled_from(["sparse", "dense"]), min_size=layers, max_size=layers)))
    values["rope_parameters"] = draw(rope(values["head_dim"], SCALINGS))
    return Configuration(
        "HYV3ForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


llama_cpp_refuses_bias("hy_v3")
converter_ignores("hy_v3", "hidden_act", "silu")
converter_ignores_rope("hy_v3", *YARN_ONLY_IN_TRANSFORMERS)


@strategy("afmoe")
def afmoe(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    layers = draw(st.integers(1, 5))
    head_size = draw(integers(4, 32, 2))
    values = decoder(
        draw, num_hidden_layers=layers, head_dim=head_size, hidden_act=activation(draw, "silu"),
        attention_bias=rarely(draw), moe_intermediate_size=draw(SIZES), num_experts=experts, num_experts_per_tok=used,
        num_shared_experts=draw(st.integers(1, 2)), route_scale=draw(SCALES), sliding_window=draw(WINDOWS),
        num_dense_layers=draw(st.integers(0, layers)), mup_enabled=not rarely(draw))
    values["rope_parameters"] = draw(rope(head_size, SCALINGS))
    if rarely(draw):
        values["layer_types"] = windowed(draw, layers)
    return Configuration(
        "AfmoeForCausalLM", values, tokens=draw(PROMPTS), published={"route_norm": True, "score_func": "sigmoid"},
        converter={"fuse_qkv": draw(st.booleans())})


llama_cpp_refuses_bias("afmoe")
converter_ignores("afmoe", "hidden_act", "silu")
converter_ignores("afmoe", "mup_enabled", True)
converter_ignores_rope("afmoe", *YARN_ONLY_IN_TRANSFORMERS)


@converter_drops("afmoe", "layer_types")
def afmoe_layer_types(configuration: Configuration) -> Configuration | None:
    return fourth_is_full(configuration, first=False)


def fourth_is_full(configuration: Configuration, first: bool) -> Configuration | None:
    """With full attention in each fourth layer, counted from the first one or not; None where it is so already."""
    layers = configuration.values["num_hidden_layers"]
    every = [
        "full_attention" if (layer + (0 if first else 1)) % 4 == 0 else "sliding_attention" for layer in range(layers)]
    if configuration.values.get("layer_types", every) == every:
        return None
    return configuration.with_values(layer_types=every)


@strategy("laguna")
def laguna(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    layers = draw(st.integers(1, 5))
    head_size = draw(integers(4, 32, 4))
    values = decoder(
        draw, num_hidden_layers=layers, head_dim=head_size, hidden_act=activation(draw, "silu"),
        attention_bias=rarely(draw), moe_intermediate_size=draw(SIZES), num_experts=experts, num_experts_per_tok=used,
        shared_expert_intermediate_size=draw(SIZES), moe_routed_scaling_factor=draw(SCALES),
        sliding_window=draw(WINDOWS))
    groups = values["num_key_value_heads"]
    values["num_attention_heads_per_layer"] = [groups * draw(st.integers(1, 3)) for _ in range(layers)]
    values["num_attention_heads"] = values["num_attention_heads_per_layer"][0]
    dense = draw(st.integers(0, layers))
    values["mlp_layer_types"] = ["dense"] * dense + ["sparse"] * (layers - dense)
    values["layer_types"] = [
        "full_attention" if layer % 4 == 0 else "sliding_attention" for layer in range(layers)]
    if rarely(draw):
        values["layer_types"] = windowed(draw, layers)
    values["gating"] = draw(st.sampled_from([True, "per-head", "per-element"]))
    values["rope_parameters"] = {
        "full_attention": partly_rotated(draw, head_size),
        "sliding_attention": partly_rotated(draw, head_size, ("default",))}
    if rarely(draw):
        values["moe_router_logit_softcapping"] = 2.0
    return Configuration(
        "LagunaForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


llama_cpp_refuses_bias("laguna")
converter_ignores("laguna", "hidden_act", "silu")
converter_ignores("laguna", "moe_router_logit_softcapping", 0.0)
converter_ignores_rope("laguna", *YARN_ONLY_IN_TRANSFORMERS)


@converter_drops("laguna", "layer_types")
def laguna_layer_types(configuration: Configuration) -> Configuration | None:
    return fourth_is_full(configuration, first=True)


@strategy("mimo2")
def mimo2(draw: Draw) -> Configuration:
    experts = grouped_experts(draw)
    del experts["n_shared_experts"]
    layers = draw(st.integers(1, 4))
    head_size = draw(integers(4, 32, 4))
    groups = draw(st.integers(1, 2))
    values = decoder(
        draw, num_hidden_layers=layers, head_dim=head_size, v_head_dim=draw(integers(4, 32, 4)),
        num_attention_heads=2 * groups * draw(st.integers(1, 2)), num_key_value_heads=groups,
        hidden_act=activation(draw, "silu"), attention_bias=rarely(draw), sliding_window=draw(WINDOWS),
        attention_value_scale=draw(st.sampled_from([0.75, 1.0, 2.0])), tie_word_embeddings=rarely(draw), **experts)
    if not rarely(draw):
        values |= {"norm_topk_prob": True, "routed_scaling_factor": 1.0}
    values["mlp_layer_types"] = draw(st.lists(st.sampled_from(["sparse", "dense"]), min_size=layers, max_size=layers))
    values["layer_types"] = windowed(draw, layers)
    full = partly_rotated(draw, head_size)
    values["rope_parameters"] = {"full_attention": full, "sliding_attention": {
        "rope_type": "default", "rope_theta": draw(THETAS), "partial_rotary_factor": full["partial_rotary_factor"]}}
    # Of both kinds of layers, as published.
    values["hidden_size"] = values["num_attention_heads"] * draw(integers(4, 16, 4))
    return Configuration(
        "MiMoV2FlashForCausalLM", values, tokens=draw(PROMPTS), published=mimo2_published(values), gain=2.5,
        converter={"no_mtp": True})


def mimo2_published(values: dict[str, Any]) -> dict[str, Any]:
    """What published files of this model say in other words."""
    full, sliding = (values["rope_parameters"][kind] for kind in ("full_attention", "sliding_attention"))
    return SIGMOID | {
        "topk_method": "noaux_tc",
        "hybrid_layer_pattern": [int(kind == "sliding_attention") for kind in values["layer_types"]],
        "swa_num_attention_heads": values["num_attention_heads"],
        "swa_num_key_value_heads": 2 * values["num_key_value_heads"],
        "swa_head_dim": values["head_dim"], "swa_v_head_dim": values["v_head_dim"],
        "layernorm_epsilon": values["rms_norm_eps"], "rope_theta": full["rope_theta"],
        "swa_rope_theta": sliding["rope_theta"], "partial_rotary_factor": full["partial_rotary_factor"],
        "rope_parameters": full,
    }


@llama_cpp_differs("mimo2", "a tied head: refused")
def mimo2_tied(configuration: Configuration) -> bool:
    return configuration.values["tie_word_embeddings"]


llama_cpp_differs("mimo2", "groups of experts that are all looked at: aborts")(looks_at_all_groups)
converter_ignores("mimo2", "hidden_act", "silu")
converter_ignores("mimo2", "norm_topk_prob", True)
converter_ignores("mimo2", "routed_scaling_factor", 1.0)
converter_ignores_rope("mimo2", *YARN_ONLY_IN_TRANSFORMERS)

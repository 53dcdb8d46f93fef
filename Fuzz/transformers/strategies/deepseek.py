"""DeepSeek-V2 and V3 and those who followed: latent attention, and experts in groups."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` and `tokenizer` name
from strategies import (
    PROMPTS, Configuration, Draw, converter_drops, converter_ignores, converter_ignores_rope, integers,
    llama_cpp_differs, llama_cpp_refuses_bias, rarely, rope, strategy,
)
from strategies.dense import activation, decoder
from strategies.experts import SCALES, SIZES


def latent_attention(draw: Draw) -> dict[str, Any]:
    """Multi-head latent attention: what is compressed, and which part of a head is rotated."""
    query_heads = draw(st.integers(1, 4))
    return {
        "num_attention_heads": query_heads,
        "num_key_value_heads": query_heads,
        "hidden_size": query_heads * draw(integers(4, 16, 4)),
        "kv_lora_rank": draw(integers(4, 24, 2)),
        "q_lora_rank": draw(integers(4, 24, 2)),
        "qk_nope_head_dim": draw(integers(2, 16, 2)),
        "qk_rope_head_dim": draw(integers(2, 16, 2)),
        "v_head_dim": draw(integers(2, 20, 2)),
        "attention_bias": rarely(draw),
    }


def grouped_experts(draw: Draw) -> dict[str, Any]:
    """Experts in groups, of which the best ones are looked at, beside experts that are always used."""
    groups = draw(st.integers(1, 4))
    size = draw(st.integers(2, 4))  # A group's score is the sum of its best two.
    used_groups = groups if rarely(draw) else draw(st.integers(1, max(1, groups - 1)))
    return {
        "n_group": groups,
        "topk_group": used_groups,
        "n_routed_experts": groups * size,
        "num_experts_per_tok": draw(st.integers(1, used_groups * size)),
        "n_shared_experts": draw(st.integers(1, 2)),
        "moe_intermediate_size": draw(SIZES),
        "routed_scaling_factor": draw(SCALES),
        "norm_topk_prob": draw(st.booleans()),
    }


def looks_at_all_groups(configuration: Configuration) -> bool:
    values = configuration.values
    return 1 < values.get("n_group", 1) == values["topk_group"]


def deepseek(draw: Draw, **more: Any) -> dict[str, Any]:
    values = decoder(draw, **latent_attention(draw), hidden_act=activation(draw, "silu")) | more
    parameters = draw(rope(values["qk_rope_head_dim"], ("yarn", "default", "linear")))
    if parameters["rope_type"] == "yarn" and draw(st.booleans()):
        scale = draw(st.sampled_from([1.0, 0.75, 0.5]))
        parameters |= {"mscale": scale, "mscale_all_dim": scale}
    if rarely(draw):
        values["q_lora_rank"] = None
        if draw(st.booleans()):
            # Engines know by the number of blocks that the published models of this size compress no queries.
            values["num_hidden_layers"] = draw(st.sampled_from([26, 27]))
    return values | {"rope_parameters": parameters}


def deepseek_configuration(draw: Draw, model_class: str, values: dict[str, Any], **more: Any) -> Configuration:
    """Deep models are made to multiply rounding errors less."""
    gain = 0.6 if values["num_hidden_layers"] > 3 else 1.3
    return Configuration(model_class, values, tokens=draw(PROMPTS), gain=gain, **more)


def first_dense(draw: Draw, values: dict[str, Any]) -> int:
    """How many blocks are dense before those with experts."""
    return draw(st.integers(0, min(3, values["num_hidden_layers"])))


def deepseek_v2(draw: Draw) -> Configuration:
    """V2: softmax, and the best expert of a group is its score; V2-Lite has one group. Weights are not normalised."""
    values = deepseek(draw, **grouped_experts(draw) | {"norm_topk_prob": False})
    values["topk_method"] = "greedy" if values["n_group"] == 1 else "group_limited_greedy"
    values["first_k_dense_replace"] = first_dense(draw, values)
    return deepseek_configuration(draw, "DeepseekV2ForCausalLM", values)


def deepseek_v3(draw: Draw) -> Configuration:
    """V3, R1, Kimi K2, Moonlight: sigmoids, and a bias that chooses and does not weigh."""
    # Two are published and no arguments of the class, which knows nothing else.
    values = deepseek(draw, **grouped_experts(draw)) | {"scoring_func": "sigmoid", "topk_method": "noaux_tc"}
    values["first_k_dense_replace"] = first_dense(draw, values)
    values["num_nextn_predict_layers"] = draw(st.integers(0, 1))
    if rarely(draw):
        values["rope_interleave"] = False
    family = "with-prediction" if values["num_nextn_predict_layers"] else "transformers"
    return deepseek_configuration(draw, "DeepseekV3ForCausalLM", values, family=family)


def glm_lite(draw: Draw) -> Configuration:
    """GLM-4.7-Flash."""
    values = deepseek(draw, **grouped_experts(draw)) | {"scoring_func": "sigmoid"}
    dense = values["first_k_dense_replace"] = first_dense(draw, values)
    values["mlp_layer_types"] = ["dense"] * dense + ["sparse"] * (values["num_hidden_layers"] - dense)
    values["num_nextn_predict_layers"] = draw(st.integers(0, 1))
    family = "with-prediction" if values["num_nextn_predict_layers"] else "transformers"
    return deepseek_configuration(
        draw, "Glm4MoeLiteForCausalLM", values, tokenizer="glm", family=family,
        converter={"no_mtp": draw(st.booleans())})


def youtu(draw: Draw) -> Configuration:
    """Youtu-LLM: no experts."""
    return deepseek_configuration(draw, "YoutuForCausalLM", deepseek(draw))


@strategy("deepseek2")
def deepseek2(draw: Draw) -> Configuration:
    return draw(st.sampled_from([deepseek_v2, deepseek_v3, glm_lite, youtu]))(draw)


@llama_cpp_differs("deepseek2", "queries that are not compressed, but in models of 26 or 27 blocks: refused")
def deepseek2_uncompressed_queries(configuration: Configuration) -> bool:
    values = configuration.values
    return values["q_lora_rank"] is None and values["num_hidden_layers"] not in (26, 27)


llama_cpp_differs("deepseek2", "groups of experts that are all looked at: aborts")(looks_at_all_groups)


@llama_cpp_differs("deepseek2", "groups of V2 are scored as V3's are: by their best two experts, not by their best")
def deepseek2_group_scores(configuration: Configuration) -> bool:
    return configuration.values.get("topk_method") == "group_limited_greedy"


@llama_cpp_differs("deepseek2", "scores are multiplied by (0.1 ln f + 1)² wherever frequencies are divided by f")
def deepseek2_score_scale(configuration: Configuration) -> bool:
    parameters = configuration.values["rope_parameters"]
    return parameters["rope_type"] != "default" and not parameters.get("mscale_all_dim")


@llama_cpp_differs("deepseek2", "norms of what is compressed have the epsilon of other norms, not 1e-6")
def deepseek2_epsilon(configuration: Configuration) -> bool:
    return configuration.values["rms_norm_eps"] > 1e-5


llama_cpp_refuses_bias("deepseek2")
converter_ignores("deepseek2", "hidden_act", "silu")
converter_ignores("deepseek2", "rope_interleave", True)
converter_ignores_rope("deepseek2", "truncate")


@converter_drops("deepseek2", "mscale of rope_parameters, but as mscale_all_dim")
def deepseek2_magnitude(configuration: Configuration) -> Configuration | None:
    parameters = configuration.values["rope_parameters"]
    scale = parameters.get("mscale_all_dim")
    if parameters.get("mscale") == scale:
        return None
    return configuration.with_values(rope_parameters=parameters | {"mscale": scale})

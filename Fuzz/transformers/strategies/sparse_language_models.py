"""The language models of what sees, whose attention is to the positions that an indexer picks: MiniMax-M3, GLM-5.3."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import families  # noqa: F401: registers what `tokenizer` names
from strategies import (
    PROMPTS, Configuration, Draw, converter_drops, converter_refuses, integers, rarely, rope, strategy,
)
from strategies.deepseek import first_dense, grouped_experts
from strategies.dense import decoder
from strategies.experts import SCALES, SIZES, YARN_ONLY_IN_TRANSFORMERS, experts_and_used
from strategies.multimodal import text
from strategies.sparse_attention import indexer

VISION = {
    "MiniMaxM3Sparse": {
        "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 8,
        "patch_size": 2},
    "Glm5Next": {
        "depth": 1, "hidden_size": 16, "intermediate_size": 8, "num_heads": 2, "image_size": 8, "patch_size": 2,
        "out_hidden_size": 16, "projection_intermediate_size": 8},
}
"""What files of language models have nothing of: as small as it can be."""


def language_model(name: str, draw: Draw, values: dict[str, Any], tokens: dict[str, int], published: dict[str, Any],
                   **more: Any) -> Configuration:
    """A model of texts and images around a language model.

    - Parameters:
      - tokens: of images: texts have none of them.
      - published: what `config.json` says and the class does not write.
    """
    whole = {"text_config": values, "vision_config": VISION[name], **tokens,
             "tie_word_embeddings": values["tie_word_embeddings"]}
    return Configuration(f"{name}ForConditionalGeneration", whole, tokens=draw(PROMPTS), published=published, **more)


def converter_ignores_of_text(architecture: str, key: str, otherwise: Any) -> None:
    """`converter_ignores`, of an argument of the language model."""

    @converter_drops(architecture, key)
    def without(configuration: Configuration) -> Configuration | None:
        if text(configuration).get(key, otherwise) == otherwise:
            return None
        return configuration.with_values(text_config=text(configuration) | {key: otherwise})


@strategy("minimax-m3")
def minimax_m3(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    values = decoder(draw, head_dim=draw(integers(8, 32, 8)), tie_word_embeddings=False)
    layers = values["num_hidden_layers"] = draw(st.integers(1, 4))
    share = draw(st.sampled_from([0.5, 1.0, 0.25, 0.75]))
    rotated = int(values["head_dim"] * share)
    shared = draw(st.integers(1, 3))
    size = draw(SIZES)
    blocks = draw(st.sampled_from([2, 1, 3, 8, 16]))
    dense = draw(st.integers(0, layers))
    values |= {
        "rotary_dim": rotated,
        "rope_parameters": draw(rope(rotated, ("default", "linear", "yarn")))
        | {"partial_rotary_factor": share},
        "num_local_experts": experts,
        "num_experts_per_tok": used,
        "intermediate_size": size,
        "shared_intermediate_size": shared * size,
        "dense_intermediate_size": draw(integers(8, 72, 4)),
        "routed_scaling_factor": draw(SCALES),
        "index_n_heads": values["num_key_value_heads"],
        "index_head_dim": draw(st.sampled_from([size for size in (32, 16, 24, 64, 128) if size >= rotated])),
        "index_block_size": draw(st.sampled_from([4, 2, 1, 3, 8, 16, 128])),
        "index_topk_blocks": blocks,
        "index_local_blocks": draw(st.integers(0, min(blocks, 3))),
        "mlp_layer_types": ["dense"] * dense + ["sparse"] * (layers - dense),
        "layer_types": ["full_attention"] * dense + ["minimax_m3_sparse"] * (layers - dense),
    }
    if rarely(draw):
        key = draw(st.sampled_from(list(LAYERS)))
        values |= draw(st.sampled_from([
            {"tie_word_embeddings": True},
            {"shared_intermediate_size": draw(SIZES)},
            {key: draw(st.lists(st.sampled_from(LAYERS[key]), min_size=layers, max_size=layers))},
            {"swiglu_alpha": draw(st.sampled_from([1.0, 2.0]))},
            {"swiglu_limit": draw(st.sampled_from([0.5, 3.0]))}]))
    published = {
        "n_shared_experts": shared, "scoring_func": "sigmoid",
        "moe_layer_freq": [int(kind == "sparse") for kind in values["mlp_layer_types"]],
        "sparse_attention_config": {
            "sparse_num_index_heads": values["index_n_heads"], "sparse_index_dim": values["index_head_dim"],
            "sparse_block_size": values["index_block_size"], "sparse_topk_blocks": blocks,
            "sparse_local_block": values["index_local_blocks"]},
    }
    # The clamp of the experts wants large gates.
    return language_model(
        "MiniMaxM3Sparse", draw, values, {"image_token_index": 316, "video_token_index": 317}, published, gain=2.0,
        converter={"fuse_qkv": draw(st.booleans())})


LAYERS = {"mlp_layer_types": ("dense", "sparse"), "layer_types": ("full_attention", "minimax_m3_sparse")}
converter_ignores_of_text("minimax-m3", "swiglu_alpha", 1.702)
converter_ignores_of_text("minimax-m3", "swiglu_limit", 7.0)


@converter_refuses("minimax-m3", "a tied head: engines ask for output.weight")
def minimax_m3_tied(configuration: Configuration) -> bool:
    return text(configuration)["tie_word_embeddings"]


@converter_refuses("minimax-m3", "shared experts of another size than whole experts have together")
def minimax_m3_shared(configuration: Configuration) -> bool:
    values = text(configuration)
    count = configuration.published["n_shared_experts"]
    return values["shared_intermediate_size"] != count * values["intermediate_size"]


@converter_refuses("minimax-m3", "other layers with an indexer than all with experts, or dense layers after those: "
                   "engines know them by one number")
def minimax_m3_layers(configuration: Configuration) -> bool:
    values = text(configuration)
    has_experts = [kind == "sparse" for kind in values["mlp_layer_types"]]
    return has_experts != sorted(has_experts) or has_experts != [
        kind == "minimax_m3_sparse" for kind in values["layer_types"]]


@converter_drops("minimax-m3", ", ".join(YARN_ONLY_IN_TRANSFORMERS) + " of rope_parameters")
def minimax_m3_yarn(configuration: Configuration) -> Configuration | None:
    parameters = text(configuration)["rope_parameters"]
    left = {key: value for key, value in parameters.items() if key not in YARN_ONLY_IN_TRANSFORMERS}
    if left == parameters:
        return None
    return configuration.with_values(text_config=text(configuration) | {"rope_parameters": left})


@strategy("glm5-next")
def glm5_next(draw: Draw) -> Configuration:
    values = decoder(draw, **grouped_experts(draw), tie_word_embeddings=False)
    layers = values["num_hidden_layers"] = draw(st.integers(1, 4))
    dense = first_dense(draw, values)
    kinds = draw(st.lists(
        st.sampled_from(["linear_attention", "indexed_attention"]), min_size=layers, max_size=layers))
    heads = draw(st.integers(1, 4))
    types = indexer_types(draw, kinds)
    # Nothing is rotated: the same token twice is a tie of windows of one position, which what shares a choice shows.
    pool = draw(st.sampled_from([4, 2, 3, 8, 16, *([] if "shared" in types else [1])]))
    values |= {
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "kv_lora_rank": draw(integers(4, 24, 2)),
        "q_lora_rank": draw(integers(4, 24, 2)),
        "qk_rope_head_dim": 0,
        "qk_nope_head_dim": draw(integers(2, 20, 2)),
        "v_head_dim": draw(integers(2, 20, 2)),
        "attention_bias": False,
        "layer_types": kinds,
        "indexer_types": types,
        "mlp_layer_types": ["dense"] * dense + ["sparse"] * (layers - dense),
        "linear_num_heads": heads,
        "linear_head_dim": draw(integers(4, 32, 4)),
        "linear_conv_kernel_dim": draw(st.integers(2, 5)),
        "linear_lower_bound": draw(st.sampled_from([-5.0, None, -1.0, -0.5])),
        "hc_mult": draw(st.sampled_from([4, 1, 2, 3])),
        "hc_eps": draw(st.sampled_from([2.0**-20, 2.0**-10, 0.0])),
        "hc_sinkhorn_iters": draw(st.sampled_from([20, 1, 2, 4])),
        "swiglu_limit": draw(st.sampled_from([10.0, 0.5, 0.25])),
        **indexer(draw, 0),
        "index_kpool": pool,
        "index_topk": pool * draw(st.sampled_from([2, 1, 3, 16])),
    }
    if rarely(draw):
        values[draw(st.sampled_from(["attention_bias", "tie_word_embeddings"]))] = True
    predicting = draw(st.integers(0, 1))
    published = {
        "first_k_dense_replace": dense, "mla_use_nope": True, "mhc": True, "num_nextn_predict_layers": predicting,
        "linear_attn_config": {
            "num_heads": heads, "head_dim": values["linear_head_dim"],
            "short_conv_kernel_size": values["linear_conv_kernel_dim"],
            "gate_lower_bound": values["linear_lower_bound"], "safe_gate": values["linear_lower_bound"] is not None},
    }
    tokens = {name: 316 + number for number, name in enumerate(GLM5_TOKENS)}
    return language_model(
        "Glm5Next", draw, values, tokens, published, tokenizer="glm",
        family="with-prediction" if predicting else "transformers", converter={"no_mtp": draw(st.booleans())})


GLM5_TOKENS = ("image_token_id", "video_token_id", "video_start_token_id", "video_end_token_id")


def indexer_types(draw: Draw, kinds: list[str]) -> list[str]:
    """A layer may share the choice of the one before it, if that has an indexer: its class hands no choice on any
    further, and refuses what would want that."""
    types = ["full"] * len(kinds)
    for layer in range(1, len(kinds)):
        if kinds[layer - 1:layer + 1] == ["indexed_attention"] * 2 and types[layer - 1] == "full":
            types[layer] = draw(st.sampled_from(["full", "shared"]))
    return types


@converter_refuses("glm5-next", "a tied head: engines ask for output.weight")
def glm5_next_tied(configuration: Configuration) -> bool:
    return text(configuration)["tie_word_embeddings"]


@converter_refuses("glm5-next", "attention_bias: engines know none")
def glm5_next_bias(configuration: Configuration) -> bool:
    return text(configuration)["attention_bias"] and "indexed_attention" in text(configuration)["layer_types"]

"""Decoders whose blocks are attention and a mixture of experts."""

from __future__ import annotations

from hypothesis import strategies as st

from strategies import (
    PROMPTS, Configuration, Draw, converter_drops, converter_ignores, converter_ignores_rope, converter_refuses,
    integers, llama_cpp_differs, llama_cpp_refuses_bias, rarely, rope, strategy,
)
from strategies.dense import WINDOWS, activation, decoder, head_size_of

SIZES = integers(4, 40, 4)
"""Hidden units of an expert."""
SCALES = st.sampled_from([1.0, 2.5, 16.0, 0.5])
"""Factors of what experts give."""
YARN_ONLY_IN_TRANSFORMERS = ("truncate", "mscale", "mscale_all_dim")


def experts_and_used(draw: Draw, most: int = 8) -> tuple[int, int]:
    """How many experts there are, and how many of them a token uses: one, all, or between."""
    experts = draw(st.integers(1, most))
    return experts, draw(st.integers(1, experts))


@strategy("qwen3moe")
def qwen3moe(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    values = decoder(
        draw, head_dim=draw(integers(4, 32, 2)), attention_bias=rarely(draw),
        hidden_act=activation(draw, "silu"), moe_intermediate_size=draw(SIZES), num_experts=experts,
        num_experts_per_tok=used, norm_topk_prob=not rarely(draw))
    values["rope_parameters"] = draw(rope(values["head_dim"], ("default", "linear", "yarn", "dynamic")))
    if rarely(draw):
        values["mlp_only_layers"] = [draw(st.integers(0, values["num_hidden_layers"] - 1))]
    if rarely(draw):
        values |= {"use_sliding_window": True, "sliding_window": draw(WINDOWS)}
    return Configuration(
        "Qwen3MoeForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


@converter_refuses("qwen3moe", "dense blocks among those with experts: engines ask for experts in every block")
def qwen3moe_dense_blocks(configuration: Configuration) -> bool:
    return "mlp_only_layers" in configuration.values


llama_cpp_refuses_bias("qwen3moe")
converter_ignores("qwen3moe", "hidden_act", "silu")
converter_ignores("qwen3moe", "norm_topk_prob", True)
converter_ignores("qwen3moe", "use_sliding_window", False)
converter_ignores_rope("qwen3moe", *YARN_ONLY_IN_TRANSFORMERS)


@strategy("olmoe")
def olmoe(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    values = decoder(
        draw, num_experts=experts, num_experts_per_tok=used, attention_bias=rarely(draw),
        hidden_act=activation(draw, "silu"), norm_topk_prob=rarely(draw), tie_word_embeddings=rarely(draw),
        rms_norm_eps=1e-2 if rarely(draw) else 1e-5,
        clip_qkv=draw(st.sampled_from([0.25, 8.0])) if rarely(draw) else None)
    values["rope_parameters"] = draw(rope(head_size_of(values), ("default", "linear", "yarn", "dynamic")))
    if not rarely(draw):
        values["num_key_value_heads"] = values["num_attention_heads"]
    return Configuration(
        "OlmoeForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


@llama_cpp_differs("olmoe", "grouped heads or a tied head: refused")
def olmoe_shapes(configuration: Configuration) -> bool:
    values = configuration.values
    return values["tie_word_embeddings"] or values["num_key_value_heads"] != values["num_attention_heads"]


llama_cpp_refuses_bias("olmoe")
converter_ignores("olmoe", "hidden_act", "silu")
converter_ignores("olmoe", "norm_topk_prob", False)
converter_ignores("olmoe", "clip_qkv", None)
converter_ignores("olmoe", "rms_norm_eps", 1e-5)
converter_ignores_rope("olmoe", *YARN_ONLY_IN_TRANSFORMERS)


@strategy("gpt-oss")
def gpt_oss(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    layers = draw(st.integers(1, 4))
    values = decoder(
        draw, num_hidden_layers=layers, head_dim=draw(integers(4, 32, 2)), num_local_experts=experts,
        num_experts_per_tok=used, sliding_window=draw(WINDOWS), attention_bias=not rarely(draw),
        tie_word_embeddings=rarely(draw))
    values["rope_parameters"] = draw(rope(values["head_dim"], ("yarn", "default", "linear")))
    if values["rope_parameters"]["rope_type"] == "yarn" and not rarely(draw):
        values["rope_parameters"]["truncate"] = False
    if rarely(draw):
        values["layer_types"] = draw(st.lists(
            st.sampled_from(["sliding_attention", "full_attention"]), min_size=layers, max_size=layers))
    if rarely(draw):
        values |= {"swiglu_alpha": draw(st.sampled_from([1.0, 2.0])), "swiglu_limit": draw(st.sampled_from([0.5, 3.0]))}
    # Sinks take most of the attention of small models, and the clamp of the experts wants large gates.
    return Configuration("GptOssForCausalLM", values, tokens=draw(PROMPTS), gain=2.5)


@llama_cpp_differs("gpt-oss", "a tied head or no biases: refused")
def gpt_oss_tensors(configuration: Configuration) -> bool:
    return configuration.values["tie_word_embeddings"] or not configuration.values["attention_bias"]


@llama_cpp_differs("gpt-oss", "YaRN's ramp is rounded to whole elements, as OpenAI's is not")
def gpt_oss_rounded_ramp(configuration: Configuration) -> bool:
    return configuration.values["rope_parameters"]["rope_type"] == "yarn"


converter_ignores("gpt-oss", "swiglu_alpha", 1.702)
converter_ignores("gpt-oss", "swiglu_limit", 7.0)
converter_ignores_rope("gpt-oss", "mscale", "mscale_all_dim")


@converter_drops("gpt-oss", "layer_types")
def gpt_oss_layer_types(configuration: Configuration) -> Configuration | None:
    layers = configuration.values["num_hidden_layers"]
    alternating = [("sliding_attention", "full_attention")[layer % 2] for layer in range(layers)]
    if configuration.values.get("layer_types", alternating) == alternating:
        return None
    return configuration.with_values(layer_types=alternating)


@converter_drops("gpt-oss", "truncate: true of rope_parameters")
def gpt_oss_truncate(configuration: Configuration) -> Configuration | None:
    parameters = configuration.values["rope_parameters"]
    if parameters["rope_type"] != "yarn" or not parameters.get("truncate", True):
        return None
    return configuration.with_values(rope_parameters=parameters | {"truncate": False})


@strategy("llama4")
def llama4(draw: Draw) -> Configuration:
    """Scout, whose queries and keys are normed, and Maverick, of 128 experts, whose are not."""
    layers = draw(st.integers(1, 6)) if rarely(draw) else draw(st.integers(4, 6))
    experts = draw(st.sampled_from([1, 2, 3, 4, 16, 128]))
    values = decoder(
        draw, num_hidden_layers=layers, head_dim=draw(integers(4, 32, 2)), hidden_act=activation(draw, "silu"),
        intermediate_size=draw(SIZES), intermediate_size_mlp=draw(integers(8, 72, 4)), num_local_experts=experts,
        num_experts_per_tok=draw(st.integers(1, min(3, experts))), interleave_moe_layer_step=draw(st.integers(1, 3)),
        use_qk_norm=experts != 128, attention_bias=rarely(draw))
    values["rope_parameters"] = draw(rope(values["head_dim"]))
    if rarely(draw):
        values |= draw(st.sampled_from([
            {"use_qk_norm": not values["use_qk_norm"]},
            {"attention_chunk_size": draw(WINDOWS)},
            {"no_rope_layers": draw(st.lists(st.integers(0, 1), min_size=layers, max_size=layers))},
            {"floor_scale": 4, "attn_scale": 0.5}]))
    return Configuration("Llama4ForCausalLM", values, tokens=draw(PROMPTS))


@llama_cpp_differs("llama4", "fewer than four blocks, of which none has full attention: aborts")
def llama4_without_full_attention(configuration: Configuration) -> bool:
    return configuration.values["num_hidden_layers"] < 4


llama_cpp_refuses_bias("llama4")
converter_ignores("llama4", "hidden_act", "silu")
converter_ignores("llama4", "attention_chunk_size", 8192)
converter_ignores("llama4", "floor_scale", 8192)
converter_ignores("llama4", "attn_scale", 0.1)
converter_ignores_rope("llama4", *YARN_ONLY_IN_TRANSFORMERS)


@converter_drops("llama4", "no_rope_layers")
def llama4_rotated_layers(configuration: Configuration) -> Configuration | None:
    values = configuration.values
    every_fourth = [int((layer + 1) % 4 != 0) for layer in range(values["num_hidden_layers"])]
    if (values.get("no_rope_layers") or every_fourth) == every_fourth:
        return None
    return configuration.with_values(no_rope_layers=every_fourth)


@converter_drops("llama4", "use_qk_norm")
def llama4_query_norm(configuration: Configuration) -> Configuration | None:
    has_norm = configuration.values["num_local_experts"] != 128
    if configuration.values["use_qk_norm"] == has_norm:
        return None
    return configuration.with_values(use_qk_norm=has_norm)

"""Decoders with experts beside shared ones, dense blocks or windows."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` and `tokenizer` name
from strategies import (
    EPSILONS, PROMPTS, THETAS, VOCABULARY, Configuration, Draw, converter_drops, converter_ignores,
    converter_ignores_rope, converter_refuses, heads, integers, llama_cpp_differs, llama_cpp_refuses_bias, rarely, rope,
    strategy, transformers_differs,
)
from strategies.deepseek import first_dense, grouped_experts, looks_at_all_groups
from strategies.dense import LAYER_TYPES, ROPES, WINDOWS, activation, decoder, head_size_of
from strategies.experts import SIZES, YARN_ONLY_IN_TRANSFORMERS, experts_and_used


def layer_types(draw: Draw, layers: int) -> list[str]:
    return draw(st.lists(LAYER_TYPES, min_size=layers, max_size=layers))


def llama_cpp_refuses_tied_heads(architecture: str) -> None:
    """Declares that llama.cpp wants a head of this architecture's own."""

    @llama_cpp_differs(architecture, "a tied head: refused")
    def is_tied(configuration: Configuration) -> bool:
        return configuration.values["tie_word_embeddings"]


def converter_unscales_rope(architecture: str, *kept: str) -> None:
    """Declares that files of an architecture say that positions are not stretched, whatever the argument was."""

    @converter_drops(architecture, "the scaling of rope_parameters")
    def unscaled(configuration: Configuration) -> Configuration | None:
        parameters = configuration.values["rope_parameters"]
        if parameters["rope_type"] in ("default", *kept):
            return None
        return configuration.with_values(
            rope_parameters={"rope_type": "default", "rope_theta": parameters["rope_theta"]})


@strategy("qwen2moe")
def qwen2moe(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    values = decoder(
        draw, qkv_bias=draw(st.booleans()), hidden_act=activation(draw, "silu"), moe_intermediate_size=draw(SIZES),
        shared_expert_intermediate_size=draw(SIZES), num_experts=experts, num_experts_per_tok=used,
        norm_topk_prob=rarely(draw), tie_word_embeddings=rarely(draw))
    values["rope_parameters"] = draw(rope(head_size_of(values), ROPES))
    if rarely(draw):
        values["mlp_only_layers"] = [draw(st.integers(0, values["num_hidden_layers"] - 1))]
    if rarely(draw):
        values |= {"use_sliding_window": True, "sliding_window": draw(WINDOWS), "max_window_layers": 0}
    return Configuration(
        "Qwen2MoeForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


@converter_refuses("qwen2moe", "dense blocks among those with experts: engines ask for experts in every block")
def qwen2moe_dense_blocks(configuration: Configuration) -> bool:
    return "mlp_only_layers" in configuration.values


llama_cpp_refuses_tied_heads("qwen2moe")
converter_ignores("qwen2moe", "hidden_act", "silu")
converter_ignores("qwen2moe", "norm_topk_prob", False)
converter_ignores("qwen2moe", "use_sliding_window", False)
converter_ignores_rope("qwen2moe", *YARN_ONLY_IN_TRANSFORMERS)


@strategy("dots1")
def dots1(draw: Draw) -> Configuration:
    values = decoder(
        draw, **grouped_experts(draw), head_dim=draw(integers(4, 32, 2)), attention_bias=rarely(draw),
        hidden_act=activation(draw, "silu"), tie_word_embeddings=rarely(draw), sliding_window=None)
    if not rarely(draw):
        values["num_key_value_heads"] = values["num_attention_heads"]
    values["rope_parameters"] = draw(rope(values["head_dim"], ROPES))
    values["first_k_dense_replace"] = first_dense(draw, values)
    if rarely(draw):
        values |= {"sliding_window": draw(WINDOWS), "max_window_layers": 0}
    # Published, and no argument of the class, which knows nothing else.
    return Configuration(
        "Dots1ForCausalLM", values | {"scoring_func": "sigmoid"}, tokens=draw(PROMPTS),
        converter={"fuse_qkv": draw(st.booleans())})


@llama_cpp_differs("dots1", "grouped heads: refused")
def dots1_groups(configuration: Configuration) -> bool:
    return configuration.values["num_key_value_heads"] != configuration.values["num_attention_heads"]


llama_cpp_differs("dots1", "groups of experts that are all looked at: aborts")(looks_at_all_groups)
llama_cpp_refuses_bias("dots1")
llama_cpp_refuses_tied_heads("dots1")
converter_ignores("dots1", "hidden_act", "silu")
converter_ignores("dots1", "sliding_window", None)
converter_ignores_rope("dots1", *YARN_ONLY_IN_TRANSFORMERS)


@strategy("dbrx")
def dbrx(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    query_heads, key_heads = draw(heads())
    theta = draw(THETAS)
    values = {
        "vocab_size": draw(VOCABULARY), "d_model": query_heads * draw(integers(4, 16, 4)), "n_heads": query_heads,
        "n_layers": draw(st.integers(1, 3)), "max_seq_len": 256, "bos_token_id": 1, "eos_token_id": 2,
        "attn_config": {
            "kv_n_heads": key_heads, "rope_theta": theta, "clip_qkv": draw(st.sampled_from([8.0, 1.0, 0.25]))},
        "ffn_config": {
            "ffn_hidden_size": draw(SIZES), "moe_num_experts": experts, "moe_top_k": used,
            "moe_normalize_expert_weights": 2.0 if rarely(draw) else 1.0},
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
    }
    values["ffn_config"]["hidden_size"] = values["d_model"]
    return Configuration("DbrxForCausalLM", values, tokens=draw(PROMPTS))


@converter_drops("dbrx", "moe_normalize_expert_weights of ffn_config")
def dbrx_norm_of_weights(configuration: Configuration) -> Configuration | None:
    network = configuration.values["ffn_config"]
    if network["moe_normalize_expert_weights"] == 1.0:
        return None
    return configuration.with_values(ffn_config=network | {"moe_normalize_expert_weights": 1.0})


@strategy("cohere2moe")
def cohere2moe(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    layers = draw(st.integers(1, 5))
    dense = draw(st.integers(0, min(2, layers)))
    values = decoder(
        draw, num_hidden_layers=layers, head_dim=draw(integers(4, 32, 2)), attention_bias=rarely(draw),
        hidden_act=activation(draw, "silu"), intermediate_size=draw(SIZES), num_experts=experts,
        num_experts_per_tok=used, num_shared_experts=draw(st.integers(0, 2)), norm_topk_prob=draw(st.booleans()),
        expert_selection_fn=draw(st.sampled_from(["sigmoid", "softmax"])), sliding_window=draw(WINDOWS),
        layer_types=layer_types(draw, layers), mlp_layer_types=["dense"] * dense + ["sparse"] * (layers - dense),
        prefix_dense_intermediate_size=draw(integers(8, 72, 4)), logit_scale=draw(st.sampled_from([0.0625, 1.0, 2.5])),
        layer_norm_eps=draw(EPSILONS))
    if not rarely(draw):
        values["rms_norm_eps"] = None
    values["rope_parameters"] = draw(rope(values["head_dim"]))
    if rarely(draw):
        values["prefix_dense_sliding_window_pattern"] = 2
    if rarely(draw):
        values["shared_expert_combination_strategy"] = "sum"
    return Configuration("Cohere2MoeForCausalLM", values, tokens=draw(PROMPTS),
                         converter={"fuse_qkv": draw(st.booleans()), "fuse_gate_up_exps": draw(st.booleans())})


@converter_refuses("cohere2moe", "biases, or the sum of routed and shared experts")
def cohere2moe_unknown(configuration: Configuration) -> bool:
    values = configuration.values
    sums = values.get("shared_expert_combination_strategy", "average") != "average"
    return values["attention_bias"] or sums and values["num_shared_experts"] > 0


@llama_cpp_differs("cohere2moe", "softmax is over all experts, not over the selected ones")
def cohere2moe_softmax(configuration: Configuration) -> bool:
    values = configuration.values
    return values["expert_selection_fn"] == "softmax" and not values["norm_topk_prob"]


converter_ignores("cohere2moe", "hidden_act", "silu")
converter_ignores("cohere2moe", "prefix_dense_sliding_window_pattern", 1)
converter_unscales_rope("cohere2moe")


@strategy("exaone-moe")
def exaone_moe(draw: Draw) -> Configuration:
    grouped = grouped_experts(draw)
    layers = draw(st.integers(1, 5))
    values = decoder(
        draw, num_hidden_layers=layers, head_dim=draw(integers(4, 32, 2)), hidden_act=activation(draw, "silu"),
        num_experts=grouped.pop("n_routed_experts"), num_shared_experts=grouped.pop("n_shared_experts"), **grouped,
        sliding_window=draw(WINDOWS), layer_types=layer_types(draw, layers), tie_word_embeddings=rarely(draw))
    values["rope_parameters"] = draw(rope(values["head_dim"], ("default", "llama3", "linear", "yarn")))
    values["first_k_dense_replace"] = first_dense(draw, values)
    published = {} if rarely(draw) else {"scoring_func": "sigmoid"}
    return Configuration("ExaoneMoeForCausalLM", values, tokens=draw(PROMPTS), published=published,
                         converter={"fuse_qkv": draw(st.booleans())})


@converter_refuses("exaone-moe", "configurations without scoring_func, which transformers does not write")
def exaone_moe_without_gating(configuration: Configuration) -> bool:
    return "scoring_func" not in configuration.published


llama_cpp_differs("exaone-moe", "groups of experts that are all looked at: aborts")(looks_at_all_groups)
llama_cpp_refuses_tied_heads("exaone-moe")
converter_ignores("exaone-moe", "hidden_act", "silu")
converter_unscales_rope("exaone-moe", "llama3")


@strategy("ernie4_5-moe")
def ernie4_5_moe(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    layers = draw(st.integers(1, 4))
    shared, size = draw(st.integers(0, 2)), draw(SIZES)
    values = decoder(
        draw, num_hidden_layers=layers, use_bias=rarely(draw), hidden_act=activation(draw, "silu"),
        moe_intermediate_size=size, moe_num_experts=experts, moe_k=used, moe_num_shared_experts=shared,
        moe_layer_start_index=draw(st.integers(0, layers)), moe_layer_interval=draw(st.integers(1, 3)),
        moe_layer_end_index=layers - 1)
    if shared > 0 and not rarely(draw):
        values["intermediate_size"] = size * shared * values["num_key_value_heads"]
    if rarely(draw):
        values["moe_layer_end_index"] = draw(st.integers(0, layers - 1))
    values["rope_parameters"] = draw(rope(head_size_of(values), ROPES))
    return Configuration("Ernie4_5_MoeForCausalLM", values, tokens=draw(PROMPTS), tokenizer="sentencepiece",
                         converter={"fuse_qkv": draw(st.booleans())})


@converter_refuses("ernie4_5-moe", "shared experts of another size than that of a dense block over the heads of keys")
def ernie4_5_moe_shared_size(configuration: Configuration) -> bool:
    values = configuration.values
    size = values["moe_intermediate_size"] * values["moe_num_shared_experts"]
    return size > 0 and size != values["intermediate_size"] // values["num_key_value_heads"]


@converter_refuses("ernie4_5-moe", "dense blocks after those with experts: engines ask for experts")
def ernie4_5_moe_last_experts(configuration: Configuration) -> bool:
    values = configuration.values
    steps = range(values["moe_layer_start_index"], values["num_hidden_layers"])
    return any(
        (layer + 1) % values["moe_layer_interval"] == 0 and layer > values["moe_layer_end_index"] for layer in steps)


@llama_cpp_differs("ernie4_5-moe", "dense blocks between those with experts: refused")
def ernie4_5_moe_interval(configuration: Configuration) -> bool:
    values = configuration.values
    return values["moe_layer_interval"] > 1 and values["moe_layer_start_index"] < values["num_hidden_layers"]


@llama_cpp_differs("ernie4_5-moe", "biases: refused, but for those of attention")
def ernie4_5_moe_biases(configuration: Configuration) -> bool:
    return configuration.values["use_bias"]


converter_ignores("ernie4_5-moe", "hidden_act", "silu")
converter_ignores_rope("ernie4_5-moe", *YARN_ONLY_IN_TRANSFORMERS)


@strategy("mellum")
def mellum(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    layers = draw(st.integers(1, 5))
    values = decoder(
        draw, num_hidden_layers=layers, head_dim=draw(integers(4, 32, 2)), attention_bias=rarely(draw),
        hidden_act=activation(draw, "silu"), moe_intermediate_size=draw(SIZES), num_experts=experts,
        num_experts_per_tok=used, norm_topk_prob=not rarely(draw), tie_word_embeddings=rarely(draw),
        sliding_window=draw(WINDOWS), layer_types=layer_types(draw, layers))
    full = draw(rope(values["head_dim"], ROPES))
    theta = draw(THETAS) if rarely(draw) else full["rope_theta"]
    values["rope_parameters"] = {
        "full_attention": full, "sliding_attention": {"rope_type": "default", "rope_theta": theta}}
    if rarely(draw):
        values["mlp_layer_types"] = ["dense"] + ["sparse"] * (layers - 1)
    return Configuration("MellumForCausalLM", values, tokens=draw(PROMPTS),
                         converter={"fuse_qkv": draw(st.booleans())})


@converter_refuses("mellum", "dense blocks among those with experts: engines ask for experts in every block")
def mellum_dense_blocks(configuration: Configuration) -> bool:
    return "mlp_layer_types" in configuration.values


@llama_cpp_differs("mellum", "one base of frequencies for layers with a window and without")
def mellum_base_of_windows(configuration: Configuration) -> bool:
    parameters = configuration.values["rope_parameters"]
    return parameters["full_attention"]["rope_theta"] != parameters["sliding_attention"]["rope_theta"]


llama_cpp_refuses_bias("mellum")
llama_cpp_refuses_tied_heads("mellum")
converter_ignores("mellum", "hidden_act", "silu")
converter_ignores("mellum", "norm_topk_prob", True)
converter_ignores_rope("mellum", *YARN_ONLY_IN_TRANSFORMERS)


@strategy("hunyuan-moe")
def hunyuan_moe(draw: Draw) -> Configuration:
    experts, used = experts_and_used(draw)
    values = decoder(
        draw, vocab_size=320, head_dim=draw(integers(4, 32, 2)), attention_bias=rarely(draw),
        hidden_act=activation(draw, "silu"), num_experts=experts, moe_topk=used)
    values["rope_parameters"] = draw(rope(values["head_dim"], ("default", "linear", "yarn")))
    # The class has one size for all its experts, and one number of them for all its layers.
    layers = values["num_hidden_layers"]
    published = {
        "moe_intermediate_size": [values["intermediate_size"]] * layers, "moe_topk": [used] * layers,
        "num_shared_expert": [1] * layers}
    return Configuration("HunYuanMoEV1ForCausalLM", values, tokens=draw(PROMPTS), tokenizer="ranked-pairs",
                         published=published, converter={"fuse_qkv": draw(st.booleans())})


llama_cpp_refuses_bias("hunyuan-moe")
converter_ignores("hunyuan-moe", "hidden_act", "silu")
converter_ignores_rope("hunyuan-moe", *YARN_ONLY_IN_TRANSFORMERS)


@strategy("phimoe")
def phimoe(draw: Draw) -> Configuration:
    values: dict[str, Any] = decoder(
        draw, attention_bias=not rarely(draw), lm_head_bias=not rarely(draw), hidden_act=activation(draw, "silu"),
        num_local_experts=draw(st.integers(2, 8)), num_experts_per_tok=2, tie_word_embeddings=False,
        sliding_window=draw(WINDOWS) if rarely(draw) else None,
        router_jitter_noise=draw(st.sampled_from([0.1, 0.5])) if rarely(draw) else 0.01)
    size = head_size_of(values)
    factors = st.lists(st.sampled_from([1.0, 1.25, 2.0, 3.5]), min_size=size // 2, max_size=size // 2)
    # Engines choose the factors by the context, the authors' code by the prompt: where both choose alike.
    tokens, original = draw(st.sampled_from([(28, 256), (1, 256), (17, 256), (40, 32)]))
    # The file has the magnitude that Phi-3's have, whatever the configuration says.
    magnitude = 0.75 if rarely(draw) else phi3_magnitude(original)
    values["rope_parameters"] = {
        "rope_type": "longrope", "rope_theta": draw(THETAS), "original_max_position_embeddings": original,
        "short_factor": draw(factors), "long_factor": draw(factors),
        "short_mscale": magnitude, "long_mscale": magnitude}
    # The name that the published configurations have.
    return Configuration("PhimoeForCausalLM", values, tokens=tokens, tokenizer="sentencepiece",
                         published={"architectures": ["PhiMoEForCausalLM"]})


def phi3_magnitude(original: int) -> float:
    """Of a context of 256 positions, where there were so many originally."""
    return math.sqrt(1 + math.log(256 / original) / math.log(original))


@converter_drops("phimoe", "short_mscale and long_mscale of rope_parameters")
def phimoe_magnitude(configuration: Configuration) -> Configuration | None:
    parameters = configuration.values["rope_parameters"]
    meant = phi3_magnitude(parameters["original_max_position_embeddings"])
    if parameters["short_mscale"] == meant:
        return None
    return configuration.with_values(rope_parameters=parameters | {"short_mscale": meant, "long_mscale": meant})


@transformers_differs("phimoe", "factors of long prompts, which it never takes and modeling_phimoe.py does")
def phimoe_long_prompts(model: Any, configuration: Configuration) -> bool:
    if configuration.tokens <= configuration.values["rope_parameters"]["original_max_position_embeddings"]:
        return False
    rotary = model.model.rotary_emb
    frequencies = rotary.rope_init_fn
    rotary.rope_init_fn = lambda config, *_, **__: frequencies(config, seq_len=configuration.tokens)
    return True


@converter_refuses("phimoe", "no biases of attention's output and of the head: engines ask for them")
def phimoe_biases(configuration: Configuration) -> bool:
    return not (configuration.values["attention_bias"] and configuration.values["lm_head_bias"])


@llama_cpp_differs("phimoe", "RMS norms for layer norms, and weights of experts that are not the sparse mixer's")
def phimoe_norms(configuration: Configuration) -> bool:
    return True


converter_ignores("phimoe", "hidden_act", "silu")
converter_ignores("phimoe", "router_jitter_noise", 0.01)

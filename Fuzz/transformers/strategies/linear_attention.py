"""Models with linear attention, and those that run their blocks several times: Qwen3.5, HRM-Text."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from strategies import (
    PROMPTS, Configuration, Draw, converter_ignores, converter_ignores_rope, converter_refuses, integers,
    llama_cpp_differs, llama_cpp_refuses_bias, rarely, rope, strategy,
)
from strategies.dense import activation, decoder
from strategies.experts import SIZES, YARN_ONLY_IN_TRANSFORMERS, experts_and_used
from strategies.recurrent import has_layers_of_one_kind


def delta_net_hybrid(draw: Draw, **more: Any) -> dict[str, Any]:
    """Gated delta nets, and every few blocks gated attention of which a part is rotated, by time, height and width."""
    layers = draw(st.integers(1, 4))
    head_size = draw(integers(8, 32, 8))
    key_heads = draw(st.integers(1, 3))
    delta_size = draw(integers(4, 16, 4))
    parameters = draw(rope(head_size // 4, ("default", "linear", "yarn"))) | {"partial_rotary_factor": 0.25}
    pairs = head_size // 8
    if draw(st.booleans()):
        parameters["mrope_section"] = [(pairs + 2 - axis) // 3 for axis in range(3)]
    return decoder(
        draw, num_hidden_layers=layers, head_dim=head_size,
        linear_num_key_heads=key_heads, linear_num_value_heads=key_heads * draw(st.integers(1, 3)),
        linear_key_head_dim=delta_size, linear_value_head_dim=2 * delta_size if rarely(draw) else delta_size,
        linear_conv_kernel_dim=draw(st.integers(2, 5)), attention_bias=rarely(draw),
        hidden_act=activation(draw, "silu"), rope_parameters=parameters,
        layer_types=draw(st.lists(
            st.sampled_from(["linear_attention", "full_attention"]), min_size=layers, max_size=layers)), **more)


def gated_experts(draw: Draw) -> dict[str, Any]:
    """Experts beside one that every token uses."""
    experts, used = experts_and_used(draw)
    return {
        "num_experts": experts, "num_experts_per_tok": used, "moe_intermediate_size": draw(SIZES),
        "shared_expert_intermediate_size": draw(SIZES),
    }


@strategy("qwen35")
def qwen35(draw: Draw) -> Configuration:
    return Configuration(
        "Qwen3_5ForCausalLM", delta_net_hybrid(draw), tokens=draw(PROMPTS), converter={"no_mtp": True})


@strategy("qwen35moe")
def qwen35moe(draw: Draw) -> Configuration:
    values = delta_net_hybrid(draw, **gated_experts(draw))
    return Configuration(
        "Qwen3_5MoeForCausalLM", values, tokens=draw(PROMPTS),
        converter={"no_mtp": True, "fuse_gate_up_exps": draw(st.booleans())})


@strategy("qwen4exp")
def qwen4exp(draw: Draw) -> Configuration:
    """Qwen3.8-Flash-Next without embeddings of n-grams: attention to the best windows, streams of residuals."""
    values = delta_net_hybrid(draw, **gated_experts(draw))
    length = draw(st.integers(2, 5))
    values |= {
        "hc_count": draw(st.integers(2, 4)), "hc_lowrank": draw(st.integers(1, 20)),
        # Scores of few heads are often 0 for all of them, and equal.
        "indexer_n_heads": draw(st.integers(8, 16)), "indexer_kv_heads": 1,
        "indexer_head_dim": draw(integers(8, 24, 4)), "indexer_compress_ratio": length,
        "indexer_budget": length * draw(st.integers(1, 4)),
        "output_gate_type": "sigmoid" if not rarely(draw) else "silu",
    }
    # As published: what transformers makes of the configuration has another name for layers of attention.
    published = {} if rarely(draw) else {"layer_types": values["layer_types"], "model_type": None}
    return Configuration(
        "Qwen4ExpForCausalLM", values, tokens=draw(PROMPTS), published=published,
        converter={"no_mtp": True, "fuse_gate_up_exps": draw(st.booleans())})


@converter_refuses("qwen4exp", "layers of attention by the name that transformers gives them: they get no windows")
def qwen4exp_layer_types(configuration: Configuration) -> bool:
    return not configuration.published and "full_attention" in configuration.values["layer_types"]


converter_ignores("qwen4exp", "output_gate_type", "sigmoid")


for _architecture in ("qwen35", "qwen35moe", "qwen4exp"):
    @converter_refuses(_architecture, "values of the delta rule of another size than its keys: engines know one size")
    def value_size(configuration: Configuration) -> bool:
        values = configuration.values
        return values["linear_value_head_dim"] != values["linear_key_head_dim"]

    @llama_cpp_differs(_architecture, "queries and keys of delta rules are normed with the epsilon of other norms")
    def delta_rule_epsilon(configuration: Configuration) -> bool:
        return configuration.values["rms_norm_eps"] > 1e-5

    llama_cpp_differs(_architecture, "blocks of one kind only: aborts")(has_layers_of_one_kind)
    converter_ignores(_architecture, "hidden_act", "silu")
    converter_ignores_rope(_architecture, *YARN_ONLY_IN_TRANSFORMERS)
for _architecture in ("qwen35", "qwen35moe"):
    llama_cpp_refuses_bias(_architecture)


@llama_cpp_differs("qwen4exp", "biases of attention are loaded and not used")
def qwen4exp_bias(configuration: Configuration) -> bool:
    return configuration.values["attention_bias"]


@strategy("hrm_text")
def hrm_text(draw: Draw) -> Configuration:
    """HRM-Text: a low stack that runs several times for each run of the high one."""
    values = decoder(
        draw, num_hidden_layers=draw(st.integers(1, 2)), H_cycles=draw(st.integers(1, 3)),
        L_cycles=draw(st.integers(1, 3)), hidden_act=activation(draw, "silu"), attention_bias=rarely(draw),
        mlp_bias=rarely(draw), prefix_lm=draw(st.booleans()),
        embedding_scale=draw(st.sampled_from([1.0, 50.0, 0.5])))
    del values["num_key_value_heads"]
    values["head_dim"] = draw(integers(4, 32, 2))
    values["rope_parameters"] = draw(rope(values["head_dim"], ("default", "linear", "yarn")))
    return Configuration("HrmTextForCausalLM", values, tokens=draw(PROMPTS))


@converter_refuses("hrm_text", "biases: engines know none")
def hrm_text_biases(configuration: Configuration) -> bool:
    return configuration.values["attention_bias"] or configuration.values["mlp_bias"]


converter_ignores("hrm_text", "hidden_act", "silu")
converter_ignores_rope("hrm_text", *YARN_ONLY_IN_TRANSFORMERS)

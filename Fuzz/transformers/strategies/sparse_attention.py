"""Latent attention of other models than DeepSeek's, and latent attention to the positions that an indexer picks."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from strategies import (
    PROMPTS, Configuration, Draw, converter_drops, converter_ignores, converter_ignores_rope, converter_refuses, integers,
    llama_cpp_differs, llama_cpp_refuses_bias, rarely, rope, strategy,
)
from strategies.deepseek import (
    deepseek, deepseek_configuration, first_dense, grouped_experts, latent_attention, looks_at_all_groups,
)
from strategies.dense import activation, decoder


def indexer(draw: Draw, rotated: int) -> dict[str, Any]:
    """As many heads as seldom score 0 all together, which would be ties, and fewer positions than the prompt has."""
    return {
        "index_n_heads": draw(st.sampled_from([16, 12, 24])),
        "index_head_dim": draw(st.sampled_from([size for size in (64, 32, 16, 24, 128) if size > rotated])),
        "index_topk": draw(st.sampled_from([8, 4, 1, 16, 64])),
    }


def sparse(draw: Draw) -> dict[str, Any]:
    values = deepseek(draw, **grouped_experts(draw)) | {"scoring_func": "sigmoid"}
    # The indexer's queries are made from compressed ones.
    values["q_lora_rank"] = values["q_lora_rank"] or 8
    values["num_hidden_layers"] = min(values["num_hidden_layers"], 3)
    values["attention_bias"] = False
    dense = values["first_k_dense_replace"] = first_dense(draw, values)
    values["mlp_layer_types"] = ["dense"] * dense + ["sparse"] * (values["num_hidden_layers"] - dense)
    return values | indexer(draw, values["qk_rope_head_dim"])


@strategy("deepseek32")
def deepseek32(draw: Draw) -> Configuration:
    return deepseek_configuration(draw, "DeepseekV32ForCausalLM", sparse(draw), tokenizer="beginning")


def indexer_types(draw: Draw, layers: int) -> list[str]:
    """The first layer has an indexer; others may share its choice."""
    return ["full"] + [draw(st.sampled_from(["full", "shared"])) for _ in range(layers - 1)]


@strategy("glm-dsa")
def glm_dsa(draw: Draw) -> Configuration:
    values = sparse(draw)
    values["indexer_types"] = indexer_types(draw, values["num_hidden_layers"])
    return deepseek_configuration(draw, "GlmMoeDsaForCausalLM", values, tokenizer="glm")


@strategy("hy_v4")
def hy_v4(draw: Draw) -> Configuration:
    values = sparse(draw)
    values["tie_word_embeddings"] = rarely(draw)
    values["indexer_types"] = indexer_types(draw, values["num_hidden_layers"])
    values["rope_parameters"] = draw(rope(values["qk_rope_head_dim"], ("default", "linear")))
    values |= {
        "hc_mult": draw(st.sampled_from([4, 1, 2, 3])),
        "hc_magnitude": draw(st.sampled_from([2.0, 0.5])),
        "hc_eps": draw(st.sampled_from([2.0**-20, 0.0])),
        "swiglu_limit": draw(st.sampled_from([0.5, 10.0, 0.25])),
    }
    return deepseek_configuration(draw, "HYV4ForCausalLM", values, family="hy-v4")


@converter_refuses("hy_v4", "a tied head: engines ask for output.weight")
def hy_v4_tied(configuration: Configuration) -> bool:
    return configuration.values["tie_word_embeddings"]


@strategy("minicpm3")
def minicpm3(draw: Draw) -> Configuration:
    """Scales are hard-coded in engines, as the one published model has them."""
    values = decoder(draw, **latent_attention(draw), hidden_act=activation(draw, "silu"))
    values["attention_bias"] = False
    values["v_head_dim"] = values["hidden_size"] // values["num_attention_heads"]
    values["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0}
    if rarely(draw):
        values["scale_emb"] = 1
    return Configuration("MiniCPM3ForCausalLM", values, tokens=draw(PROMPTS), tokenizer="sentencepiece")


@strategy("mistral4")
def mistral4(draw: Draw) -> Configuration:
    values = deepseek(draw, **grouped_experts(draw))
    values["first_k_dense_replace"] = first_dense(draw, values)
    parameters = draw(rope(values["qk_rope_head_dim"], ("yarn",)))
    parameters |= {"mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": draw(st.sampled_from([0.125, 0.5]))}
    values["rope_parameters"] = parameters
    return deepseek_configuration(
        draw, "Mistral4ForCausalLM", values, published={"architectures": ["Mistral3ForConditionalGeneration"]})


@converter_drops("mistral4", "llama_4_scaling_beta of rope_parameters")
def mistral4_temperature(configuration: Configuration) -> Configuration | None:
    parameters = configuration.values["rope_parameters"]
    if not parameters["llama_4_scaling_beta"]:
        return None
    return configuration.with_values(rope_parameters=parameters | {"llama_4_scaling_beta": 0.0})


for name in ("deepseek32", "glm-dsa", "hy_v4", "mistral4"):
    llama_cpp_differs(name, "groups of experts that are all looked at: aborts")(looks_at_all_groups)
    converter_ignores(name, "hidden_act", "silu")
    converter_ignores_rope(name, "truncate")
for name in ("deepseek32", "glm-dsa", "hy_v4", "mistral4", "minicpm3"):
    @llama_cpp_differs(name, "norms of what is compressed have the epsilon of other norms, not 1e-6")
    def epsilon(configuration: Configuration) -> bool:
        return configuration.values["rms_norm_eps"] > 1e-5

converter_ignores("minicpm3", "hidden_act", "silu")
converter_ignores("minicpm3", "scale_emb", 12)

"""Models with Mamba-2 beside attention in each block, or in most blocks in place of it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from strategies import (
    PROMPTS, THETAS, Configuration, Draw, converter_drops, converter_drops_parameters, converter_ignores,
    converter_refuses, integers, rarely, rope, strategy,
)
from strategies.dense import activation, decoder
from strategies.shared_experts import converter_unscales_rope

MULTIPLIERS = st.sampled_from([1.0, 0.25, 4.0])
"""The converter multiplies parameters by them: `readback.py` would take 1.5, times 2, for a half that was added to 1."""


def state_space(draw: Draw, width: int) -> dict[str, Any]:
    """Mamba-2 of `width` channels."""
    heads = draw(st.sampled_from([count for count in (1, 2, 4, 8) if width % count == 0]))
    return {
        "mamba_n_heads": heads, "mamba_d_head": width // heads,
        "mamba_n_groups": draw(st.sampled_from([count for count in (1, 2, 4) if heads % count == 0])),
        "mamba_d_state": draw(integers(4, 20, 4)), "mamba_d_conv": draw(st.integers(2, 5)),
        "mamba_chunk_size": draw(st.sampled_from([8, 128])),
        "mamba_conv_bias": not rarely(draw), "mamba_proj_bias": rarely(draw),
    }


@strategy("falcon-h1")
def falcon_h1(draw: Draw) -> Configuration:
    values = decoder(draw, vocab_size=draw(st.sampled_from([320, 336])), hidden_act=activation(draw, "silu"))
    width = draw(integers(16, 64, 16))
    values |= state_space(draw, width) | {
        "head_dim": draw(integers(4, 24, 2)), "mamba_d_ssm": width, "mamba_rms_norm": draw(st.booleans()),
        "mamba_norm_before_gate": rarely(draw), "projectors_bias": rarely(draw),
        "attention_bias": rarely(draw), "mlp_bias": draw(st.booleans()),
        "lm_head_multiplier": draw(MULTIPLIERS), "embedding_multiplier": draw(MULTIPLIERS),
        "mlp_multipliers": [draw(MULTIPLIERS), draw(MULTIPLIERS)], "key_multiplier": draw(MULTIPLIERS),
        "attention_out_multiplier": draw(MULTIPLIERS), "attention_in_multiplier": draw(MULTIPLIERS),
        "ssm_multipliers": [draw(MULTIPLIERS) for _ in range(5)], "ssm_in_multiplier": draw(MULTIPLIERS),
        "ssm_out_multiplier": draw(MULTIPLIERS),
    }
    values["rope_parameters"] = draw(rope(values["head_dim"], ("default", "linear") if rarely(draw) else ("default",)))
    return Configuration("FalconH1ForCausalLM", values, tokens=draw(PROMPTS))


converter_unscales_rope("falcon-h1")
converter_ignores("falcon-h1", "mamba_norm_before_gate", False)


@converter_refuses("falcon-h1", "other activations than SiLU")
def falcon_h1_activation(configuration: Configuration) -> bool:
    return configuration.values["hidden_act"] != "silu"


@converter_refuses("falcon-h1", "mamba_proj_bias: biases are no rows")
def falcon_h1_projections(configuration: Configuration) -> bool:
    return configuration.values["mamba_proj_bias"]


@converter_drops("falcon-h1", "lm_head_multiplier of a tied head: the embeddings' is in the one matrix")
def falcon_h1_tied(configuration: Configuration) -> Configuration | None:
    values = configuration.values
    if not values["tie_word_embeddings"] or values["lm_head_multiplier"] == values["embedding_multiplier"]:
        return None
    return configuration.with_values(lm_head_multiplier=values["embedding_multiplier"])


@converter_drops_parameters("falcon-h1", "biases of attention, multiplied by attention_in_multiplier all the same")
def falcon_h1_biases(model: Any, configuration: Configuration) -> bool:
    values = configuration.values
    if not values["attention_bias"] or values["attention_in_multiplier"] == 1:
        return False
    for layer in model.model.layers:
        for projection in ("q_proj", "k_proj", "v_proj"):
            getattr(layer.self_attn, projection).bias.mul_(values["attention_in_multiplier"])
    return True


@strategy("granitehybrid")
def granite_hybrid(draw: Draw) -> Configuration:
    """Granite 4, and Bamba, whose positions are rotated."""
    layers = draw(st.integers(2, 4))
    kinds = draw(st.lists(st.sampled_from(["linear_attention", "full_attention"]), min_size=layers, max_size=layers))
    if len(set(kinds)) == 1 and not rarely(draw):
        kinds[0] = "full_attention" if kinds[0] == "linear_attention" else "linear_attention"
    values = decoder(
        draw, vocab_size=draw(st.sampled_from([320, 336])), hidden_act=activation(draw, "silu"),
        num_hidden_layers=layers, attention_bias=rarely(draw))
    # Heads must be whole, and the state space twice as wide.
    values |= state_space(draw, 2 * values["hidden_size"])
    values |= {
        "mamba_expand": 2, "layer_types": kinds,
        "embedding_multiplier": draw(st.sampled_from([12.0, 1.0, 0.5])),
        "residual_multiplier": draw(st.sampled_from([0.25, 1.0, 2.0])),
        "attention_multiplier": draw(st.sampled_from([0.0625, 0.25, 1.0])),
        "logits_scaling": draw(st.sampled_from([8.0, 1.0, 0.5])),
        "shared_intermediate_size": draw(integers(8, 72, 4)),
        "position_embedding_type": "rope" if rarely(draw) else None,
        "num_local_experts": draw(st.sampled_from([0, 4, 1, 3])),
    }
    if values["num_local_experts"] == 0:
        values["num_experts_per_tok"] = 0
        values["intermediate_size"] = values["shared_intermediate_size"] if not rarely(draw) else 36
    else:
        values["num_experts_per_tok"] = draw(st.integers(1, values["num_local_experts"]))
    values["rope_parameters"] = {"rope_type": "default", "rope_theta": draw(THETAS)}
    # As published: transformers has other names for the kinds of layers.
    names = {"linear_attention": "mamba", "full_attention": "attention"}
    published = {} if rarely(draw) else {"layer_types": [names[kind] for kind in kinds], "model_type": None}
    return Configuration("GraniteMoeHybridForCausalLM", values, tokens=draw(PROMPTS), published=published)


@converter_refuses("granitehybrid", "layers by the names that transformers gives them: those of attention are not known")
def granite_hybrid_layer_types(configuration: Configuration) -> bool:
    return not configuration.published


@converter_refuses("granitehybrid", "other activations than SiLU")
def granite_hybrid_activation(configuration: Configuration) -> bool:
    return configuration.values["hidden_act"] != "silu"


@converter_refuses("granitehybrid", "dense networks of shared_intermediate_size, where the file says intermediate_size")
def granite_hybrid_sizes(configuration: Configuration) -> bool:
    values = configuration.values
    return values["num_local_experts"] == 0 and values["shared_intermediate_size"] != values["intermediate_size"]


@converter_drops("granitehybrid", "position_embedding_type: rotated are models without Mamba layers")
def granite_hybrid_positions(configuration: Configuration) -> Configuration | None:
    values = configuration.values
    meant = None if "linear_attention" in values["layer_types"] else "rope"
    return None if values["position_embedding_type"] == meant else configuration.with_values(position_embedding_type=meant)

"""Gemma 3n and 4: embeddings of each layer, and layers that look at the keys and values of earlier ones."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` and `tokenizer` name
from strategies import (
    PROMPTS, THETAS, Configuration, Draw, converter_drops, converter_drops_parameters, converter_ignores,
    converter_refuses, integers, llama_cpp_differs, rarely, strategy,
)
from strategies.dense import LAYER_TYPES, WINDOWS, activation, decoder


def layers_and_sharing(draw: Draw, most: int) -> dict[str, Any]:
    """Kinds of layers, the last without a window, and how many of the last share: of kinds that came before them."""
    layers = draw(st.integers(1, most))
    kinds = [*draw(st.lists(LAYER_TYPES, min_size=layers - 1, max_size=layers - 1)), "full_attention"]
    possible = [shared for shared in range(layers) if set(kinds[:layers - shared]) == set(kinds)]
    return {
        "num_hidden_layers": layers, "layer_types": kinds,
        "num_kv_shared_layers": draw(st.sampled_from(possible)),
    }


def ropes(draw: Draw, full: dict[str, Any]) -> dict[str, Any]:
    return {
        "full_attention": {"rope_theta": draw(THETAS)} | full,
        "sliding_attention": {"rope_type": "default", "rope_theta": draw(THETAS)},
    }


@strategy("gemma3n")
def gemma3n(draw: Draw) -> Configuration:
    values = decoder(
        draw, head_dim=draw(integers(4, 32, 2)), hidden_activation=activation(draw, "gelu_pytorch_tanh"),
        attention_bias=rarely(draw), sliding_window=draw(WINDOWS), vocab_size=320,
        final_logit_softcapping=draw(st.sampled_from([30.0, 3.0, 0.5])))
    values |= layers_and_sharing(draw, 5)
    layers = values["num_hidden_layers"]
    values |= {
        "vocab_size_per_layer_input": draw(st.sampled_from([320, 300])),
        "hidden_size_per_layer_input": draw(st.sampled_from([16, 256, 4])),
        "altup_active_idx": draw(st.integers(0, 3)),
        "altup_num_inputs": draw(st.integers(1, 5)) if rarely(draw) else 4,
        "altup_correct_scale": not rarely(draw),
        "laurel_rank": draw(st.sampled_from([8, 32])) if rarely(draw) else 64,
        "activation_sparsity_pattern": draw(
            st.lists(st.sampled_from([0.95, 0.0, 0.5]), min_size=layers, max_size=layers)),
        "intermediate_size": draw(st.lists(integers(8, 72, 4), min_size=layers, max_size=layers)),
        "rope_parameters": ropes(draw, {"rope_type": "default"}),
    }
    return Configuration(
        "Gemma3nForCausalLM", values, tokens=draw(PROMPTS), tokenizer="sentencepiece",
        # The bounds of sparse gates are rounded in files: little is made of that.
        gain=0.7, family="with-idle-keys" if values["num_kv_shared_layers"] and not rarely(draw) else "transformers")


@converter_drops_parameters("gemma3n", "that tokens beyond the layers' embeddings have the first ones: the file has zeros")
def gemma3n_tokens(model: Any, configuration: Configuration) -> bool:
    missing = configuration.values["vocab_size"] - configuration.values["vocab_size_per_layer_input"]
    if missing == 0:
        return False
    model.config.vocab_size_per_layer_input += missing
    table = model.model.embed_tokens_per_layer
    table.weight = torch.nn.Parameter(torch.cat([table.weight, table.weight.new_zeros(missing, table.weight.shape[1])]))
    return True


converter_ignores("gemma3n", "hidden_activation", "gelu_pytorch_tanh")
converter_ignores("gemma3n", "altup_correct_scale", True)


@converter_refuses("gemma3n", "layers that share keys and values: they get no weights of their own, as published ones have")
def gemma3n_shared(configuration: Configuration) -> bool:
    return configuration.values["num_kv_shared_layers"] > 0 and configuration.family == "transformers"


@converter_refuses("gemma3n", "another number of AltUp's parts than 4")
def gemma3n_parts(configuration: Configuration) -> bool:
    return configuration.values["altup_num_inputs"] != 4


@converter_refuses("gemma3n", "another rank of LAuReL than 64, of which files say nothing")
def gemma3n_rank(configuration: Configuration) -> bool:
    return configuration.values["laurel_rank"] != 64


@converter_refuses("gemma3n", "attention_bias: the output's, which engines do not know")
def gemma3n_bias(configuration: Configuration) -> bool:
    return configuration.values["attention_bias"]


@llama_cpp_differs("gemma3n", "sizes, sparsity, sharing and bounds that files say and llama.cpp knows by heart")
def gemma3n_fixed(configuration: Configuration) -> bool:
    return True


@strategy("gemma4")
def gemma4(draw: Draw) -> Configuration:
    values = decoder(
        draw, head_dim=draw(integers(4, 32, 2)), hidden_activation=activation(draw, "gelu_pytorch_tanh"),
        attention_bias=rarely(draw), sliding_window=draw(WINDOWS), vocab_size=320,
        final_logit_softcapping=draw(st.sampled_from([30.0, 3.0, None])))
    values |= layers_and_sharing(draw, 6)
    values |= {
        "global_head_dim": draw(integers(8, 32, 8)),
        "attention_k_eq_v": draw(st.booleans()),
        "use_double_wide_mlp": draw(st.booleans()),
        "vocab_size_per_layer_input": 320,
        "hidden_size_per_layer_input": draw(st.sampled_from([16, 0, 4])),
        "enable_moe_block": draw(st.booleans()),
        "rope_parameters": ropes(
            draw, {"rope_type": "proportional", "partial_rotary_factor": draw(st.sampled_from([0.25, 0.5, 1.0]))}),
    }
    if values["hidden_size_per_layer_input"] == 0:
        # The class fails where such models share, and none are published.
        values["num_kv_shared_layers"] = 0
    if values["attention_k_eq_v"]:
        values["num_global_key_value_heads"] = values["num_key_value_heads"]
    if values["enable_moe_block"]:
        values["num_experts"] = draw(st.integers(1, 6))
        values["top_k_experts"] = draw(st.integers(1, values["num_experts"]))
        values["moe_intermediate_size"] = draw(integers(4, 24, 4))
    return Configuration("Gemma4ForCausalLM", values, tokens=draw(PROMPTS), tokenizer="falling-back")


converter_ignores("gemma4", "hidden_activation", "gelu_pytorch_tanh")


@converter_drops("gemma4", "that there is no final_logit_softcapping")
def gemma4_cap(configuration: Configuration) -> Configuration | None:
    if configuration.values["final_logit_softcapping"] is not None:
        return None
    return configuration.with_values(final_logit_softcapping=30.0)


@converter_refuses("gemma4", "heads of one size in all layers: nothing is written of that")
def gemma4_heads(configuration: Configuration) -> bool:
    values = configuration.values
    return values["head_dim"] == values["global_head_dim"]


@converter_refuses("gemma4", "attention_bias: engines know none")
def gemma4_bias(configuration: Configuration) -> bool:
    return configuration.values["attention_bias"]

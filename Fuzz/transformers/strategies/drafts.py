"""Models that draft the tokens of another one."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import drafts  # noqa: F401: registers what `family` names
from strategies import (
    PROMPTS, Configuration, Draw, converter_drops, converter_ignores, converter_ignores_rope, converter_refuses,
    integers, rarely, rope, strategy,
)
from strategies.dense import LAYER_TYPES, ROPES, WINDOWS, activation, decoder
from strategies.gemma_per_layer import ropes
from strategies.multimodal import text
from strategies.sparse_language_models import converter_ignores_of_text


def target(values: dict[str, Any], name: str = "Qwen3ForCausalLM", **more: Any) -> dict[str, Any]:
    """What a converter wants to know of the model whose tokens are drafted."""
    return {"architectures": [name], "vocab_size": values["vocab_size"], "num_hidden_layers": 12} | more


def context(draw: Draw, tokens: int) -> int:
    """How many of the tokens the target has seen: nearly all, as in use, or any number of them."""
    return draw(st.one_of(st.integers(max(0, tokens - 8), tokens), st.integers(0, tokens)))


@strategy("eagle3")
def eagle3(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), num_hidden_layers=1, attention_bias=rarely(draw),
                     tie_word_embeddings=False, hidden_act=activation(draw, "silu"))
    width = draw(integers(8, 64, 4))
    values |= {
        "rope_parameters": draw(rope(values["head_dim"], (*ROPES, "llama3"))),
        "draft_vocab_size": draw(st.sampled_from([100, values["vocab_size"], 1, values["vocab_size"] - 1])),
        "target_hidden_size": width,
        "norm_before_residual": draw(st.booleans()),
        "norm_before_fc": draw(st.booleans()),
    }
    if draw(st.booleans()):
        values["eagle_aux_hidden_state_layer_ids"] = [1, 5, 8]
    tokens = draw(PROMPTS)
    return Configuration(
        draw(st.sampled_from(["LlamaForCausalLMEagle3", "Eagle3Speculator"])), values, tokens=tokens, family="eagle3",
        context=context(draw, tokens), target=target(values, hidden_size=width),
        published={"target_hidden_size": None} if draw(st.booleans()) else {})


converter_ignores("eagle3", "hidden_act", "silu")
converter_ignores_rope("eagle3", "truncate", "mscale", "mscale_all_dim")


@converter_refuses("eagle3", "attention_bias: engines know none")
def eagle3_bias(configuration: Configuration) -> bool:
    return configuration.values["attention_bias"]


@strategy("gemma4-assistant")
def gemma4_assistant(draw: Draw) -> Configuration:
    layers = draw(st.integers(1, 4))
    values = decoder(
        draw, head_dim=draw(integers(4, 32, 2)), hidden_activation=activation(draw, "gelu_pytorch_tanh"),
        attention_bias=False, sliding_window=draw(WINDOWS), vocab_size=320, num_hidden_layers=layers,
        num_kv_shared_layers=layers, tie_word_embeddings=True, hidden_size_per_layer_input=0,
        vocab_size_per_layer_input=0, final_logit_softcapping=draw(st.sampled_from([None, 30.0])))
    values |= {
        "layer_types": [*draw(st.lists(LAYER_TYPES, min_size=layers - 1, max_size=layers - 1)), "full_attention"],
        "global_head_dim": draw(integers(8, 32, 8)),
        "attention_k_eq_v": draw(st.booleans()),
        "rope_parameters": ropes(
            draw, {"rope_type": "proportional", "partial_rotary_factor": draw(st.sampled_from([0.25, 0.5, 1.0]))}),
    }
    if values["attention_k_eq_v"]:
        groups = values["num_attention_heads"]
        values["num_global_key_value_heads"] = draw(st.sampled_from([n for n in (1, groups) if groups % n == 0]))
    whole = {"text_config": values, "backbone_hidden_size": draw(integers(8, 64, 4)), "tie_word_embeddings": True}
    kind = ""
    if rarely(draw):
        option = draw(st.sampled_from(["clusters", "bias", "Unified"]))
        if option == "clusters":
            whole |= {"use_ordered_embeddings": True, "num_centroids": 32, "centroid_intermediate_top_k": 4}
        elif option == "bias":
            values["attention_bias"] = True
        else:
            kind = option
    return Configuration(f"Gemma4{kind}AssistantForCausalLM", whole, tokens=draw(PROMPTS), tokenizer="falling-back",
                         family="gemma4-assistant")


converter_ignores("gemma4-assistant", "use_ordered_embeddings", False)
converter_ignores_of_text("gemma4-assistant", "hidden_activation", "gelu_pytorch_tanh")


@converter_refuses("gemma4-assistant", "heads of one size in all layers: nothing is written of that")
def gemma4_assistant_heads(configuration: Configuration) -> bool:
    return text(configuration)["head_dim"] == text(configuration)["global_head_dim"]


@converter_refuses("gemma4-assistant", "Gemma 4 Unified's drafts, as transformers writes them: nothing of experts")
def gemma4_assistant_unified(configuration: Configuration) -> bool:
    return configuration.model_class == "Gemma4UnifiedAssistantForCausalLM"


@converter_refuses("gemma4-assistant", "attention_bias: engines know none")
def gemma4_assistant_bias(configuration: Configuration) -> bool:
    return text(configuration)["attention_bias"]


@strategy("dflash")
def dflash(draw: Draw) -> Configuration:
    return draw(st.sampled_from([z_lab_draft, muse_glimmer_assistant]))(draw)


def draft(draw: Draw, values: dict[str, Any], model_class: str, family: str, **more: Any) -> Configuration:
    """The first tokens are context, and there is one at least that sees them."""
    tokens = draw(PROMPTS)
    return Configuration(model_class, values, tokens=tokens, family=family,
                         context=min(context(draw, tokens), tokens - 1), **more)


def windowed_layers(draw: Draw, values: dict[str, Any]) -> dict[str, Any]:
    layers = values["num_hidden_layers"]
    return {"layer_types": draw(st.lists(LAYER_TYPES, min_size=layers, max_size=layers)),
            "sliding_window": draw(WINDOWS)}


def target_layers(draw: Draw) -> list[int]:
    return sorted(draw(st.lists(st.integers(0, 11), min_size=1, max_size=4, unique=True)))


def z_lab_draft(draw: Draw) -> Configuration:
    """Of the method's authors."""
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), attention_bias=rarely(draw),
                     hidden_act=activation(draw, "silu"))
    options: dict[str, Any] = {"target_layer_ids": target_layers(draw), "mask_token_id": 5}
    if draw(st.booleans()):
        options["output_multiplier"] = draw(st.sampled_from([0.5, 2.5]))
    if draw(st.booleans()):
        options["final_logit_softcapping"] = draw(st.sampled_from([30.0, 1.0]))
    if draw(st.booleans()):
        options["input_embedding_scale"] = draw(st.sampled_from([0.5, 8.0]))
    values |= {"dflash_config": options, "num_target_layers": 12, "block_size": 16,
               "rope_parameters": draw(rope(values["head_dim"], ROPES))}
    if draw(st.booleans()):
        values |= windowed_layers(draw, values) | {"use_sliding_window": True}
    if "layer_types" in values and not rarely(draw) or draw(st.booleans()):
        values["is_causal"] = draw(st.booleans())
    name, more = "Qwen3ForCausalLM", {}
    if rarely(draw):
        name, more = "Gemma3ForCausalLM", {"hidden_size": values["hidden_size"]}
    elif draw(st.booleans()):
        more = {"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 1]}}
    tokenizer = "byte-pairs" if name == "Qwen3ForCausalLM" else "sentencepiece"
    return draft(draw, values, "DFlashDraftModel", "dflash", target=target(values, name, **more), tokenizer=tokenizer)


def muse_glimmer_assistant(draw: Draw) -> Configuration:
    """Muse Glimmer's, of which a class of transformers is."""
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), hidden_act=activation(draw, "silu"), eos_token_id=2)
    values |= windowed_layers(draw, values) | {
        # Those of one token less mean the same to others, and there are none of no token.
        "sliding_window": draw(st.sampled_from([8, 2, 5, 16])),
        "block_size": 16, "mask_token_id": 5, "target_layer_ids": target_layers(draw),
        "rope_parameters": draw(rope(values["head_dim"], ("default", "linear", "yarn")))}
    return draft(draw, values, "MuseGlimmerAssistantModel", "muse-glimmer-assistant",
                 target=target(values, "MuseGlimmerForConditionalGeneration"))


converter_ignores("dflash", "hidden_act", "silu")
converter_ignores_rope("dflash", "truncate", "mscale", "mscale_all_dim")


@converter_refuses("dflash", "attention_bias: engines know none")
def dflash_bias(configuration: Configuration) -> bool:
    return configuration.values.get("attention_bias", False)


@converter_drops("dflash", "that layers with a window are causal, where a configuration does not say it")
def dflash_causal_windows(configuration: Configuration) -> Configuration | None:
    values = configuration.values
    is_silent = configuration.family == "dflash" and "is_causal" not in values
    if not is_silent or "sliding_attention" not in values.get("layer_types", []):
        return None
    return configuration.with_values(is_causal=False)


@converter_drops("dflash", "that windows of Muse Glimmer's drafts hold a token more to each side than those of others")
def dflash_inclusive_windows(configuration: Configuration) -> Configuration | None:
    values = configuration.values
    if configuration.family != "muse-glimmer-assistant" or "sliding_attention" not in values["layer_types"]:
        return None
    return configuration.with_values(sliding_window=values["sliding_window"] - 1)


@converter_drops("dflash", "that embeddings of a Gemma are not scaled, where a configuration does not say it")
def dflash_embedding_scale(configuration: Configuration) -> Configuration | None:
    options = configuration.values.get("dflash_config", {})
    is_gemma = configuration.target["architectures"][0].startswith("Gemma")
    if not is_gemma or "input_embedding_scale" in options:
        return None
    scale = configuration.values["hidden_size"] ** 0.5
    return configuration.with_values(dflash_config=options | {"input_embedding_scale": scale})

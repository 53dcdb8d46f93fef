"""Decoders whose blocks are attention and one feed-forward network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from rerankers import RERANKER
from strategies import (
    EPSILONS, PROMPTS, THETAS, VOCABULARY, Configuration, Draw, converter_drops, converter_ignores,
    converter_ignores_rope, converter_refuses, heads, integers,
    llama_cpp_differs, llama_cpp_refuses_bias, rarely, rope, strategy,
)

WINDOWS = st.sampled_from([8, 1, 5, 16])
"""Shorter than the prompt."""
ROPES = ("default", "linear", "yarn", "dynamic")


def decoder(draw: Draw, **more: Any) -> dict[str, Any]:
    """What nearly all decoders have: sizes, grouped heads, tied or not."""
    query_heads, key_heads = draw(heads())
    return {
        "vocab_size": draw(VOCABULARY),
        "hidden_size": query_heads * draw(integers(4, 16, 4)),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_attention_heads": query_heads,
        "num_key_value_heads": key_heads,
        "intermediate_size": draw(integers(8, 72, 4)),
        "max_position_embeddings": 256,
        "rms_norm_eps": draw(EPSILONS),
        "tie_word_embeddings": draw(st.booleans()),
        "bos_token_id": 1, "eos_token_id": [2, 1] if rarely(draw) else 2, "pad_token_id": 3,
    } | more


def head_size_of(values: dict[str, Any]) -> int:
    return values.get("head_dim") or values["hidden_size"] // values["num_attention_heads"]


def activation(draw: Draw, usual: str) -> str:
    """The activation that the class has by default, and rarely another, of which files say nothing."""
    return draw(st.sampled_from(["relu", "gelu", "silu", "gelu_pytorch_tanh"])) if rarely(draw) else usual


@strategy("llama")
def llama(draw: Draw) -> Configuration:
    name = draw(st.sampled_from(["Llama", "Mistral", "Mixtral"]))
    values = decoder(draw, hidden_act=activation(draw, "silu"))
    # MixtralConfig has no size of heads by itself, which transformers' scaled frequencies want to know.
    if name == "Mixtral" or draw(st.booleans()):
        values["head_dim"] = draw(integers(4, 32, 2))
    values["rope_parameters"] = draw(rope(head_size_of(values), (*ROPES, "llama3", "longrope")))
    if name == "Llama":
        values |= {"attention_bias": draw(st.booleans()), "mlp_bias": draw(st.booleans())}
    else:
        values["sliding_window"] = draw(WINDOWS) if rarely(draw) else None
    if name == "Mixtral":
        values["num_local_experts"] = draw(st.integers(1, 6))
        values["num_experts_per_tok"] = draw(st.integers(1, values["num_local_experts"]))
    return Configuration(
        f"{name}ForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())},
        tokenizer=draw(st.sampled_from(["byte-pairs", "sentencepiece"])))


converter_ignores("llama", "hidden_act", "silu")
converter_ignores("llama", "sliding_window", None)
converter_ignores_rope("llama", "truncate", "mscale", "mscale_all_dim")


@converter_drops("llama", "LongRoPE's factors and magnitude")
def llama_longrope(configuration: Configuration) -> Configuration | None:
    parameters = configuration.values["rope_parameters"]
    if parameters["rope_type"] != "longrope":
        return None
    return configuration.with_values(
        rope_parameters={"rope_type": "default", "rope_theta": parameters["rope_theta"]})


@strategy("gpt2")
def gpt2(draw: Draw) -> Configuration:
    query_heads = draw(st.integers(1, 6))
    width = query_heads * draw(integers(4, 16, 4))
    values = {
        "vocab_size": draw(VOCABULARY), "n_positions": 256, "n_embd": width, "n_layer": draw(st.integers(1, 3)),
        "n_head": query_heads, "layer_norm_epsilon": draw(EPSILONS), "tie_word_embeddings": draw(st.booleans()),
        "activation_function": activation(draw, "gelu_new"), "bos_token_id": 1, "eos_token_id": 2,
    }
    if rarely(draw):
        values["n_inner"] = draw(integers(4, 4 * width, 4))
    if rarely(draw):
        values["scale_attn_by_inverse_layer_idx"] = True
    if rarely(draw):
        values["scale_attn_weights"] = False
    published = {} if rarely(draw) else {"n_ctx": 256}
    return Configuration("GPT2LMHeadModel", values, tokens=draw(PROMPTS), published=published)


converter_ignores("gpt2", "activation_function", "gelu_new")
converter_ignores("gpt2", "scale_attn_by_inverse_layer_idx", False)
converter_ignores("gpt2", "scale_attn_weights", True)


@converter_refuses("gpt2", "configurations without n_ctx, which transformers no longer writes")
def gpt2_without_context(configuration: Configuration) -> bool:
    return "n_ctx" not in configuration.published


@converter_refuses("gpt2", "n_inner: the file says four times the width all the same")
def gpt2_inner(configuration: Configuration) -> bool:
    width = 4 * configuration.values["n_embd"]
    return configuration.values.get("n_inner", width) != width


@strategy("bloom")
def bloom(draw: Draw) -> Configuration:
    query_heads = draw(st.integers(1, 9))
    values = {
        "vocab_size": draw(VOCABULARY), "hidden_size": query_heads * draw(integers(4, 16, 4)),
        "n_layer": draw(st.integers(1, 3)), "n_head": query_heads, "layer_norm_epsilon": draw(EPSILONS),
        "tie_word_embeddings": draw(st.booleans()), "bos_token_id": 1, "eos_token_id": 2,
    }
    if rarely(draw):
        values["apply_residual_connection_post_layernorm"] = True
    return Configuration("BloomForCausalLM", values, tokens=draw(PROMPTS), published={"seq_length": 256})


converter_ignores("bloom", "apply_residual_connection_post_layernorm", False)


@strategy("gemma")
def gemma(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), hidden_act=activation(draw, "gelu_pytorch_tanh"),
                     attention_bias=rarely(draw), tie_word_embeddings=not rarely(draw))
    if rarely(draw):
        values["rope_parameters"] = draw(rope(values["head_dim"], ROPES))
    if rarely(draw):
        values["use_bidirectional_attention"] = True
    return Configuration("GemmaForCausalLM", values, tokens=draw(PROMPTS), tokenizer="sentencepiece",
                         converter={"fuse_qkv": draw(st.booleans())})


PLAIN_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
for _architecture, _activation in (("gemma", "hidden_act"), ("gemma2", "hidden_activation")):
    converter_ignores(_architecture, "rope_parameters", PLAIN_ROPE)
    converter_ignores(_architecture, _activation, "gelu_pytorch_tanh")
    converter_ignores(_architecture, "use_bidirectional_attention", None)
    converter_ignores(_architecture, "tie_word_embeddings", True)


def scale_of_27b(values: dict[str, Any], layers: int) -> int:
    """The one `query_pre_attn_scalar` that files can mean: the size of a head, or of the model of 27 billion, which
    engines know by its number of layers, the width over the heads."""
    if values["num_hidden_layers"] == layers:
        return values["hidden_size"] // values["num_attention_heads"]
    return values["head_dim"]


@strategy("gemma2")
def gemma2(draw: Draw) -> Configuration:
    values = decoder(
        draw, head_dim=draw(integers(4, 32, 2)), hidden_activation=activation(draw, "gelu_pytorch_tanh"),
        attention_bias=rarely(draw), tie_word_embeddings=not rarely(draw), sliding_window=draw(WINDOWS),
        num_hidden_layers=draw(st.integers(1, 4)), attn_logit_softcapping=draw(st.sampled_from([50.0, 5.0, 0.5])),
        final_logit_softcapping=draw(st.sampled_from([30.0, 3.0, 0.5])))
    gain = 1.3
    if rarely(draw):
        values["num_hidden_layers"], gain = 46, 0.6
    values["query_pre_attn_scalar"] = draw(st.integers(1, 40)) if rarely(draw) else scale_of_27b(values, 46)
    if rarely(draw):
        values["rope_parameters"] = draw(rope(values["head_dim"], ROPES))
    if rarely(draw):
        values["use_bidirectional_attention"] = True
    if rarely(draw):
        layers = values["num_hidden_layers"]
        values["layer_types"] = draw(st.lists(LAYER_TYPES, min_size=layers, max_size=layers))
    if rarely(draw):
        values[draw(st.sampled_from(["attn_logit_softcapping", "final_logit_softcapping"]))] = None
    return Configuration("Gemma2ForCausalLM", values, tokens=draw(PROMPTS), tokenizer="sentencepiece", gain=gain,
                         converter={"fuse_qkv": draw(st.booleans())})


LAYER_TYPES = st.sampled_from(["sliding_attention", "full_attention"])
converter_ignores("gemma2", "layer_types", None)


@converter_drops("gemma2", "query_pre_attn_scalar")
def gemma2_scale(configuration: Configuration) -> Configuration | None:
    meant = scale_of_27b(configuration.values, 46)
    if configuration.values["query_pre_attn_scalar"] == meant:
        return None
    return configuration.with_values(query_pre_attn_scalar=meant)


@converter_refuses("gemma2", "no soft cap: the value is written though it is null")
def gemma2_without_cap(configuration: Configuration) -> bool:
    return None in (configuration.values["attn_logit_softcapping"], configuration.values["final_logit_softcapping"])


@strategy("gemma3")
def gemma3(draw: Draw) -> Configuration:
    values = decoder(
        draw, head_dim=draw(integers(4, 32, 2)), hidden_activation=activation(draw, "gelu_pytorch_tanh"),
        attention_bias=rarely(draw), sliding_window=draw(WINDOWS), num_hidden_layers=draw(st.integers(1, 7)))
    gain = 1.3
    if rarely(draw):
        values["num_hidden_layers"], gain = 62, 0.6
    values["query_pre_attn_scalar"] = draw(st.integers(1, 40)) if rarely(draw) else scale_of_27b(values, 62)
    if draw(st.booleans()):
        values["rope_parameters"] = {
            "full_attention": draw(rope(values["head_dim"], ROPES)),
            "sliding_attention": {"rope_type": "default", "rope_theta": draw(THETAS)},
        }
    if draw(st.booleans()):
        values["final_logit_softcapping"] = draw(st.sampled_from([30.0, 3.0, 0.5]))
    if rarely(draw):
        values["attn_logit_softcapping"] = 5.0
    if rarely(draw):
        # Windows are halved then, and what is saved is twice that.
        values |= {"use_bidirectional_attention": True, "sliding_window": 8}
    if rarely(draw):
        layers = values["num_hidden_layers"]
        values["layer_types"] = draw(st.lists(LAYER_TYPES, min_size=layers, max_size=layers))
    tokenizer = draw(st.sampled_from(["sentencepiece", "byte-pairs"]))
    if tokenizer == "byte-pairs" and not rarely(draw):
        values["vocab_size"] = 320
    return Configuration("Gemma3ForCausalLM", values, tokens=draw(PROMPTS), gain=gain, tokenizer=tokenizer,
                         converter={"fuse_qkv": draw(st.booleans())})


converter_ignores("gemma3", "hidden_activation", "gelu_pytorch_tanh")
converter_ignores("gemma3", "use_bidirectional_attention", False)
converter_ignores("gemma3", "layer_types", None)
converter_ignores_rope("gemma3", "truncate", "mscale", "mscale_all_dim")


@converter_drops("gemma3", "query_pre_attn_scalar")
def gemma3_scale(configuration: Configuration) -> Configuration | None:
    meant = scale_of_27b(configuration.values, 62)
    if configuration.values["query_pre_attn_scalar"] == meant:
        return None
    return configuration.with_values(query_pre_attn_scalar=meant)


@converter_refuses("gemma3", "attn_logit_softcapping, which no Gemma 3 has")
def gemma3_cap(configuration: Configuration) -> bool:
    return "attn_logit_softcapping" in configuration.values


@converter_refuses("gemma3", "a model of more tokens than its byte pairs: rows of the embedding are cut off, tokens are not")
def gemma3_vocabulary(configuration: Configuration) -> bool:
    return configuration.tokenizer == "byte-pairs" and configuration.values["vocab_size"] > 324


def windowed(draw: Draw, values: dict[str, Any]) -> None:
    """Qwen's windows, from a layer on."""
    if rarely(draw):
        values |= {"use_sliding_window": True, "sliding_window": draw(WINDOWS),
                   "max_window_layers": draw(st.integers(0, 2))}


def head_or_pooling(draw: Draw, configuration: Configuration) -> Configuration:
    """A model with its head, or without one and what embedding models have instead."""
    if draw(st.integers(0, 3)) < 3:
        return configuration
    values = configuration.values | {"is_causal": draw(st.sampled_from([True, False]))}
    model_class = configuration.model_class.replace("ForCausalLM", "Model")
    return replace(configuration, model_class=model_class, values=values,
                   pooling=draw(st.sampled_from(["last", "mean", "cls"])))


@strategy("qwen2")
def qwen2(draw: Draw) -> Configuration:
    values = decoder(draw, hidden_act=activation(draw, "silu"))
    values["rope_parameters"] = draw(rope(head_size_of(values), ROPES))
    windowed(draw, values)
    return head_or_pooling(draw, Configuration(
        "Qwen2ForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())}))


@strategy("qwen3")
def qwen3(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), attention_bias=rarely(draw),
                     hidden_act=activation(draw, "silu"))
    values["rope_parameters"] = draw(rope(values["head_dim"], ROPES))
    windowed(draw, values)
    configuration = Configuration(
        "Qwen3ForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})
    return replace(configuration, family=RERANKER) if rarely(draw) else head_or_pooling(draw, configuration)


for _architecture in ("qwen2", "qwen3"):
    converter_ignores(_architecture, "hidden_act", "silu")
    converter_ignores(_architecture, "use_sliding_window", False)
    converter_ignores_rope(_architecture, "truncate", "mscale", "mscale_all_dim")


@strategy("olmo2")
def olmo2(draw: Draw) -> Configuration:
    name = draw(st.sampled_from(["Olmo2", "Olmo3"]))
    values = decoder(draw, attention_bias=rarely(draw), hidden_act=activation(draw, "silu"),
                     tie_word_embeddings=rarely(draw))
    full = draw(rope(head_size_of(values), ROPES))
    if name == "Olmo2":
        values["rope_parameters"] = full
    else:
        layers = values["num_hidden_layers"] = draw(st.integers(1, 5))
        values["sliding_window"] = draw(WINDOWS)
        if draw(st.booleans()):
            values["layer_types"] = draw(st.lists(LAYER_TYPES, min_size=layers, max_size=layers))
        theta = draw(THETAS) if rarely(draw) else full["rope_theta"]
        values["rope_parameters"] = {
            "full_attention": full, "sliding_attention": {"rope_type": "default", "rope_theta": theta}}
    return Configuration(f"{name}ForCausalLM", values, tokens=draw(PROMPTS))


converter_ignores("olmo2", "hidden_act", "silu")
converter_ignores_rope("olmo2", "truncate", "mscale", "mscale_all_dim")


@converter_refuses("olmo2", "a tied head: engines ask for output.weight")
def olmo2_tied(configuration: Configuration) -> bool:
    return configuration.values["tie_word_embeddings"]


@llama_cpp_differs("olmo2", "a window that no layer has: aborts")
def olmo2_window_of_none(configuration: Configuration) -> bool:
    values = configuration.values
    layers = values.get("layer_types") or ["sliding_attention"]
    return "sliding_window" in values and "sliding_attention" not in layers


@strategy("starcoder2")
def starcoder2(draw: Draw) -> Configuration:
    values = decoder(draw, use_bias=draw(st.booleans()), norm_epsilon=draw(EPSILONS),
                     hidden_act=activation(draw, "gelu_pytorch_tanh"))
    del values["rms_norm_eps"]
    values["rope_parameters"] = draw(rope(head_size_of(values), ROPES))
    values["sliding_window"] = draw(WINDOWS) if rarely(draw) else None
    return Configuration("Starcoder2ForCausalLM", values, tokens=draw(PROMPTS),
                         converter={"fuse_qkv": draw(st.booleans())})


converter_ignores("starcoder2", "hidden_act", "gelu_pytorch_tanh")
converter_ignores("starcoder2", "sliding_window", None)
converter_ignores_rope("starcoder2", "truncate", "mscale", "mscale_all_dim")

for _architecture in ("gemma", "gemma2", "gemma3", "qwen3", "olmo2"):
    llama_cpp_refuses_bias(_architecture)

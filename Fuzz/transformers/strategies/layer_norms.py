"""Decoders with layer norms, and kin of theirs: blocks side by side or not, learned positions, ALiBi."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` names
from strategies import (
    EPSILONS, PROMPTS, VOCABULARY, Configuration, Draw, converter_drops, converter_drops_parameters,
    converter_ignores, converter_ignores_rope, converter_refuses, heads, integers, llama_cpp_differs, rarely, rope, strategy,
)
from strategies.dense import LAYER_TYPES, PLAIN_ROPE, ROPES, WINDOWS, activation, decoder, head_size_of


def layer_normed(draw: Draw, epsilon: str = "layer_norm_eps", **more: Any) -> dict[str, Any]:
    """What `decoder` draws, but for the epsilon's name."""
    values = decoder(draw, **more)
    values[epsilon] = values.pop("rms_norm_eps")
    return values


SCALINGS = ("default", "linear", "yarn")
"""Of any number of rotated elements: the dynamic one divides by zero where there are two."""


def partly_rotated(draw: Draw, values: dict[str, Any], kinds: tuple[str, ...] = ("default",)) -> None:
    """Rotary embedding of an even number of elements of each head."""
    size = head_size_of(values)
    rotated = draw(integers(2, size, 2))
    # Classes and converters round products with it down.
    share = 1.0 if rotated == size else (rotated + 0.25) / size
    values["rope_parameters"] = draw(rope(rotated, kinds)) | {"partial_rotary_factor": share}


def tied(configuration: Configuration) -> bool:
    return configuration.values.get("tie_word_embeddings", False)


def is_scaled(configuration: Configuration) -> bool:
    return configuration.values.get("rope_parameters", PLAIN_ROPE)["rope_type"] != "default"


AS_WRITTEN = {"model_type": None}
"""Published for the converter to take `config.json` as it is, and not what transformers 5 makes of it."""


def converter_ignores_rope_but_part(architecture: str) -> None:
    """Declares that files say of the rotary embedding only how much of a head it rotates."""

    @converter_drops(architecture, "rope_parameters")
    def plain(configuration: Configuration) -> Configuration | None:
        parameters = configuration.values.get("rope_parameters", {})
        part = {key: value for key, value in parameters.items() if key == "partial_rotary_factor"}
        left = PLAIN_ROPE | part if parameters else {}
        return None if parameters == left else configuration.with_values(rope_parameters=left)


@strategy("falcon")
def falcon(draw: Draw) -> Configuration:
    query_heads, key_heads = draw(heads())
    values = {
        "vocab_size": draw(VOCABULARY), "hidden_size": query_heads * draw(integers(4, 16, 4)),
        "num_hidden_layers": draw(st.integers(1, 3)), "num_attention_heads": query_heads,
        "layer_norm_epsilon": draw(EPSILONS), "tie_word_embeddings": draw(st.booleans()),
        "activation": activation(draw, "gelu"), "bos_token_id": 1, "eos_token_id": 2,
    }
    published = {}
    kind = draw(st.sampled_from(["one key head", "a key head each", "key heads"]))
    if kind == "one key head":
        # As published: the class writes how many there would be without `multi_query`.
        values["multi_query"], published = True, {} if rarely(draw) else {"num_kv_heads": None} | AS_WRITTEN
    elif kind == "a key head each":
        values |= {"multi_query": False, "num_kv_heads": query_heads}
    else:
        values |= {"new_decoder_architecture": True, "num_kv_heads": key_heads,
                   "num_ln_in_parallel_attn": draw(st.sampled_from([2, 1]))}
    if rarely(draw):
        values["rope_parameters"] = draw(rope(values["hidden_size"] // query_heads, ROPES))
    if rarely(draw):
        values["ffn_hidden_size"] = draw(integers(4, 64, 4))
    if rarely(draw):
        values["alibi"] = True
    if rarely(draw):
        values["bias"] = True
    if rarely(draw) and kind != "key heads":
        values["parallel_attn"] = False
    return Configuration("FalconForCausalLM", values, tokens=draw(PROMPTS), published=published)


converter_ignores("falcon", "activation", "gelu")
converter_ignores("falcon", "rope_parameters", PLAIN_ROPE)
converter_ignores("falcon", "alibi", False)


@converter_refuses("falcon", "one key head: transformers says that there are as many as query heads")
def falcon_key_heads(configuration: Configuration) -> bool:
    return configuration.values.get("multi_query", False) and not configuration.published


@converter_refuses("falcon", "bias: those of the fused matrix are no rows")
def falcon_biases(configuration: Configuration) -> bool:
    return configuration.values.get("bias", False)


@converter_refuses("falcon", "blocks one after the other: the second norm has no name")
def falcon_sequential(configuration: Configuration) -> bool:
    return not configuration.values.get("parallel_attn", True)


@converter_refuses("falcon", "ffn_hidden_size: the file says four times the width all the same")
def falcon_inner(configuration: Configuration) -> bool:
    width = 4 * configuration.values["hidden_size"]
    return configuration.values.get("ffn_hidden_size", width) != width


@strategy("gptneox")
def gptneox(draw: Draw) -> Configuration:
    values = layer_normed(draw, hidden_act=activation(draw, "gelu"), use_parallel_residual=draw(st.booleans()),
                          attention_bias=not rarely(draw), tie_word_embeddings=rarely(draw))
    del values["num_key_value_heads"]
    partly_rotated(draw, values, SCALINGS if rarely(draw) else ("default",))
    share = values["rope_parameters"]["partial_rotary_factor"]
    return Configuration("GPTNeoXForCausalLM", values, tokens=draw(PROMPTS),
                         published={} if rarely(draw) else {"rotary_pct": share} | AS_WRITTEN)


converter_ignores("gptneox", "hidden_act", "gelu")
converter_ignores_rope_but_part("gptneox")
llama_cpp_differs("gptneox", "a tied head, and no biases: asked for all the same")(
    lambda configuration: tied(configuration) or not configuration.values.get("attention_bias", True))


@converter_refuses("gptneox", "configurations without rotary_pct, which transformers 5 neither writes nor reads")
def gptneox_without_share(configuration: Configuration) -> bool:
    return "rotary_pct" not in configuration.published


@strategy("mpt")
def mpt(draw: Draw) -> Configuration:
    query_heads = draw(st.integers(1, 6))
    attention = {"alibi": True, "clip_qkv": draw(st.sampled_from([None, 1.0, 0.25]))}
    if rarely(draw):
        attention["softmax_scale"] = 0.5
    values = {
        "vocab_size": draw(VOCABULARY), "d_model": query_heads * draw(integers(4, 16, 4)),
        "n_layers": draw(st.integers(1, 3)), "n_heads": query_heads, "max_seq_len": 256, "attn_config": attention,
        "layer_norm_epsilon": draw(EPSILONS) if rarely(draw) else 1e-5, "tie_word_embeddings": draw(st.booleans()),
        "bos_token_id": 1, "eos_token_id": 2,
    }
    # The published name of the class.
    return Configuration("MptForCausalLM", values, tokens=draw(PROMPTS),
                         published={"architectures": ["MPTForCausalLM"]})


converter_ignores("mpt", "layer_norm_epsilon", 1e-5)


@converter_drops("mpt", "softmax_scale")
def mpt_scale(configuration: Configuration) -> Configuration | None:
    attention = configuration.values["attn_config"]
    if "softmax_scale" not in attention:
        return None
    return configuration.with_values(attn_config={**attention, "softmax_scale": None})


@strategy("starcoder")
def starcoder(draw: Draw) -> Configuration:
    query_heads = draw(st.integers(1, 6))
    width = query_heads * draw(integers(4, 16, 4))
    values = {
        "vocab_size": draw(VOCABULARY), "n_positions": 256, "n_embd": width, "n_layer": draw(st.integers(1, 3)),
        "n_head": query_heads, "layer_norm_epsilon": draw(EPSILONS), "tie_word_embeddings": draw(st.booleans()),
        "activation_function": activation(draw, "gelu_pytorch_tanh"), "bos_token_id": 1, "eos_token_id": 2,
    }
    if rarely(draw):
        values["n_inner"] = draw(integers(4, 4 * width, 4))
    if rarely(draw):
        values["multi_query"] = query_heads == 1
    if rarely(draw):
        values["scale_attn_weights"] = False
    return Configuration("GPTBigCodeForCausalLM", values, tokens=draw(PROMPTS))


converter_ignores("starcoder", "activation_function", "gelu_pytorch_tanh")
converter_ignores("starcoder", "scale_attn_weights", True)


@converter_refuses("starcoder", "n_inner: the file says four times the width all the same")
def starcoder_inner(configuration: Configuration) -> bool:
    width = 4 * configuration.values["n_embd"]
    return configuration.values.get("n_inner", width) != width


@converter_refuses("starcoder", "a key head for each query head: the file says one all the same")
def starcoder_key_heads(configuration: Configuration) -> bool:
    return not configuration.values.get("multi_query", True)


@strategy("stablelm")
def stablelm(draw: Draw) -> Configuration:
    values = layer_normed(
        draw, hidden_act=activation(draw, "silu"), use_qkv_bias=draw(st.booleans()), qk_layernorm=draw(st.booleans()),
        use_parallel_residual=draw(st.booleans()), tie_word_embeddings=rarely(draw))
    partly_rotated(draw, values, SCALINGS if rarely(draw) else ("default",))
    return Configuration("StableLmForCausalLM", values, tokens=draw(PROMPTS),
                         converter={"fuse_qkv": draw(st.booleans())})


converter_ignores("stablelm", "hidden_act", "silu")


@converter_refuses("stablelm", "normed heads: their stacked weights get lost, since a generator returns them")
def stablelm_norms(configuration: Configuration) -> bool:
    return configuration.values.get("qk_layernorm", False)


converter_ignores_rope_but_part("stablelm")


@strategy("phi2")
def phi2(draw: Draw) -> Configuration:
    values = layer_normed(draw, hidden_act=activation(draw, "gelu_new"), tie_word_embeddings=rarely(draw))
    if not rarely(draw):
        values["num_key_value_heads"] = values["num_attention_heads"]
    if not rarely(draw):
        values["intermediate_size"] = 4 * values["hidden_size"]
    if rarely(draw):
        values["qk_layernorm"] = True
    partly_rotated(draw, values, SCALINGS if rarely(draw) else ("default",))
    return Configuration("PhiForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


converter_ignores("phi2", "hidden_act", "gelu_new")
converter_ignores_rope_but_part("phi2")


@converter_refuses("phi2", "normed heads: the norms have no names")
def phi2_norms(configuration: Configuration) -> bool:
    return configuration.values.get("qk_layernorm", False)


@converter_refuses("phi2", "grouped queries, or an intermediate_size other than four times the width: the file says so")
def phi2_sizes(configuration: Configuration) -> bool:
    values = configuration.values
    return (values["num_key_value_heads"], values["intermediate_size"]) != (
        values["num_attention_heads"], 4 * values["hidden_size"])


for _architecture in ("stablelm", "phi2"):
    llama_cpp_differs(_architecture, "a tied head: output.weight is asked for all the same")(tied)


SCALES = st.sampled_from([0.0625, 1.0, 2.5])


@strategy("command-r")
def command_r(draw: Draw) -> Configuration:
    values = layer_normed(
        draw, hidden_act=activation(draw, "silu"), logit_scale=draw(SCALES), use_qk_norm=draw(st.booleans()),
        attention_bias=rarely(draw), tie_word_embeddings=not rarely(draw))
    values["rope_parameters"] = draw(rope(head_size_of(values), ROPES if rarely(draw) else ("default",)))
    return Configuration("CohereForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


@strategy("cohere2")
def cohere2(draw: Draw) -> Configuration:
    values = layer_normed(
        draw, hidden_act=activation(draw, "silu"), logit_scale=draw(SCALES), sliding_window=draw(WINDOWS),
        attention_bias=rarely(draw), tie_word_embeddings=not rarely(draw), num_hidden_layers=draw(st.integers(1, 5)))
    values["rope_parameters"] = draw(rope(head_size_of(values), ROPES if rarely(draw) else ("default",)))
    if rarely(draw):
        layers = values["num_hidden_layers"]
        values["layer_types"] = draw(st.lists(LAYER_TYPES, min_size=layers, max_size=layers))
    return Configuration("Cohere2ForCausalLM", values, tokens=draw(PROMPTS),
                         published={} if rarely(draw) else {"rotary_pct": 1.0},
                         converter={"fuse_qkv": draw(st.booleans())})


converter_ignores("cohere2", "layer_types", None)
for _architecture in ("command-r", "cohere2"):
    converter_ignores(_architecture, "hidden_act", "silu")

    @converter_refuses(_architecture, "a head of its own: it has no name")
    def cohere_untied(configuration: Configuration) -> bool:
        return not configuration.values.get("tie_word_embeddings", True)

    @converter_drops(_architecture, "rotary scaling: its type is written, and then that there is none")
    def cohere_scaling(configuration: Configuration) -> Configuration | None:
        if not is_scaled(configuration):
            return None
        theta = configuration.values["rope_parameters"]["rope_theta"]
        return configuration.with_values(rope_parameters={"rope_type": "default", "rope_theta": theta})


@converter_refuses("cohere2", "biases")
def cohere2_biases(configuration: Configuration) -> bool:
    return configuration.values.get("attention_bias", False)


@converter_refuses("cohere2", "configurations without rotary_pct, which transformers does not write")
def cohere2_without_share(configuration: Configuration) -> bool:
    return "rotary_pct" not in configuration.published


@llama_cpp_differs("command-r", "normed heads of fewer than 64 blocks, biases after attention: tensors too many")
def command_r_tensors(configuration: Configuration) -> bool:
    return configuration.values.get("use_qk_norm", False) or configuration.values.get("attention_bias", False)


@strategy("olmo")
def olmo(draw: Draw) -> Configuration:
    values = decoder(draw, hidden_act=activation(draw, "silu"), attention_bias=rarely(draw),
                     clip_qkv=draw(st.sampled_from([None, 1.0, 0.25])))
    del values["rms_norm_eps"]
    values["rope_parameters"] = draw(rope(head_size_of(values), ROPES))
    return Configuration("OlmoForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


converter_ignores("olmo", "hidden_act", "silu")


@converter_drops_parameters("olmo", "the order of biases: rows of queries and keys are reordered, their biases are not")
def olmo_biases(model: Any, configuration: Configuration) -> bool:
    if not configuration.values.get("attention_bias", False):
        return False
    for layer in model.model.layers:
        attention = layer.self_attn
        for bias in (attention.q_proj.bias, attention.k_proj.bias):
            pairs = bias.clone().reshape(-1, attention.head_dim // 2, 2)
            bias.copy_(pairs.swapaxes(1, 2).reshape(bias.shape))
    return True


converter_ignores_rope("olmo", "truncate", "mscale", "mscale_all_dim")


@strategy("jais2")
def jais2(draw: Draw) -> Configuration:
    values = layer_normed(draw, hidden_act=activation(draw, "relu2"), head_dim=draw(integers(4, 32, 2)),
                          attention_bias=not rarely(draw), mlp_bias=not rarely(draw))
    values["rope_parameters"] = draw(rope(values["head_dim"], ROPES))
    return Configuration("Jais2ForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


converter_ignores("jais2", "hidden_act", "relu2")
converter_ignores_rope("jais2", "truncate", "mscale", "mscale_all_dim")


@strategy("nemotron")
def nemotron(draw: Draw) -> Configuration:
    values = layer_normed(
        draw, "norm_eps", hidden_act=activation(draw, "relu2"), attention_bias=draw(st.booleans()),
        mlp_bias=draw(st.booleans()), tie_word_embeddings=rarely(draw))
    values["head_dim"] = draw(integers(4, 32, 2)) if rarely(draw) else head_size_of(values)
    partly_rotated(draw, values, SCALINGS if rarely(draw) else ("default",))
    return Configuration("NemotronForCausalLM", values, tokens=draw(PROMPTS), tokenizer="sentencepiece",
                         converter={"fuse_qkv": draw(st.booleans())})


converter_ignores("nemotron", "hidden_act", "relu2")


def rotated_of_width(configuration: Configuration) -> int:
    """How many elements of a head the file says are rotated: that part of the width over the heads."""
    values = configuration.values
    share = values["rope_parameters"]["partial_rotary_factor"]
    return int(share * values["hidden_size"]) // values["num_attention_heads"]


@converter_drops("nemotron", "how many elements of heads are rotated that are not the width over their number")
def nemotron_part(configuration: Configuration) -> Configuration | None:
    values, rotated = configuration.values, rotated_of_width(configuration)
    parameters = values["rope_parameters"]
    if rotated == int(parameters["partial_rotary_factor"] * head_size_of(values)):
        return None
    share = (rotated + 0.25) / head_size_of(values)
    return configuration.with_values(rope_parameters=parameters | {"partial_rotary_factor": share})


@converter_refuses("nemotron", "an odd number of rotated elements, or too many, as they are counted of the width")
def nemotron_odd_part(configuration: Configuration) -> bool:
    rotated = rotated_of_width(configuration)
    return rotated % 2 != 0 or rotated > head_size_of(configuration.values)


@converter_drops("nemotron", "which kind of rotary scaling there is: its type is written, and then that it is linear")
def nemotron_scaling(configuration: Configuration) -> Configuration | None:
    parameters = configuration.values["rope_parameters"]
    if parameters["rope_type"] in ("default", "linear"):
        return None
    left = {key: parameters[key] for key in ("rope_theta", "partial_rotary_factor", "factor")}
    return configuration.with_values(rope_parameters=left | {"rope_type": "linear"})


llama_cpp_differs("nemotron", "a tied head: output.weight is asked for all the same")(tied)


@strategy("bitnet")
def bitnet(draw: Draw) -> Configuration:
    values = decoder(draw, hidden_act=draw(st.sampled_from(["silu", "relu2"])), attention_bias=rarely(draw),
                     tie_word_embeddings=not rarely(draw))
    values["rope_parameters"] = draw(rope(head_size_of(values), ROPES if rarely(draw) else ("default",)))
    return Configuration("BitNetForCausalLM", values, tokens=draw(PROMPTS), tokenizer="sentencepiece", family="bitnet")


converter_ignores("bitnet", "hidden_act", "silu")


@converter_refuses("bitnet", "a head of its own, or biases: they have no names")
def bitnet_tensors(configuration: Configuration) -> bool:
    return not tied(configuration) or configuration.values.get("attention_bias", False)


@converter_drops("bitnet", "rotary scaling")
def bitnet_scaling(configuration: Configuration) -> Configuration | None:
    parameters = configuration.values.get("rope_parameters", PLAIN_ROPE)
    if not is_scaled(configuration):
        return None
    return configuration.with_values(
        rope_parameters={"rope_type": "default", "rope_theta": parameters["rope_theta"]})

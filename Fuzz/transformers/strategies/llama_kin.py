"""Dense decoders that are Llama but for a few lines, and Granite with its experts."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from strategies import (
    PROMPTS, THETAS, Configuration, Draw, converter_drops, converter_ignores, converter_ignores_rope, converter_refuses,
    integers, llama_cpp_differs, rarely, rope, strategy,
)
from strategies.dense import LAYER_TYPES, ROPES, WINDOWS, activation, decoder, head_size_of
from strategies.experts import YARN_ONLY_IN_TRANSFORMERS, experts_and_used

FACTORS = st.sampled_from([1.0, 0.25, 12.0, 1.5])
"""What embeddings, residuals, scores or logits are multiplied or divided by."""


def llama_cpp_refuses_biases(architecture: str, *keys: str) -> None:
    """Declares options that give biases which llama.cpp's loader of this architecture does not ask for."""

    @llama_cpp_differs(architecture, ", ".join(keys) + ": biases that it does not ask for")
    def has_biases(configuration: Configuration) -> bool:
        return any(configuration.values.get(key) for key in keys)


def layer_types(draw: Draw, layers: int) -> list[str]:
    return draw(st.lists(LAYER_TYPES, min_size=layers, max_size=layers))


@strategy("arcee")
def arcee(draw: Draw) -> Configuration:
    values = decoder(draw, hidden_act=activation(draw, "relu2"), attention_bias=rarely(draw), mlp_bias=rarely(draw))
    if draw(st.booleans()):
        values["head_dim"] = draw(integers(4, 32, 2))
    values["rope_parameters"] = draw(rope(head_size_of(values), (*ROPES, "llama3")))
    return Configuration("ArceeForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


@strategy("smollm3")
def smollm3(draw: Draw) -> Configuration:
    layers = draw(st.integers(1, 5))
    values = decoder(draw, num_hidden_layers=layers, hidden_act=activation(draw, "silu"),
                     attention_bias=rarely(draw), mlp_bias=rarely(draw))
    values["rope_parameters"] = draw(rope(head_size_of(values), ROPES))
    values["no_rope_layers"] = (
        draw(st.lists(st.integers(0, 1), min_size=layers, max_size=layers)) if rarely(draw) else every_fourth(layers))
    if rarely(draw):
        values |= {"use_sliding_window": True, "sliding_window": draw(WINDOWS)}
    return Configuration("SmolLM3ForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


def every_fourth(layers: int) -> list[int]:
    """The one pattern of layers with positions that files can mean."""
    return [int((layer + 1) % 4 != 0) for layer in range(layers)]


@converter_drops("smollm3", "no_rope_layers, but for every fourth")
def smollm3_pattern(configuration: Configuration) -> Configuration | None:
    meant = every_fourth(configuration.values["num_hidden_layers"])
    return None if configuration.values["no_rope_layers"] == meant else configuration.with_values(no_rope_layers=meant)


converter_ignores("smollm3", "use_sliding_window", False)


@strategy("seed_oss")
def seed_oss(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), hidden_act=activation(draw, "silu"),
                     attention_bias=draw(st.booleans()), attention_out_bias=rarely(draw), mlp_bias=rarely(draw))
    values["rope_parameters"] = draw(rope(values["head_dim"], ROPES))
    return Configuration("SeedOssForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


llama_cpp_refuses_biases("seed_oss", "attention_out_bias", "mlp_bias")
llama_cpp_refuses_biases("arcee", "attention_bias", "mlp_bias")
llama_cpp_refuses_biases("smollm3", "attention_bias", "mlp_bias")


@strategy("ernie4_5")
def ernie4_5(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), hidden_act=activation(draw, "silu"), use_bias=rarely(draw))
    values["rope_parameters"] = draw(rope(values["head_dim"], ROPES))
    return Configuration("Ernie4_5ForCausalLM", values, tokens=draw(PROMPTS), tokenizer="sentencepiece",
                         converter={"fuse_qkv": draw(st.booleans())})


llama_cpp_refuses_biases("ernie4_5", "use_bias")


@strategy("hunyuan-dense")
def hunyuan_dense(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), hidden_act=activation(draw, "silu"),
                     attention_bias=rarely(draw))
    values["rope_parameters"] = draw(rope(values["head_dim"], ("default", "linear", "yarn")))
    if draw(st.booleans()):
        # The base and the contexts that the converter insists on.
        values |= {"max_position_embeddings": 32768, "rope_parameters": {
            "rope_type": "dynamic", "rope_theta": 10000.0, "factor": 1.0, "alpha": draw(st.sampled_from([50.0, 1000.0]))}}
    return Configuration("HunYuanDenseV1ForCausalLM", values, tokens=draw(PROMPTS),
                         converter={"fuse_qkv": draw(st.booleans())})


llama_cpp_refuses_biases("hunyuan-dense", "attention_bias")


@strategy("chatglm")
def chatglm(draw: Draw) -> Configuration:
    """GLM-4, by its class; ChatGLM 2 and 3 have other names of the same tensors."""
    values = decoder(draw, hidden_act=activation(draw, "silu"), attention_bias=draw(st.booleans()))
    values["head_dim"] = draw(integers(4, 32, 4)) if rarely(draw) else head_size_of(values)
    values["rope_parameters"] = {
        "rope_type": "default", "rope_theta": draw(THETAS) if rarely(draw) else 10000.0,
        "partial_rotary_factor": draw(st.sampled_from([0.5, 1.0]))}
    if not rarely(draw):
        values["rms_norm_eps"] = EPSILON
    return Configuration("GlmForCausalLM", values, tokens=draw(PROMPTS), tokenizer="glm",
                         converter={"fuse_qkv": draw(st.booleans())})


EPSILON = 9.999999747378752e-06
"""1e-5 in float32, which files of GLM-4 say whatever the configuration does."""
converter_ignores("chatglm", "rms_norm_eps", EPSILON)


@converter_drops("chatglm", "rope_theta, which published models call rope_ratio")
def chatglm_base(configuration: Configuration) -> Configuration | None:
    parameters = configuration.values["rope_parameters"]
    if parameters["rope_theta"] == 10000.0:
        return None
    return configuration.with_values(rope_parameters=parameters | {"rope_theta": 10000.0})


@converter_refuses("chatglm", "heads that are not the width: the file says nothing of their size")
def chatglm_heads(configuration: Configuration) -> bool:
    values = configuration.values
    return values["head_dim"] * values["num_attention_heads"] != values["hidden_size"]


@strategy("glm4")
def glm4(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(4, 32, 4)), hidden_act=activation(draw, "silu"),
                     attention_bias=draw(st.booleans()))
    values["rope_parameters"] = draw(rope(values["head_dim"] // 2, ("default", "linear", "yarn"))) | {
        "partial_rotary_factor": 0.5}
    return Configuration("Glm4ForCausalLM", values, tokens=draw(PROMPTS), tokenizer="glm",
                         converter={"fuse_qkv": draw(st.booleans())})


@strategy("exaone4")
def exaone4(draw: Draw) -> Configuration:
    layers = draw(st.integers(1, 5))
    values = decoder(draw, num_hidden_layers=layers, hidden_act=activation(draw, "silu"))
    values["rope_parameters"] = draw(rope(head_size_of(values), (*ROPES, "llama3")))
    values["sliding_window"] = draw(WINDOWS) if draw(st.booleans()) else None
    values["layer_types"] = ["full_attention"] * layers if values["sliding_window"] is None else layer_types(draw, layers)
    return Configuration("Exaone4ForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


@llama_cpp_differs("exaone4", "windows of models that do not have 64 blocks are ignored")
def exaone4_windows(configuration: Configuration) -> bool:
    return configuration.values["sliding_window"] is not None


@strategy("phi3")
def phi3(draw: Draw) -> Configuration:
    values = decoder(draw, hidden_act=activation(draw, "silu"), sliding_window=draw(WINDOWS) if rarely(draw) else None)
    partial = draw(st.sampled_from([1.0, 0.5]))
    rotated = int(head_size_of(values) * partial)
    # Engines choose the factors by the context, the authors' code by the prompt: where both choose alike.
    tokens, original = draw(st.sampled_from([(28, 256), (1, 256), (17, 256), (40, 32)]))
    parameters: dict[str, Any] = {"rope_type": "default", "rope_theta": draw(THETAS), "partial_rotary_factor": partial}
    if draw(st.booleans()):
        factors = st.lists(st.sampled_from([1.0, 1.25, 2.0, 3.5]), min_size=rotated // 2, max_size=rotated // 2)
        parameters |= {"rope_type": "longrope", "short_factor": draw(factors), "long_factor": draw(factors)}
    parameters["original_max_position_embeddings"] = original
    values |= {"rope_parameters": parameters, "original_max_position_embeddings": original}
    return Configuration("Phi3ForCausalLM", values, tokens=tokens, tokenizer="sentencepiece")


@llama_cpp_differs("phi3", "windows are ignored")
def phi3_windows(configuration: Configuration) -> bool:
    return configuration.values["sliding_window"] is not None


@strategy("apertus")
def apertus(draw: Draw) -> Configuration:
    values = decoder(draw, attention_bias=rarely(draw), tie_word_embeddings=rarely(draw))
    values["rope_parameters"] = draw(rope(head_size_of(values), (*ROPES, "llama3")))
    return Configuration("ApertusForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


@llama_cpp_differs("apertus", "a tied head: it asks for output.weight")
def apertus_tied(configuration: Configuration) -> bool:
    return configuration.values["tie_word_embeddings"]


@strategy("mistral3")
def mistral3(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), hidden_act=activation(draw, "silu"),
                     sliding_window=draw(WINDOWS) if rarely(draw) else None)
    parameters = draw(rope(values["head_dim"], ("yarn",)))
    for key in ("truncate", "attention_factor"):
        parameters.pop(key, None)
    parameters |= {
        "mscale": 0.75 if rarely(draw) else 1.0, "mscale_all_dim": draw(st.sampled_from([1.0, 0.5])),
        "llama_4_scaling_beta": draw(st.sampled_from([0.125, 0.5])),
        "original_max_position_embeddings": draw(st.sampled_from([16, 32, 64]))}
    values["rope_parameters"] = parameters
    return Configuration("Ministral3ForCausalLM", values, tokens=draw(PROMPTS), converter={"fuse_qkv": draw(st.booleans())})


converter_ignores("mistral3", "sliding_window", None)


@converter_drops("mistral3", "mscale of rope_parameters, but 1")
def mistral3_magnitude(configuration: Configuration) -> Configuration | None:
    parameters = configuration.values["rope_parameters"]
    if parameters["mscale"] == 1.0:
        return None
    return configuration.with_values(rope_parameters=parameters | {"mscale": 1.0})


def granite_values(draw: Draw, **more: Any) -> dict[str, Any]:
    """What all of Granite's classes have."""
    values = decoder(
        draw, embedding_multiplier=draw(FACTORS), residual_multiplier=draw(st.sampled_from([1.0, 0.25, 1.5])),
        attention_multiplier=draw(st.sampled_from([1.0, 0.25, 0.015625])), logits_scaling=draw(FACTORS),
        hidden_act=activation(draw, "silu"), attention_bias=rarely(draw), **more)
    values["rope_parameters"] = draw(rope(head_size_of(values), (*ROPES, "llama3")))
    return values


def granite_experts(draw: Draw, is_shared: bool) -> dict[str, Any]:
    experts, used = experts_and_used(draw)
    shared = {"shared_intermediate_size": draw(st.sampled_from([8, 12, 0]))} if is_shared else {}
    return {"num_local_experts": experts, "num_experts_per_tok": used} | shared


@strategy("granite")
def granite(draw: Draw) -> Configuration:
    return Configuration("GraniteForCausalLM", granite_values(draw, mlp_bias=rarely(draw)), tokens=draw(PROMPTS),
                         converter={"fuse_qkv": draw(st.booleans())})


@strategy("granitemoe")
def granitemoe(draw: Draw) -> Configuration:
    is_shared = draw(st.booleans())
    values = granite_values(draw, **granite_experts(draw, is_shared))
    return Configuration(f"GraniteMoe{'Shared' if is_shared else ''}ForCausalLM", values, tokens=draw(PROMPTS),
                         converter={"fuse_qkv": draw(st.booleans())})


for _architecture in ("granite", "granitemoe"):
    @converter_refuses(_architecture, "Llama 3's factors of the rotation, a tensor that it does not list for Granite")
    def granite_factors(configuration: Configuration) -> bool:
        return configuration.values["rope_parameters"]["rope_type"] == "llama3"


@strategy("granite_swa")
def granite_swa(draw: Draw) -> Configuration:
    has_experts = draw(st.booleans())
    values = granite_values(draw, **(granite_experts(draw, True) if has_experts else {"mlp_bias": rarely(draw)}))
    layers = values["num_hidden_layers"]
    values |= {"sliding_window": draw(WINDOWS), "layer_types": layer_types(draw, layers)}
    published = {}
    if draw(st.booleans()):
        rotates = draw(st.lists(st.integers(0, 1), min_size=layers, max_size=layers))
        theta = values["rope_parameters"]["rope_theta"]
        values["layer_rope_theta"] = [theta * is_rotated for is_rotated in rotates]
        published = {} if rarely(draw) else {"no_rope_layers": rotates}
    return Configuration(f"Granite{'Moe' if has_experts else ''}SWAForCausalLM", values, tokens=draw(PROMPTS),
                         published=published, converter={"fuse_qkv": draw(st.booleans())})


@converter_drops("granite_swa", "layer_rope_theta, where no no_rope_layers says the same")
def granite_swa_pattern(configuration: Configuration) -> Configuration | None:
    if "layer_rope_theta" not in configuration.values or "no_rope_layers" in configuration.published:
        return None
    return configuration.with_values(layer_rope_theta=None)


for _architecture, _activation in (
    ("arcee", "relu2"), ("smollm3", "silu"), ("seed_oss", "silu"), ("ernie4_5", "silu"), ("hunyuan-dense", "silu"),
    ("chatglm", "silu"), ("glm4", "silu"), ("exaone4", "silu"), ("phi3", "silu"), ("mistral3", "silu"),
    ("granite", "silu"), ("granitemoe", "silu"), ("granite_swa", "silu"),
):
    converter_ignores(_architecture, "hidden_act", _activation)
for _architecture in (
    "arcee", "smollm3", "seed_oss", "ernie4_5", "hunyuan-dense", "glm4", "exaone4", "apertus", "granite", "granitemoe",
    "granite_swa",
):
    converter_ignores_rope(_architecture, *YARN_ONLY_IN_TRANSFORMERS)

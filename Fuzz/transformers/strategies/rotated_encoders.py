"""Encoders with rotated positions, and the encoder of T5."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` and `tokenizer` name
from strategies import (
    EPSILONS, PROMPTS, THETAS, VOCABULARY, Configuration, Draw, converter_drops, converter_ignores, converter_refuses,
    integers, rarely, rope, strategy,
)
from strategies.dense import ROPES, WINDOWS, activation, decoder

POOLINGS = st.sampled_from([None, "mean", "cls", "last"])


@strategy("modern-bert")
def modern_bert(draw: Draw) -> Configuration:
    """ModernBERT, alone or below a head."""
    heads = draw(st.integers(1, 4))
    layers = draw(st.integers(1, 5))
    values = {
        "vocab_size": 320,  # The converter counts the tokenizer's.
        "hidden_size": heads * draw(integers(4, 16, 4)),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": draw(integers(8, 72, 4)),
        "max_position_embeddings": 256,
        "norm_eps": draw(EPSILONS),
        "norm_bias": rarely(draw), "attention_bias": rarely(draw), "mlp_bias": rarely(draw),
        "hidden_activation": draw(st.sampled_from(["gelu", "silu", "gelu_pytorch_tanh", "relu"])),
        "local_attention": draw(st.sampled_from([8, 2, 16, 7, 64])),
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": draw(THETAS)}
            for kind in ("full_attention", "sliding_attention")},
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3, "cls_token_id": 1, "sep_token_id": 2,
    }
    # The name that the class had for it before.
    published = {} if rarely(draw) else {"layer_norm_eps": values["norm_eps"]}
    if draw(st.booleans()):
        period = draw(st.integers(1, 4))
        values["layer_types"] = [
            "sliding_attention" if layer % period else "full_attention" for layer in range(layers)]
        if not rarely(draw):
            published["global_attn_every_n_layers"] = period
    head = "ForMaskedLM" if rarely(draw) else "Model"
    return Configuration(
        f"ModernBert{head}", values, tokens=draw(PROMPTS), family="transformers" if head == "Model" else "body",
        pooling=draw(POOLINGS), published=published)


@converter_refuses("modern-bert", "norm_eps, which published files say as layer_norm_eps too: the file lacks it")
def modern_bert_epsilon(configuration: Configuration) -> bool:
    return "layer_norm_eps" not in configuration.published


@converter_refuses("modern-bert", "the bias of the head that predicts tokens")
def modern_bert_head(configuration: Configuration) -> bool:
    return configuration.model_class == "ModernBertForMaskedLM"


@converter_refuses("modern-bert", "biases: engines know none")
def modern_bert_biases(configuration: Configuration) -> bool:
    return any(configuration.values[key] for key in ("norm_bias", "attention_bias", "mlp_bias"))


@converter_drops("modern-bert", "layer_types, but global_attn_every_n_layers, which transformers no longer writes")
def modern_bert_layers(configuration: Configuration) -> Configuration | None:
    period = configuration.published.get("global_attn_every_n_layers", 3)
    layers = configuration.values["num_hidden_layers"]
    described = ["sliding_attention" if layer % period else "full_attention" for layer in range(layers)]
    if configuration.values.get("layer_types", described) == described:
        return None
    return configuration.with_values(layer_types=described)


@strategy("eurobert")
def eurobert(draw: Draw) -> Configuration:
    values = decoder(draw, hidden_act=activation(draw, "silu"), attention_bias=rarely(draw), mlp_bias=rarely(draw))
    # Rotated halves are as long as each other.
    values["rope_parameters"] = draw(rope(
        values["hidden_size"] // values["num_attention_heads"], ROPES if rarely(draw) else ("default",)))
    values["classifier_pooling"] = "late" if rarely(draw) else "mean"
    return Configuration("EuroBertModel", values, tokens=draw(PROMPTS), pooling=draw(POOLINGS))


@converter_refuses("eurobert", "classifier_pooling late, which is the class's own")
def eurobert_pooling(configuration: Configuration) -> bool:
    return configuration.values.get("classifier_pooling", "late") == "late"


converter_ignores("eurobert", "hidden_act", "silu")


@converter_refuses("eurobert", "biases, but of queries, keys and values: engines know none")
def eurobert_biases(configuration: Configuration) -> bool:
    return configuration.values["attention_bias"] or configuration.values["mlp_bias"]


@converter_drops("eurobert", "how positions are stretched")
def eurobert_rope(configuration: Configuration) -> Configuration | None:
    parameters = configuration.values["rope_parameters"]
    if parameters["rope_type"] == "default":
        return None
    return configuration.with_values(
        rope_parameters={"rope_type": "default", "rope_theta": parameters["rope_theta"]})


@strategy("gemma-embedding")
def gemma_embedding(draw: Draw) -> Configuration:
    values = decoder(
        draw, head_dim=draw(integers(4, 32, 2)), hidden_activation=activation(draw, "gelu_pytorch_tanh"),
        attention_bias=rarely(draw), sliding_window=draw(WINDOWS), num_hidden_layers=draw(st.integers(1, 7)),
        use_bidirectional_attention=True)
    values["query_pre_attn_scalar"] = draw(st.integers(1, 40)) if rarely(draw) else values["head_dim"]
    if draw(st.booleans()):
        values["rope_parameters"] = {
            "full_attention": draw(rope(values["head_dim"], ("default", "linear"))),
            "sliding_attention": {"rope_type": "default", "rope_theta": draw(THETAS)},
        }
    return Configuration(
        "Gemma3TextModel", values, tokens=draw(PROMPTS), tokenizer="sentencepiece", pooling=draw(POOLINGS),
        converter={"fuse_qkv": draw(st.booleans())})


converter_ignores("gemma-embedding", "hidden_activation", "gelu_pytorch_tanh")


@converter_drops("gemma-embedding", "query_pre_attn_scalar")
def gemma_embedding_scale(configuration: Configuration) -> Configuration | None:
    meant = configuration.values["head_dim"]
    if configuration.values["query_pre_attn_scalar"] == meant:
        return None
    return configuration.with_values(query_pre_attn_scalar=meant)


@converter_refuses("gemma-embedding", "attention_bias: the output's, which engines do not know")
def gemma_embedding_bias(configuration: Configuration) -> bool:
    return configuration.values["attention_bias"]


@strategy("t5encoder")
def t5encoder(draw: Draw) -> Configuration:
    values = {
        "vocab_size": draw(VOCABULARY),
        "d_model": draw(integers(12, 64, 4)),
        "d_kv": draw(integers(4, 16, 4)),
        "d_ff": draw(integers(8, 72, 4)),
        "num_heads": draw(st.integers(1, 4)),
        "num_layers": draw(st.integers(1, 3)),
        "relative_attention_num_buckets": draw(st.sampled_from([32, 16, 8])),
        "relative_attention_max_distance": 24 if rarely(draw) else 128,
        "layer_norm_epsilon": draw(EPSILONS),
        "feed_forward_proj": draw(st.sampled_from(["relu", "gated-gelu"])),
        "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1,
    }
    return Configuration(
        draw(st.sampled_from(["T5EncoderModel"])), values, tokens=draw(PROMPTS), tokenizer="unigram")


converter_ignores("t5encoder", "relative_attention_max_distance", 128)

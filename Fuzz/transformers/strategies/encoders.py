"""Encoders, and encoders with decoders."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` and `tokenizer` name
from strategies import (
    EPSILONS, PROMPTS, VOCABULARY, Configuration, Draw, converter_drops, converter_drops_parameters,
    converter_ignores, converter_refuses, integers, llama_cpp_differs, rarely, strategy,
)
from strategies.dense import activation


@strategy("t5")
def t5(draw: Draw) -> Configuration:
    """T5 and Flan-T5, whose first block has the biases by distance of all, and UMT5, where each has its own."""
    layers = draw(st.integers(1, 3))
    has_own_head = draw(st.booleans())
    values = {
        "vocab_size": draw(VOCABULARY),
        "d_model": draw(integers(12, 64, 4)),
        "d_kv": draw(integers(4, 16, 4)),
        "d_ff": draw(integers(8, 72, 4)),
        "num_heads": draw(st.integers(1, 4)),
        "num_layers": layers,
        "num_decoder_layers": draw(st.integers(1, 3)) if draw(st.booleans()) else layers,
        "relative_attention_num_buckets": draw(st.sampled_from([32, 16, 8])),
        "relative_attention_max_distance": 24 if rarely(draw) else 128,
        "layer_norm_epsilon": draw(EPSILONS),
        "feed_forward_proj": draw(st.sampled_from(["relu", "gated-gelu"])) if not rarely(draw) else draw(
            st.sampled_from(["silu", "gated-silu", "gated-relu"])),
        "tie_word_embeddings": not has_own_head,
        "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1,
    }
    return Configuration(
        draw(st.sampled_from(["T5ForConditionalGeneration", "UMT5ForConditionalGeneration"])), values,
        tokens=draw(PROMPTS), source=draw(st.sampled_from([31, 1, 2, 60])), tokenizer="unigram",
        family="own-head" if has_own_head else "transformers")


converter_ignores("t5", "relative_attention_max_distance", 128)


@llama_cpp_differs("t5", "logits of a tied head are √d_model too large")
def t5_tied(configuration: Configuration) -> bool:
    return configuration.values["tie_word_embeddings"]


@converter_refuses("t5", "more blocks of the decoder than of the encoder")
def t5_longer_decoder(configuration: Configuration) -> bool:
    return configuration.values["num_decoder_layers"] > configuration.values["num_layers"]


@converter_drops("t5", "feed_forward_proj, but whether it is gated")
def t5_activation(configuration: Configuration) -> Configuration | None:
    is_gated = configuration.values["feed_forward_proj"].startswith("gated-")
    described = "gated-gelu" if is_gated else "relu"
    if configuration.values["feed_forward_proj"] == described:
        return None
    return configuration.with_values(feed_forward_proj=described)


def bert_sizes(draw: Draw) -> dict[str, Any]:
    heads = draw(st.integers(1, 4))
    return {
        "vocab_size": 320,  # The converter counts the tokenizer's.
        "hidden_size": heads * draw(integers(4, 16, 4)),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_attention_heads": heads,
        "intermediate_size": draw(integers(8, 72, 4)),
        "max_position_embeddings": 64,
        "layer_norm_eps": draw(st.sampled_from([1e-12, 1e-5, 1e-3])),
        "type_vocab_size": draw(st.integers(1, 2)),
        "hidden_act": activation(draw, "gelu"),
    }


def distilled(values: dict[str, Any]) -> dict[str, Any]:
    """The same in DistilBERT's words. Its norms have one epsilon, and no token has a type."""
    return {
        "vocab_size": values["vocab_size"], "dim": values["hidden_size"], "n_layers": values["num_hidden_layers"],
        "n_heads": values["num_attention_heads"], "hidden_dim": values["intermediate_size"],
        "max_position_embeddings": values["max_position_embeddings"], "activation": values["hidden_act"],
    }


HEADS = {
    "Bert": ("ForMaskedLM", "ForSequenceClassification"), "DistilBert": ("ForMaskedLM", "ForSequenceClassification"),
    "Roberta": ("ForSequenceClassification",), "XLMRoberta": ("ForSequenceClassification",),
}
"""Those that the converter takes."""


@strategy("bert")
def bert(draw: Draw) -> Configuration:
    """BERT, DistilBERT, RoBERTa and XLM-RoBERTa, the last two with positions that begin after that of padding."""
    kind, tokenizer = draw(st.sampled_from([
        ("Bert", "word-pieces"), ("DistilBert", "word-pieces"), ("Roberta", "byte-pairs"),
        ("XLMRoberta", "xlm-roberta"), ("Camembert", "byte-pairs")]))
    values = bert_sizes(draw)
    if kind == "DistilBert":
        values = distilled(values)
    elif kind != "Bert":
        values |= {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    heads = ["Model", "Model", *HEADS.get(kind, ())]
    head = draw(st.sampled_from(heads))
    if head == "ForSequenceClassification":
        prefix = "LABEL_" if rarely(draw) else "label "
        values["id2label"] = {str(label): f"{prefix}{label}" for label in range(draw(st.integers(1, 3)))}
    return Configuration(
        kind + head, values, tokens=draw(PROMPTS), tokenizer=tokenizer,
        family="transformers" if head == "Model" else "body",
        pooling=draw(st.sampled_from([None, "mean", "cls", "last"])))


@converter_refuses("bert", "two labels of the names that transformers gives: the file is silent, and means one")
def bert_two_labels(configuration: Configuration) -> bool:
    is_roberta = "Roberta" in configuration.model_class
    return is_roberta and list(configuration.values.get("id2label", {}).values()) == ["LABEL_0", "LABEL_1"]


@converter_drops_parameters("bert", "that CamemBERT's positions begin after that of padding")
def camembert_positions(model: torch.nn.Module, configuration: Configuration) -> bool:
    """RoBERTa's converter leaves the first `pad_token_id + 1` positions out, CamemBERT's, which is BERT's, does not."""
    if configuration.model_class != "CamembertModel":
        return False
    positions = model.embeddings.position_embeddings.weight
    first = configuration.values["pad_token_id"] + 1
    positions[first:] = positions[:-first].clone()
    return True


converter_ignores("bert", "hidden_act", "gelu")
converter_ignores("bert", "activation", "gelu")

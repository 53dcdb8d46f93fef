"""Decoders whose blocks are attention and one feed-forward network."""

from __future__ import annotations

from hypothesis import strategies as st

from strategies import (
    EPSILONS, VOCABULARY, Configuration, Draw, heads, integers, rope, strategy,
)


def decoder(draw: Draw, **more) -> dict:
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
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3,
    } | more


@strategy("llama")
def llama(draw: Draw) -> Configuration:
    values = decoder(draw)
    head_size = values["hidden_size"] // values["num_attention_heads"]
    if draw(st.booleans()):
        head_size = values["head_dim"] = draw(integers(4, 32, 2))
    values["attention_bias"] = draw(st.booleans())
    values["mlp_bias"] = draw(st.booleans())
    values["rope_parameters"] = draw(rope(head_size))
    return Configuration("LlamaForCausalLM", values)


@strategy("qwen3")
def qwen3(draw: Draw) -> Configuration:
    head_size = draw(integers(4, 32, 2))
    values = decoder(draw, head_dim=head_size, attention_bias=draw(st.booleans()))
    values["rope_parameters"] = draw(rope(head_size, ("default", "linear", "yarn")))
    return Configuration("Qwen3ForCausalLM", values)

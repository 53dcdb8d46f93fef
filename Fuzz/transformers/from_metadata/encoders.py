"""BERT and T5."""

from __future__ import annotations

from from_metadata import Expression, Metadata, Positions, alike, architecture, attention, sizes
from protocol import Unsupported
from strategies import Configuration

POOLINGS = {0: None, 1: "mean", 2: "cls", 3: "last"}


@architecture("bert")
def bert(m: Metadata) -> Expression:
    pooling = m.get("pooling_type", 0, is_converted=False)
    m.get("classifier.output_labels", None)
    if pooling not in POOLINGS:
        raise Unsupported(f"pooling_type {pooling}: classifiers")
    values = sizes(m, is_causal=False) | attention(m) | {
        "intermediate_size": m.get("feed_forward_length"), "layer_norm_eps": m.get("attention.layer_norm_epsilon"),
        "type_vocab_size": m.get("tokenizer.ggml.token_type_count"),
    }
    if values.pop("num_key_value_heads") != values["num_attention_heads"]:
        raise Unsupported("attention.head_count_kv: grouped heads")
    del values["head_dim"], values["tie_word_embeddings"]
    configuration = Configuration("BertModel", values, tokenizer="word-pieces", pooling=POOLINGS[pooling])
    return Expression(
        configuration, is_bidirectional=True, depends_on_differences=False, unused=("pooler.",),
        unused_tensors=("cls.",))


@architecture("t5")
def t5(m: Metadata) -> Expression:
    """Biases of the scores by distance: of T5 in the first block, which the others share, of UMT5 in each."""
    fields = sizes(m) | attention(m)
    m.get("attention.layer_norm_epsilon", m.get("attention.layer_norm_rms_epsilon"))
    decoder_layers = m.get("decoder_block_count", m.layers)
    blocks = [f"enc.blk.{layer}" for layer in range(m.layers)] + [f"dec.blk.{layer}" for layer in range(decoder_layers)]
    is_gated = alike((f"{block}.ffn_gate.weight" in m.tensors for block in blocks), "ffn_gate")
    later = [block for block in blocks if not block.endswith(".0")]
    has_own_biases = bool(later) and alike(
        (f"{block}.attn_rel_b.weight" in m.tensors for block in later), "attn_rel_b")
    values = {
        "vocab_size": fields["vocab_size"], "d_model": fields["hidden_size"], "d_kv": fields["head_dim"],
        "d_ff": m.get("feed_forward_length"), "num_layers": m.layers, "num_decoder_layers": decoder_layers,
        "num_heads": fields["num_attention_heads"], "layer_norm_epsilon": m.get("attention.layer_norm_rms_epsilon"),
        "relative_attention_num_buckets": m.get("attention.relative_buckets_count"),
        "feed_forward_proj": "gated-gelu" if is_gated else "relu",
        "tie_word_embeddings": fields["tie_word_embeddings"],
        "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1,
    }
    configuration = Configuration(
        "UMT5ForConditionalGeneration" if has_own_biases else "T5ForConditionalGeneration", values,
        family="transformers" if values["tie_word_embeddings"] else "own-head", source=1)
    return Expression(configuration, positions=Positions.COUNTED)

"""What cases are drawn of models, so that most are what transformers can express: `traits.models` of the worker.

Of the values that a key may have, and of the ways in which an optional tensor may be there (in no block, in each, or
in some), only these are drawn; the first pattern that matches the whole name decides. None is an absent key.
"""

from __future__ import annotations

from typing import Any

WITHOUT_GROUPS = "qwen3moe|olmoe|gpt-oss|llama4|jamba|lfm2moe|qwen3next"
WITHOUT_BIASES = "jamba|lfm2|lfm2moe|nemotron_h|nemotron_h_moe"

KEYS: list[tuple[str, list[Any]]] = [
    # Classes that have no field for it.
    (r".*\.nextn_predict_layers", [None, 0]),
    (r"bert\.pooling_type", [None, 0, 1, 2, 3]),
    (r".*\.pooling_type", [None]),
    (r"(?!bert).*\.attention\.causal", [None]),
    (r".*\.rope\.scaling\.yarn_ext_factor", [None]),
    (r"llama\.rope\.scaling\.type", [None, "none", "linear", "yarn"]),
    (r"(gemma|gemma2|gemma3|lfm2|lfm2moe)\.rope\.dimension_count", [None]),
    (r"(gemma2|gpt-oss|llama4)\.rope\.freq_base_swa", [None]),
    (rf"({WITHOUT_GROUPS})\.expert_group_count", [None]),
    (r"(gpt2|bloom|bert)\.attention\.head_count_kv", [None]),
    (r"lfm2\.attention\.sliding_window", [None]),
    (r"deepseek2\.attention\.temperature_scale", [None]),
    # The one way in which they choose experts.
    (r"(lfm2moe|kimi-linear)\.expert_gating_func", [2]),
    (r"deepseek2\.expert_gating_func", [1, 2]),
    (r"(deepseek2|kimi-linear)\.expert_count", [4, 2, 3, 8, 5, 16, 33]),
    (r"(nemotron_h|nemotron_h_moe)\.expert_count", [None, 0, 4, 2, 3, 8, 5, 16, 33]),
    # Sizes that follow from each other.
    (r"bloom\.embedding_length", [32]),
    (r"bloom\.feed_forward_length", [128]),
    (r"mamba2\.embedding_length", [32]),
    (r"mamba2\.ssm\.inner_size", [64, 32, 96, 128, 160, 192]),
    (r"(llama|gemma2|gemma3|deepseek2)\.embedding_length", [32, 64, 96, 128, 160]),
    (r"(llama|gemma2|gemma3|deepseek2)\.attention\.head_count", [4, 2, 1, 8]),
    (r"(nemotron_h|nemotron_h_moe)\.attention\.key_length", [16, 32, 64, 8, 2, 4]),
    (r"(nemotron_h|nemotron_h_moe)\.attention\.value_length", [16, 32, 64, 8, 2, 4]),
    (r"(nemotron_h|nemotron_h_moe)\.expert_feed_forward_length", [None]),
]

TENSORS: list[tuple[str, list[str]]] = [
    (r".*\.rope_(freqs|factors_long|factors_short)\.weight", ["never"]),
    (r"qwen2\.output\.bias", ["never"]),
    (rf"({WITHOUT_BIASES})\.blk\.attn_(q|k|v|qkv|output)\.bias", ["never"]),
    (r"lfm2moe\.output\.weight", ["never"]),
    (r"qwen3next\.blk\.attn_qkv\.weight", ["always"]),
    # Encoder and decoder have the same kind of feed-forward network, and both or neither a bias in each block.
    (r"t5\.(enc|dec)\.blk\.ffn_gate\.weight", ["always"]),
    (r"t5\.(enc|dec)\.blk\.attn_rel_b\.weight", ["never"]),
]
"""By a file's architecture and the tensor's name without the number of its block."""


def traits() -> dict[str, Any]:
    return {
        "keys": [{"pattern": pattern, "values": values} for pattern, values in KEYS],
        "tensors": [{"pattern": pattern, "presence": presence} for pattern, presence in TENSORS],
    }

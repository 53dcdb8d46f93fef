"""DeepSeek-V4: attention to compressed positions, hyper-connections."""

from __future__ import annotations

from hypothesis import strategies as st

from strategies import PROMPTS, THETAS, VOCABULARY, EPSILONS, Configuration, Draw, integers, strategy
from strategies.dense import WINDOWS
from strategies.experts import SCALES, SIZES, experts_and_used

KINDS = {"compressed_sparse_attention": 4, "sliding_attention": 0, "heavily_compressed_attention": 128}


@strategy("deepseek4")
def deepseek4(draw: Draw) -> Configuration:
    layers = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 2))
    head_size = draw(integers(8, 32, 4))
    rotated = draw(integers(2, head_size, 2))
    experts, used = experts_and_used(draw)
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), min_size=layers, max_size=layers))
    values = {
        "vocab_size": draw(VOCABULARY), "hidden_size": draw(integers(16, 64, 8)), "num_hidden_layers": layers,
        "num_attention_heads": groups * draw(st.integers(1, 3)), "num_key_value_heads": 1, "head_dim": head_size,
        "q_lora_rank": draw(integers(4, 24, 2)), "moe_intermediate_size": draw(SIZES), "n_routed_experts": experts,
        "num_experts_per_tok": used, "n_shared_experts": 1, "routed_scaling_factor": draw(SCALES),
        "partial_rotary_factor": rotated / head_size, "layer_types": kinds, "mlp_layer_types": ["moe"] * layers,
        "compress_rates": {name: length for name, length in KINDS.items() if length},
        "rope_theta": draw(THETAS), "compress_rope_theta": draw(THETAS), "hc_mult": 4,
        "hc_sinkhorn_iters": draw(st.integers(1, 5)), "hc_eps": draw(st.sampled_from([2.0**-20, 2.0**-10])),
        "swiglu_limit": draw(st.sampled_from([10.0, 1.0, 0.5])), "sliding_window": draw(WINDOWS), "o_groups": groups,
        "o_lora_rank": draw(st.integers(1, 12)), "index_n_heads": draw(st.integers(1, 4)),
        "index_head_dim": draw(integers(rotated, rotated + 16, 2)), "index_topk": draw(st.integers(1, 4)),
        "num_nextn_predict_layers": 0, "rms_norm_eps": draw(EPSILONS), "max_position_embeddings": 256,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3, "tie_word_embeddings": False,
    }
    published = {
        "compress_ratios": [KINDS[kind] for kind in kinds], "qk_rope_head_dim": rotated, "num_hash_layers": 0,
    }
    return Configuration("DeepseekV4ForCausalLM", values, tokens=draw(PROMPTS), published=published)

"""Published models: their configurations, as they are known, with sizes divided until they are toys.

`released.json` has an entry a line: the model's name, our architecture, its class, what its `config.json` says, and
else a `Configuration` holds. Kept as published is what engines and converters know models by, such as numbers of blocks
and of experts, where they do; ratios of heads; contexts and rotary scaling; patterns of layers; scales and epsilons.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import toy_tokenizers
from compare import Case
from drawing import number
from strategies import Configuration
from strategies.nemotron import BLOCKS, as_published

FILE = Path(__file__).resolve().parent / "released.json"
DIVISORS = {
    "head_dim": 8, "kv_lora_rank": 32, "q_lora_rank": 64, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8,
    "mamba_head_dim": 8, "ssm_state_size": 8, "time_step_rank": 16, "mamba_dt_rank": 16, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8, "decay_low_rank_dim": 8, "a_low_rank_dim": 8, "v_low_rank_dim": 8,
    "gate_low_rank_dim": 8, "d_kv": 8,
}
"""Sizes whose ratios matter, and by what they are divided."""
SIZES = {
    "vocab_size": toy_tokenizers.SIZE, "intermediate_size": 24, "intermediate_size_mlp": 40, "block_ff_dim": 36,
    "block_multiple_of": 8, "moe_intermediate_size": 8, "shared_expert_intermediate_size": 12,
    "moe_shared_expert_intermediate_size": 12, "d_ff": 24, "hidden_dim": 24, "sliding_window": 8, "d_model": 32,
    "chunk_size": 8,
}
"""Sizes that any other would do for."""
WIDTH = 64
"""What a model is as wide as, or narrower, unless it has many heads."""
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
USED_EXPERTS = ("num_experts_per_tok", "num_experts_per_token")
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
SPECIAL_TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
"""Where a model has them elsewhere, a toy's vocabulary may be too small."""
MOST_LAYERS = 16
KNOWN_BY_LAYERS = ("gemma2", "gemma3", "deepseek2")
"""Architectures of which converters or engines know models by their number of blocks; others get fewer blocks."""
LISTS_OF_LAYERS = ("layer_types", "full_attn_idxs", "hybrid_override_pattern", "linear_attn_config")
DEEP = 24
"""Blocks from which on each is made to add less, lest numbers grow."""


def cases() -> list[tuple[str, Case]]:
    """Each published model and its toy."""
    return [(entry["model"], case(entry)) for entry in json.loads(FILE.read_text())]


def case(entry: dict[str, Any]) -> Case:
    kept = frozenset(entry.get("kept", ()))
    if entry["architecture"] in KNOWN_BY_LAYERS:
        kept |= set(LAYERS)
    values = divided(entry["config"], kept)
    layers = next((values[name] for name in LAYERS if name in values), 0)
    more = {"gain": 0.4} if layers > DEEP else {}
    names = ("family", "gain", "pooling", "published", "source", "tokenizer")
    more |= {name: entry[name] for name in names if name in entry}
    if entry["architecture"] == "nemotron_h":
        more["published"] = as_published(values)
    return Case(entry["architecture"], Configuration(entry["class"], values, **more), number(entry["model"]))


def divided(published: dict[str, Any], kept: frozenset[str]) -> dict[str, Any]:
    """A published configuration with smaller sizes, but for those whose names are kept."""
    values = SPECIAL_TOKENS | published
    for name, size in published.items():
        if name in kept or size is None:
            continue
        if name in (*LAYERS, "num_decoder_layers") and not any(name in published for name in LISTS_OF_LAYERS):
            values[name] = min(size, MOST_LAYERS)
        elif name in DIVISORS:
            values[name] = max(2, size // DIVISORS[name])
        elif name in SIZES:
            values[name] = min(size, SIZES[name])
    divide_heads(published, values, kept)
    divide_experts(published, values, kept)
    divide_state_spaces(published, values)
    join_rotary(values)
    list_layers(values)
    if "intermediate_size" in published and published["intermediate_size"] == 4 * published.get("hidden_size", 0):
        # Of some models, the file says so whatever it is.
        values["intermediate_size"] = 4 * values["hidden_size"]
    return values


def list_layers(values: dict[str, Any]) -> None:
    """Patterns of layers, one by one."""
    if "hybrid_override_pattern" in values:
        values["layers_block_type"] = [BLOCKS[block] for block in values.pop("hybrid_override_pattern")]
        del values["num_hidden_layers"]
    interval = values.pop("full_attention_interval", None)
    if interval is not None:
        values["layer_types"] = [
            "full_attention" if (layer + 1) % interval == 0 else "linear_attention"
            for layer in range(values["num_hidden_layers"])]


def join_rotary(values: dict[str, Any]) -> None:
    """What older files say in several keys, as `rope_parameters`."""
    scaling = values.pop("rope_scaling", None) or {}
    if "rope_local_base_freq" in values:
        # Gemma 3 has two bases, which its class joins itself.
        values["rope_scaling"] = scaling or None
        return
    theta = values.pop("rope_theta", None)
    if theta is None and not scaling:
        return
    kind = {"rope_type": scaling.get("rope_type", scaling.get("type", "default"))}
    parameters = {name: value for name, value in scaling.items() if name not in ("type", "finetuned")}
    values["rope_parameters"] = {"rope_theta": theta or 10000.0} | kind | parameters
    if "partial_rotary_factor" in values:
        values["rope_parameters"]["partial_rotary_factor"] = values.pop("partial_rotary_factor")


def divide_heads(published: dict[str, Any], values: dict[str, Any], kept: frozenset[str]) -> None:
    """At most two heads of keys, as many of queries to each as published, and widths that fit."""
    for heads, width in (("num_attention_heads", "hidden_size"), ("n_head", "n_embd"), ("n_head", "hidden_size"),
                         ("n_heads", "dim"), ("num_heads", "d_model")):
        if heads not in published or width not in published:
            continue
        queries = published[heads]
        keys = published.get("num_key_value_heads", queries)
        if heads not in kept:
            values[heads] = queries // keys * min(keys, 2)
        if "num_key_value_heads" in published:
            values["num_key_value_heads"] = min(keys, 2)
        if width != "d_model":
            share = min(published[width] // queries // 8, WIDTH // values[heads])
            values[width] = values[heads] * max(4, share // 2 * 2)
        scale = published.get("query_pre_attn_scalar")
        if scale is not None:
            is_of_head = scale == published["head_dim"]
            values["query_pre_attn_scalar"] = values["head_dim"] if is_of_head else values[width] // values[heads]


def divide_experts(published: dict[str, Any], values: dict[str, Any], kept: frozenset[str]) -> None:
    """Eight experts, or two in each group."""
    groups = published.get("n_group", published.get("num_expert_group", 1))
    for name in EXPERTS:
        if name in published and name not in kept:
            values[name] = 2 * groups if groups > 1 else min(8, published[name])
            most = 2 * published.get("topk_group", 1) if groups > 1 else values[name]
            for used in USED_EXPERTS:
                if used in published:
                    values[used] = min(published[used], most)


def divide_state_spaces(published: dict[str, Any], values: dict[str, Any]) -> None:
    """Heads of what is recurrent, and widths of models without attention."""
    groups = published.get("n_groups", 1)
    if "mamba_num_heads" in published:
        # The converter wants a width that is a multiple of 64.
        values["mamba_num_heads"] = 4 * groups
    elif "num_heads" in published and "head_dim" in published:
        values["num_heads"] = 2 * groups
        values["hidden_size"] = values["num_heads"] * values["head_dim"] // published["expand"]
        values["state_size"] = published["state_size"] // 8
    elif "state_size" in published:
        values["hidden_size"] = published["hidden_size"] // 64 * 2
    if "linear_num_key_heads" in published:
        values["linear_num_value_heads"] = 2 * published["linear_num_value_heads"] // published["linear_num_key_heads"]
        values["linear_num_key_heads"] = 2
    if "linear_attn_config" in published:
        values["linear_attn_config"] = published["linear_attn_config"] | {
            "num_heads": values["num_attention_heads"], "head_dim": 16}
    if "decay_low_rank_dim" in published:
        values["hidden_size"] = 2 * values["head_dim"]
        values["intermediate_size"] = 4 * values["hidden_size"]

"""Granite with adapters, between which control tokens switch."""

from __future__ import annotations

from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` names
from strategies import (
    PROMPTS, Configuration, Draw, converter_ignores, converter_ignores_rope, converter_refuses, integers, rarely, rope,
    strategy,
)
from strategies.dense import ROPES, decoder, head_size_of

MULTIPLIERS = st.sampled_from([1.0, 0.5, 2.5, 12.0])
MODULES = ("qkv_proj", "o_proj", "shared_input_linear", "shared_output_linear")


@strategy("graniteswitch")
def graniteswitch(draw: Draw) -> Configuration:
    """Prompts are of few tokens, so that control tokens are among them."""
    adapters = draw(st.integers(1, 4))
    ranks = draw(st.lists(integers(1, 8), min_size=adapters, max_size=adapters))
    values = decoder(draw, tie_word_embeddings=not rarely(draw), attention_bias=False)
    values["hidden_size"] = values["num_attention_heads"] * draw(integers(4, 16, 2))
    # The first layer is the switch.
    values["num_hidden_layers"] += 1
    ordinary, *others = draw(st.permutations(range(8, 24)))
    control, plain = others[:adapters], others[adapters:]
    values |= {
        "shared_intermediate_size": values["intermediate_size"],
        "attention_multiplier": draw(st.sampled_from([0.25, 0.0625, 1.0])),
        "embedding_multiplier": draw(MULTIPLIERS),
        "residual_multiplier": draw(st.sampled_from([1.0, 0.25, 0.5])),
        "logits_scaling": draw(st.sampled_from([1.0, 8.0, 0.5])),
        "rope_parameters": draw(rope(head_size_of(values), ROPES)),
        "position_embedding_type": "nope" if rarely(draw) else "rope",
        # Of layers that it has none of.
        "mamba_n_heads": 1, "mamba_d_head": "auto",
        "num_local_experts": 0,
        "num_experts_per_tok": 0,
        "num_adapters": adapters,
        "adapter_token_ids": control,
        "adapter_substitute_token_ids": draw(st.lists(st.integers(4, 319), min_size=adapters, max_size=adapters)),
        "adapter_ranks": ranks,
        "max_lora_rank": max(ranks),
        # A greater one leaves nothing of other tokens, and halves between two adapters go either way.
        "control_token_gain": draw(st.sampled_from([15.0, 12.0, 2.0, 0.5])),
        # All by default; but transformers no longer calls layers of attention what the package looks for.
        "lora_target_modules": list(MODULES),
    }
    if rarely(draw):
        values |= draw(st.sampled_from([
            {"attention_bias": True},
            {"shared_intermediate_size": draw(integers(8, 72, 4))},
            {"lora_target_modules": draw(st.lists(st.sampled_from(MODULES), max_size=3, unique=True))},
            {"num_local_experts": 2, "num_experts_per_tok": 1}]))
    return Configuration(
        "GraniteSwitchForCausalLM", values, tokens=draw(PROMPTS), family="granite-switch",
        alphabet=[ordinary, *control, *plain[:2 * adapters + 2]])


converter_ignores("graniteswitch", "position_embedding_type", "rope")
converter_ignores("graniteswitch", "tie_word_embeddings", True)
converter_ignores_rope("graniteswitch", "truncate", "mscale", "mscale_all_dim")


@converter_refuses("graniteswitch", "attention_bias")
def graniteswitch_bias(configuration: Configuration) -> bool:
    return configuration.values["attention_bias"]


@converter_refuses("graniteswitch", "adapters of some modules only")
def graniteswitch_modules(configuration: Configuration) -> bool:
    return configuration.values["lora_target_modules"] != list(MODULES)


@converter_refuses("graniteswitch", "experts, which have no adapters")
def graniteswitch_experts(configuration: Configuration) -> bool:
    return configuration.values["num_local_experts"] > 0


@converter_refuses("graniteswitch", "networks of shared_intermediate_size, where the file says intermediate_size")
def graniteswitch_sizes(configuration: Configuration) -> bool:
    values = configuration.values
    return values["shared_intermediate_size"] != values["intermediate_size"]

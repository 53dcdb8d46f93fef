"""The language models of what sees and hears, whose positions have several sections, on texts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

import families  # noqa: F401: registers what `family` names
from strategies import (
    PROMPTS, Configuration, Draw, converter_drops, converter_refuses, integers, llama_cpp_differs, rarely, rope,
    strategy,
)
from strategies.dense import decoder, head_size_of
from strategies.experts import YARN_ONLY_IN_TRANSFORMERS

VISION = {
    "Qwen2VL": {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 1, "patch_size": 2},
    "Qwen2_5_VL": {
        "depth": 1, "hidden_size": 16, "intermediate_size": 8, "num_heads": 2, "patch_size": 2, "out_hidden_size": 16,
        "fullatt_block_indexes": [0]},
    "Qwen3VL": {
        "depth": 2, "hidden_size": 16, "intermediate_size": 8, "num_heads": 2, "patch_size": 2, "out_hidden_size": 16,
        "num_position_embeddings": 4, "deepstack_visual_indexes": [0, 1]},
    "PaddleOCRVL": {
        "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 8,
        "patch_size": 2},
    "HunYuanVL": {
        "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 2,
        "out_hidden_size": 16, "max_image_size": 16},
}
"""What files of language models have nothing of: as small as it can be."""
NO_TOKENS = {
    "image_token_id": 316, "video_token_id": 317, "vision_start_token_id": 318, "vision_end_token_id": 319}
"""Of images: texts have none of them."""
SCALES = ("default", "linear", "yarn")


def text(configuration: Configuration) -> dict[str, Any]:
    """What says how the language model is."""
    return configuration.values["text_config"]


def parts(whole: int, count: int, draw: Draw) -> list[int]:
    """So many numbers that add up to `whole`: nearly alike, then any."""
    if draw(st.booleans()):
        return [(whole + count - 1 - number) // count for number in range(count)]
    cuts = sorted(draw(st.lists(st.integers(0, whole), min_size=count - 1, max_size=count - 1)))
    return [end - start for start, end in zip([0, *cuts], [*cuts, whole])]


def sectioned(draw: Draw, values: dict[str, Any], kinds: tuple[str, ...] = SCALES, count: int = 3) -> None:
    """A rotary embedding of several sections."""
    head_size = head_size_of(values)
    values["rope_parameters"] = draw(rope(head_size, kinds)) | {"mrope_section": parts(head_size // 2, count, draw)}


def language_model(name: str, values: dict[str, Any], draw: Draw, vision: str | None = None,
                   tokenizer: str = "byte-pairs") -> Configuration:
    """A model of texts and images around a language model."""
    tokens = NO_TOKENS if name != "HunYuanVL" else {"image_token_id": 316}
    whole = {"text_config": values, "vision_config": VISION[vision or name],
             "tie_word_embeddings": values["tie_word_embeddings"], **tokens}
    return Configuration(f"{name}ForConditionalGeneration", whole, tokens=draw(PROMPTS), tokenizer=tokenizer,
                         converter={"fuse_qkv": draw(st.booleans())})


@strategy("qwen2vl")
def qwen2vl(draw: Draw) -> Configuration:
    values = decoder(draw)
    sectioned(draw, values)
    return language_model(draw(st.sampled_from(["Qwen2VL", "Qwen2_5_VL"])), values, draw)


@strategy("paddleocr")
def paddleocr(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), use_bias=draw(st.booleans()))
    sectioned(draw, values)
    return language_model("PaddleOCRVL", values, draw, tokenizer="sentencepiece")


@strategy("qwen3vl")
def qwen3vl(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), attention_bias=rarely(draw))
    sectioned(draw, values)
    return language_model("Qwen3VL", values, draw)


@strategy("qwen3vlmoe")
def qwen3vlmoe(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(4, 32, 2)), attention_bias=rarely(draw))
    values["num_experts"] = draw(st.integers(1, 6))
    values["num_experts_per_tok"] = draw(st.integers(1, values["num_experts"]))
    values["moe_intermediate_size"] = draw(integers(4, 24, 4))
    sectioned(draw, values)
    configuration = language_model("Qwen3VLMoe", values, draw, vision="Qwen3VL")
    return configuration if rarely(draw) else replace(configuration, family="transposed-experts")


@strategy("hunyuan_vl")
def hunyuan_vl(draw: Draw) -> Configuration:
    values = decoder(draw, head_dim=draw(integers(8, 32, 2)), attention_bias=rarely(draw))
    sectioned(draw, values, ("default",), count=4)
    if draw(st.booleans()):
        values["rope_parameters"] |= {"rope_type": "dynamic", "alpha": draw(st.sampled_from([1000.0, 50.0])), "factor": 1.0}
    return language_model("HunYuanVL", values, draw)


@converter_refuses("qwen3vlmoe", "experts as transformers 5 writes them, which published files have transposed")
def experts_as_written(configuration: Configuration) -> bool:
    return configuration.family == "transformers"


for _architecture in ("qwen2vl", "paddleocr", "qwen3vl", "qwen3vlmoe"):
    @converter_drops(_architecture, ", ".join(YARN_ONLY_IN_TRANSFORMERS) + " of rope_parameters")
    def yarn(configuration: Configuration) -> Configuration | None:
        parameters = text(configuration)["rope_parameters"]
        left = {key: value for key, value in parameters.items() if key not in YARN_ONLY_IN_TRANSFORMERS}
        if left == parameters:
            return None
        return configuration.with_values(text_config=text(configuration) | {"rope_parameters": left})


@llama_cpp_differs("paddleocr", "use_bias: biases of feed-forward networks are refused as tensors too many")
def paddleocr_biases(configuration: Configuration) -> bool:
    return text(configuration)["use_bias"]


@llama_cpp_differs("qwen2vl", "the epsilon of norms, which is not read")
def qwen2vl_epsilon(_: Configuration) -> bool:
    return True


@llama_cpp_differs("qwen3vl", "pairs whose section is full do not turn at all")
@llama_cpp_differs("qwen3vlmoe", "pairs whose section is full do not turn at all")
def full_sections(configuration: Configuration) -> bool:
    pairs = text(configuration)["head_dim"] // 2
    sections = text(configuration)["rope_parameters"]["mrope_section"]
    return any(pair >= 3 * sections[pair % 3] for pair in range(pairs))


@llama_cpp_differs("hunyuan_vl", "pairs of the fourth section do not turn at all")
def fourth_section(configuration: Configuration) -> bool:
    return text(configuration)["rope_parameters"]["mrope_section"][3] > 0

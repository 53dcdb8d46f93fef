"""Models that draft the tokens of another one, their target, by the code of their authors.

What they look up in their target lies in the folders of those here, since a file is to be a model by itself: the
embeddings of tokens, and the head. What the target makes of tokens is drawn (`given`).

Importing this registers them in `authors.FAMILIES`.
"""

from __future__ import annotations

import copy
import json
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Sequence

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers.models.gemma4.modeling_gemma4 import apply_rotary_pos_emb

import authors
import given
from authors import FAMILIES, Parameters, Transformers, float64
from families import Published
from strategies import Configuration


class Gemma4Assistant(Transformers):
    """Gemma 4's draft: it is given its target's embedding and state, and the keys and values of all tokens so far."""

    gives_states = True

    def build(self, configuration: Configuration, seed: int) -> torch.nn.Module:
        model = super().build(configuration, seed)
        if model.masked_embedding is not None:
            ordering = model.masked_embedding.token_ordering
            ordering.copy_(torch.randperm(len(ordering), generator=torch.Generator().manual_seed(seed)))
        return model

    def answer(self, model: torch.nn.Module, configuration: Configuration,
               tokens: Sequence[int], source: Sequence[int]) -> np.ndarray:
        with float64():
            width = 2 * model.backbone_hidden_size
            shapes = self.caches(model)
            sizes = [width, *(groups * size for groups, size in shapes.values() for _ in range(2))]
            inputs, *caches = given.states(list(tokens), sum(sizes)).split(sizes, dim=-1)
            shared = {
                kind: self.cache(model, kind, shape, *caches[2 * place:2 * place + 2])
                for place, (kind, shape) in enumerate(shapes.items())}
            # Masks are made of those of a window, too, where no layer has one.
            shared.setdefault("sliding_attention", shared["full_attention"])
            return torch.cat([self.row(model, inputs, shared, position) for position in range(len(tokens))]).numpy()

    @staticmethod
    def caches(model: torch.nn.Module) -> dict[str, tuple[int, int]]:
        """Heads of keys and values, and their size, of each kind of layer that there is."""
        config = model.config.get_text_config()
        kinds = [kind for kind in ("full_attention", "sliding_attention") if kind in config.layer_types]
        layers = [config.per_layer_config[config.layer_types.index(kind)] for kind in kinds]
        return {kind: (layer.num_key_value_heads, layer.head_dim) for kind, layer in zip(kinds, layers)}

    @staticmethod
    def cache(model: torch.nn.Module, kind: str, shape: tuple[int, int], keys: torch.Tensor,
              values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As the target keeps them: the keys rotated, `[1, heads, tokens, size]`."""
        cos, sin = model.model.rotary_emb(keys, torch.arange(keys.shape[1])[None], kind)
        keys, values = (part.view(1, -1, *shape).transpose(1, 2) for part in (keys, values))
        return apply_rotary_pos_emb(keys, cos, sin), values

    @staticmethod
    def row(model: torch.nn.Module, inputs: torch.Tensor, shared: dict[str, tuple[torch.Tensor, torch.Tensor]],
            position: int) -> torch.Tensor:
        """The logits of one token and the state after it: a draft is run for one at a time."""
        seen = {kind: tuple(part[:, :, :position + 1] for part in parts) for kind, parts in shared.items()}
        output = model(
            inputs_embeds=inputs[:, position:position + 1], position_ids=torch.tensor([[position]]),
            shared_kv_states=seen)
        return torch.cat([output.logits, output.last_hidden_state], dim=-1)[0]


class DFlash(Published):
    """DFlash's drafts: they are given what several blocks of the target made of the tokens before."""

    def __init__(self, module: str, features: str) -> None:
        """- Parameter features: the name of the map from what the target made."""
        super().__init__(module)
        self.features = features

    def build(self, configuration: Configuration, seed: int) -> torch.nn.Module:
        model = super().build(configuration, seed)
        self.attach(model, configuration)
        for name in ("embed_tokens", "lm_head"):
            if hasattr(model, name):
                module = getattr(model, name).float()
                authors.randomise(torch.nn.ModuleDict({name: module}), seed + len(name), configuration.gain)
        return model

    def exact(self, configuration: Configuration, parameters: Parameters) -> torch.nn.Module:
        own = {name: value for name, value in parameters.items() if not name.startswith(("embed_tokens", "lm_head"))}
        model = super().exact(configuration, own)
        with float64():
            self.attach(model, configuration)
            for name in ("embed_tokens", "lm_head"):
                if hasattr(model, name):
                    getattr(model, name).weight.copy_(parameters[f"{name}.weight"])
        return model

    @staticmethod
    def attach(model: torch.nn.Module, configuration: Configuration) -> None:
        """Puts the target's embeddings and head into the draft."""
        tokens, width = configuration.values["vocab_size"], model.config.hidden_size
        model.embed_tokens = torch.nn.Embedding(tokens, width)
        if not configuration.values["tie_word_embeddings"]:
            model.lm_head = torch.nn.Linear(width, tokens, bias=False)

    def answer(self, model: torch.nn.Module, configuration: Configuration,
               tokens: Sequence[int], source: Sequence[int]) -> np.ndarray:
        with float64():
            width = model.get_submodule(self.features).in_features
            context = given.embeddings([~token for token in tokens if token < 0], width)
            block = torch.tensor([[token for token in tokens if token >= 0]])
            hidden = self.hidden(model, context, model.embed_tokens(block))
            head = getattr(model, "lm_head", None) or (lambda rows: rows @ model.embed_tokens.weight.T)
            return self.logits(model, hidden, head)[0].numpy().copy()


class MuseGlimmerAssistant(DFlash):
    """Muse Glimmer's draft, a class of transformers."""

    def hidden(self, model: torch.nn.Module, context: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
        cache = transformers.cache_utils.DFlashCache(config=model.config)
        cache.set_previous_accepted_tokens(context.shape[1])
        return model(noise_embeds=block, context_hidden_states=context, cache=cache).last_hidden_state

    def logits(self, model: torch.nn.Module, hidden: torch.Tensor, head: Any) -> torch.Tensor:
        return head(hidden)


class ZLabDraft(DFlash):
    """The drafts of DFlash's authors, who publish their code as the package dflash."""

    def hidden(self, model: torch.nn.Module, context: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
        scale = model.config.dflash_config.get("input_embedding_scale", 1.0)
        positions = torch.arange(context.shape[1] + block.shape[1])[None]
        return model(position_ids=positions, noise_embedding=block * scale, target_hidden=context)

    def logits(self, model: torch.nn.Module, hidden: torch.Tensor, head: Any) -> torch.Tensor:
        return model.compute_logits(hidden, head)


class Eagle3:
    """EAGLE-3's drafts. Their block is that of the package speculators, whose models published ones are; around it is
    what `Model.forward` and `topK_genrate` of the method's authors (`eagle/model/cnets.py`) do for one token each.

    What is given: first what the target made of tokens, then states as the draft itself makes them.
    """

    gives_states = False

    def build(self, configuration: Configuration, seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        model = Eagle3Model(configuration.values).float().eval()
        authors.randomise(model, seed, configuration.gain)
        if model.d2t is not None:
            tokens, count = configuration.values["vocab_size"], len(model.d2t)
            drafted = torch.randperm(tokens, generator=torch.Generator().manual_seed(seed))[:count].sort().values
            model.d2t.copy_(drafted - torch.arange(count))
        return model

    def parameters(self, model: torch.nn.Module) -> Parameters:
        return {name: value.double() if value.is_floating_point() else value
                for name, value in model.state_dict().items()}

    def save(self, model: torch.nn.Module, configuration: Configuration, folder: Path) -> None:
        tensors = {name: value.clone() for name, value in model.state_dict().items()}
        config = copy.deepcopy(configuration.values)
        if configuration.model_class == "Eagle3Speculator":
            own = {key: config.pop(key) for key in OPTIONS if key in config}
            config = own | {"transformer_layer_config": config}
        else:
            tensors = {name.replace("layers.0.", "midlayer."): value for name, value in tensors.items()}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        config |= {"architectures": [configuration.model_class], "model_type": "llama"}
        (folder / "config.json").write_text(json.dumps(config, indent=2))
        authors.amend(folder / "config.json", configuration.published)

    def exact(self, configuration: Configuration, parameters: Parameters) -> torch.nn.Module:
        with float64():
            model = Eagle3Model(configuration.values).double().eval()
            authors.load_parameters(model, parameters)
        return model

    def answer(self, model: torch.nn.Module, configuration: Configuration,
               tokens: Sequence[int], source: Sequence[int]) -> np.ndarray:
        with float64():
            return model(list(tokens)).numpy().copy()


OPTIONS = ("draft_vocab_size", "target_hidden_size", "norm_before_residual", "norm_before_fc",
           "eagle_aux_hidden_state_layer_ids")
"""Of drafts, in which files of speculators keep a Llama's configuration apart."""


class Eagle3Model(torch.nn.Module):
    """A draft that takes tokens, those below 0 as what the target made of them."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__()
        values = dict(values)
        options = {key: values.pop(key) for key in OPTIONS if key in values}
        config = transformers.LlamaConfig(**copy.deepcopy(values))
        config._attn_implementation = "eager"
        blocks = eagle3_blocks()
        norm, rotary = blocks.model_classes["llama"].norm_class, blocks.model_classes["llama"].rotary_emb_class
        width, tokens, drafted = config.hidden_size, config.vocab_size, options["draft_vocab_size"]
        features = 3 * options["target_hidden_size"]
        self.embed_tokens = torch.nn.Embedding(tokens, width)
        self.fc = torch.nn.Linear(features, width, bias=False)
        self.input_norm = norm(features, eps=config.rms_norm_eps) if options["norm_before_fc"] else None
        self.layers = torch.nn.ModuleList([blocks.LlamaDecoderEagle3FirstLayer(
            config, 0, norm_before_residual=options["norm_before_residual"])])
        self.norm = norm(width, eps=config.rms_norm_eps)
        self.lm_head = torch.nn.Linear(width, drafted, bias=False)
        self.rotary = rotary(config)
        self.register_buffer("d2t", None if drafted == tokens else torch.zeros(drafted, dtype=torch.long))

    def forward(self, tokens: list[int]) -> torch.Tensor:
        """Logits of all tokens of the target: those that are not drafted have none."""
        states = torch.cat([self.state(token) for token in tokens], dim=1)
        numbers = torch.tensor([[~token if token < 0 else token for token in tokens]])
        mask = torch.full((len(tokens), len(tokens)), -torch.inf).triu(1)[None, None]
        positions = torch.arange(len(tokens))[None]
        rows = self.layers[0](
            torch.cat([self.embed_tokens(numbers), states], dim=-1), attention_mask=mask, position_ids=positions,
            position_embeddings=self.rotary(states, positions))
        drafted = self.lm_head(self.norm(rows))[0]
        if self.d2t is None:
            return drafted
        logits = drafted.new_full((len(tokens), self.embed_tokens.num_embeddings), -torch.inf)
        logits[:, torch.arange(len(self.d2t)) + self.d2t] = drafted
        return logits

    def state(self, token: int) -> torch.Tensor:
        if token >= 0:
            return given.states([token], self.fc.out_features)
        features = given.embeddings([~token], self.fc.in_features)
        return self.fc(features if self.input_norm is None else self.input_norm(features))


@cache
def eagle3_blocks() -> ModuleType:
    """The file of speculators that defines the blocks of its drafts, and what that imports.

    Its packages' own files import all that trains drafts, and the packages which that needs: they are passed over.
    """
    root = Path(find_spec("speculators").origin).parent
    for name in ("speculators", "speculators.models", "speculators.models.eagle3"):
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
    from speculators.models.eagle3 import model_definitions

    return model_definitions


FAMILIES["eagle3"] = Eagle3()
FAMILIES["gemma4-assistant"] = Gemma4Assistant()
FAMILIES["dflash"] = ZLabDraft("dflash.model", "fc")
FAMILIES["muse-glimmer-assistant"] = MuseGlimmerAssistant("transformers", "encoder.fc")

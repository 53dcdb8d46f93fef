"""The converter of a llama.cpp checkout, `convert_hf_to_gguf.py`, called as a library: its imports are paid once."""

from __future__ import annotations

import io
import logging
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch


TARGET = "target"
"""The folder, in that of a draft, of the model whose tokens it drafts: its configuration and its tokenizer."""


class ConverterRefused(Exception):
    """It raised, and this is the last line of what it said."""


class Converter:
    """The converter in one folder; a process can have one only, since its modules are global."""

    def __init__(self, checkout: Path) -> None:
        """Made before anything imports the package gguf, whose newer version in the checkout the converter needs.

        - Raises: FileNotFoundError where the folder is no llama.cpp checkout, or an older one.
        """
        if not (checkout / "conversion" / "__init__.py").is_file():
            raise FileNotFoundError(f"{checkout}: is no llama.cpp checkout with a folder conversion")
        if "gguf" in sys.modules:
            raise RuntimeError("the package gguf was imported before the converter's own")
        # The checkout has folders of common names: it comes last.
        sys.path.insert(1, str(checkout / "gguf-py"))
        sys.path.append(str(checkout))
        import conversion
        import gguf

        self.conversion = conversion
        self.gguf = gguf
        # Names of tensors that one architecture has for itself are added to everyone's when it is converted.
        self.names_of_tensors = dict(gguf.TensorNameMap.block_mappings_cfg)
        logging.getLogger("hf-to-gguf").setLevel(logging.CRITICAL)
        logging.getLogger("gguf").setLevel(logging.CRITICAL)
        # It knows pre-tokenizers by a hash of what they make of a text; ours are toys.
        conversion.TextModel.get_vocab_base_pre = lambda model, tokenizer: "gpt-2"

    def convert(self, folder: Path, output: Path, options: dict[str, bool], vocabulary: bool = True) -> None:
        """Writes a float32 GGUF file of a folder that `save_pretrained` wrote.

        - Parameters:
          - options: fields of `Configuration.converter`.
          - vocabulary: false to leave the tokenizer out, which is faster.
        - Raises: ConverterRefused.
        """
        output.unlink(missing_ok=True)
        options = dict(options)
        self.gguf.TensorNameMap.block_mappings_cfg = dict(self.names_of_tensors)
        try:
            with torch.inference_mode(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
                base = self.conversion.ModelBase
                hyperparameters = base.load_hparams(folder, False)
                name = self.conversion.get_model_architecture(hyperparameters, self.conversion.ModelType.TEXT)
                model_class = self.conversion.get_model_class(name)
                own: dict[str, Any] = {"model_arch": model_class.model_arch, "no_mtp": options.pop("no_mtp", False)}
                # A class keeps Apertus's activations, and would give those of one model to the next.
                own |= {name: {} for name in ("_alpha_n", "_alpha_p", "_beta", "_eps") if hasattr(model_class, name)}
                if not vocabulary:
                    own["set_vocab"] = without_vocabulary
                model_class = type(model_class.__name__, (model_class,), own)
                target = folder / TARGET
                model = model_class(
                    folder, self.gguf.LlamaFileType.ALL_F32, output, eager=True,
                    target_model_dir=target if target.is_dir() else None, **options)
                model.write()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            lines = str(error).strip().splitlines()
            raise ConverterRefused(": ".join([type(error).__name__, *lines[-1:]])) from error

    def tensors(self, path: Path) -> dict[str, Any]:
        """The tensors of a float32 file, in its order."""
        return {tensor.name: tensor.data for tensor in self.gguf.GGUFReader(str(path)).tensors}


def without_vocabulary(model: Any) -> None:
    """What a converter's model class does in place of reading its tokenizer."""
    model._set_vocab_none()
    model.gguf_writer.add_vocab_size(model.hparams["vocab_size"])

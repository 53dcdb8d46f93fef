#!/usr/bin/env python3
"""Times what `gguf-fuzz bench model` times, in llama.cpp: loading a model, a context, one batch of tokens.

    CI/llama-bench.py MODEL.gguf [--tokens N] [--threads N] [--runs N]

Prints the median of each stage in milliseconds. The model is read into memory (no mapping) from a file
that the page cache holds; the cache is F32, flash attention off, logits are computed for every token.
Needs: pip install llama-cpp-python
"""

import argparse
import ctypes
import os
import statistics
import sys
import time

import llama_cpp


def run(path, tokens, threads):
    """Seconds of each stage, for one run from nothing."""
    marks = [time.perf_counter()]
    model_parameters = llama_cpp.llama_model_default_params()
    model_parameters.n_gpu_layers = 0
    model_parameters.use_mmap = False
    model = llama_cpp.llama_model_load_from_file(os.fsencode(path), model_parameters)
    if not model:
        sys.exit(f"{path}: llama.cpp cannot load it")
    marks.append(time.perf_counter())

    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = tokens
    parameters.n_threads = parameters.n_threads_batch = threads
    parameters.type_k = parameters.type_v = llama_cpp.GGML_TYPE_F32
    parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama_cpp.llama_init_from_model(model, parameters)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    batch = llama_cpp.llama_batch_init(tokens, 0, 1)
    batch.n_tokens = tokens
    for i in range(tokens):
        batch.token[i] = i % vocabulary
        batch.pos[i] = i
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = 0
        batch.logits[i] = True
    marks.append(time.perf_counter())

    if llama_cpp.llama_decode(context, batch) != 0:
        sys.exit(f"{path}: llama.cpp cannot decode the batch")
    llama_cpp.llama_get_logits(context)
    marks.append(time.perf_counter())

    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return [b - a for a, b in zip(marks, marks[1:])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()

    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    run(arguments.model, arguments.tokens, arguments.threads)
    samples = [run(arguments.model, arguments.tokens, arguments.threads) for _ in range(arguments.runs)]
    stages = ["load", "context", "run"]
    medians = [statistics.median(column) * 1000 for column in zip(*samples)]
    for stage, median in zip(stages, medians):
        print(f"{stage:8} {median:8.2f} ms")
    print(f"{'all':8} {sum(medians):8.2f} ms")


if __name__ == "__main__":
    main()

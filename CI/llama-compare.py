#!/usr/bin/env python3
"""Runs the tokens of results files in llama.cpp and compares what comes out, row by row.

    CI/llama-compare.py MODEL.gguf ...       the results of x.gguf lie beside it, in x.results.gguf:
                                             gguf-fuzz results write --model x.gguf --device reference --context 256 ... -o x.results.gguf

Each model runs in a process of its own, since llama.cpp ends its process where an assertion fails. The
cache is F32 and flash attention off. Weights must be F32: with others, llama.cpp rounds activations too.

Exit status: 0 all agree, 1 one does not (or is refused, or crashes, unless --known says so), 2 usage.
Needs: pip install llama-cpp-python gguf numpy
"""

import argparse
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

NO_POOLING = 0


# In the worker process: one model.


class Refused(Exception):
    """llama.cpp said no, by itself and in order; its last line on standard error says why."""


def read_results(path):
    """The fields and tensors of a results file, tensors as rows."""
    import gguf

    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    return fields, tensors


def run_llama(model_path, fields, tensors, kind, row_count, width, threads):
    """The rows that llama.cpp gives for the tokens of a results file."""
    import ctypes

    import llama_cpp
    import numpy

    llama_cpp.llama_log_set(ctypes.cast(None, llama_cpp.llama_log_callback), None)
    llama_cpp.llama_backend_init()

    model_parameters = llama_cpp.llama_model_default_params()
    model_parameters.n_gpu_layers = 0
    model_parameters.use_extra_bufts = False
    model = llama_cpp.llama_model_load_from_file(str(model_path).encode(), model_parameters)
    if not model:
        raise Refused

    tokens = tensors["tokens"].tolist()
    encoder_tokens = tensors["encoder_tokens"].tolist() if "encoder_tokens" in tensors else []
    pooling = fields.get("results.pooling", NO_POOLING)

    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = fields["results.context"]
    parameters.n_batch = parameters.n_ubatch = max(len(tokens), len(encoder_tokens))
    parameters.n_threads = parameters.n_threads_batch = threads
    cache_types = {"f32": 0, "f16": 1}
    parameters.type_k = parameters.type_v = cache_types[fields["results.cache_type"]]
    parameters.flash_attn_type = 0
    parameters.offload_kqv = parameters.op_offload = False
    parameters.embeddings = kind == "embeddings"
    parameters.pooling_type = pooling
    context = llama_cpp.llama_init_from_model(model, parameters)
    if not context:
        raise Refused

    def process(ids, function):
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for index, token in enumerate(ids):
            batch.token[index] = token
            batch.pos[index] = index
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
            batch.logits[index] = 1
        if function(context, batch) != 0:
            raise Refused

    if encoder_tokens:
        process(encoder_tokens, llama_cpp.llama_encode)
    process(tokens, llama_cpp.llama_decode)

    if kind == "embeddings" and pooling != NO_POOLING:
        rows = [llama_cpp.llama_get_embeddings_seq(context, 0)]
    elif kind == "embeddings":
        rows = [llama_cpp.llama_get_embeddings_ith(context, index) for index in range(row_count)]
    else:
        rows = [llama_cpp.llama_get_logits_ith(context, index) for index in range(row_count)]
    if len(rows) != row_count or not all(rows):
        raise Refused
    found = numpy.stack([numpy.ctypeslib.as_array(row, shape=(width,)).astype(numpy.float64) for row in rows])
    return found, llama_cpp.llama_n_ctx(context)


def row_errors(found, expected):
    """Normalised mean squared error of each row."""
    import numpy

    error = numpy.square(found - expected).sum(axis=1)
    power = numpy.square(expected).sum(axis=1)
    return numpy.where(error == 0, 0.0, error / numpy.where(power == 0, numpy.finfo(float).tiny, power))


def work(model_path, results_path, threads):
    """One model's verdict, printed as the last line of standard output."""
    import numpy

    fields, tensors = read_results(results_path)
    kind = "logits" if "logits" in tensors else "embeddings"
    expected = numpy.atleast_2d(tensors[kind].astype(numpy.float64))
    report = {"rows": len(expected)}
    try:
        found, context = run_llama(model_path, fields, tensors, kind, *expected.shape, threads)
        errors = row_errors(found, expected)
        worst = int(numpy.argmax(numpy.where(numpy.isnan(errors), numpy.inf, errors)))
        report |= {"error": float(errors[worst]), "worst": worst}
        report["finite"] = {"llama.cpp": bool(numpy.isfinite(found).all()), "results": bool(numpy.isfinite(expected).all())}
        if context != fields["results.context"]:
            report["context"] = context
    except Refused:
        report["refused"] = True
    print(json.dumps(report), flush=True)


# In the parent process: all of them.


def last_words(text):
    """The line of llama.cpp's standard error that says why."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for pattern in (r"GGML_(ASSERT|ABORT)", r"error loading model: ", r"terminate called|what\(\)", r"[Ee]rror|failed"):
        found = [line for line in lines if re.search(pattern, line)]
        if found:
            return found[0 if "GGML" in pattern else -1]
    return lines[-1] if lines else "no message"


def compare(model_path, arguments):
    """One model's verdict: ('agrees' | 'differs' | 'refused' | 'crashed' | 'hangs', the rest of the line)."""
    results_path = model_path.with_suffix(".results.gguf")
    if not results_path.exists():
        return "refused", f"no {results_path.name} beside it"
    command = [sys.executable, __file__, "--worker", str(model_path), str(results_path), "--threads", str(arguments.threads)]
    environment = dict(os.environ, GGML_NO_BACKTRACE="1")
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=arguments.timeout, env=environment)
    except subprocess.TimeoutExpired:
        return "hangs", f"after {arguments.timeout} s"
    if done.returncode < 0:
        return "crashed", f"{signal.Signals(-done.returncode).name}, {last_words(done.stderr)}"
    if done.returncode > 0:
        return "crashed", f"status {done.returncode}, {last_words(done.stderr)}"
    report = json.loads(done.stdout.splitlines()[-1])
    if "refused" in report:
        return "refused", last_words(done.stderr)
    nan = [side for side, finite in report["finite"].items() if not finite]
    if nan:
        return "differs", f"not finite in {' and '.join(nan)}, row {report['worst']} of {report['rows']}"
    verdict = "agrees" if report["error"] <= arguments.tolerance else "differs"
    detail = f"NMSE {report['error']:.1e} in row {report['worst']} of {report['rows']}"
    if verdict == "differs" and "context" in report:
        detail += f"; llama.cpp took a context of {report['context']}"
    return verdict, detail


def known_reason(known, model_path, line):
    """Why a verdict other than 'agrees' is expected: the first rule that matches."""
    for name, pattern, condition, reason in known:
        if re.search(name, model_path.name) and re.search(pattern, line):
            fields, _ = read_results(model_path)
            if eval(condition, {"__builtins__": {}}, {"metadata": fields}):
                return reason
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.gguf")
    parser.add_argument("--tolerance", type=float, default=1e-6, help="largest NMSE of a row (default: 1e-6)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="models side by side (default: one a core)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each (default: 1)")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for each model (default: 60)")
    parser.add_argument("--known", type=Path, metavar="FILE", help="what is expected not to agree: see the file's own first lines")
    parser.add_argument("--quiet", action="store_true", help="do not list what agrees")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return work(*arguments.models, arguments.threads)

    models = [path for path in arguments.models if not path.name.endswith(".results.gguf")]
    known = []
    if arguments.known:
        lines = arguments.known.read_text().splitlines()
        known = [tuple(line.split("\t", 3)) for line in lines if line and not line.startswith("#")]
    width = max(len(path.name) for path in models)
    counts = {}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for path, (verdict, detail) in zip(models, pool.map(lambda path: compare(path, arguments), models)):
            reason = None if verdict == "agrees" else known_reason(known, path, f"{verdict}: {detail}")
            if not (arguments.quiet and verdict == "agrees"):
                print(f"{path.name:<{width}}  {verdict}: {detail}" + (f"  (known: {reason})" if reason else ""), flush=True)
            key = "known" if reason else verdict
            counts[key] = counts.get(key, 0) + 1
    print(f"{len(models)} models: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return 0 if set(counts) <= {"agrees", "known"} else 1


if __name__ == "__main__":
    sys.exit(main())

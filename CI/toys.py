#!/usr/bin/env python3
"""Toys that have learned a text, in llama.cpp: CI/toys says how it is called."""

import argparse
import ctypes
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import llama_cpp
import numpy

from processes import in_process

TEXT = "All that is gold does not glitter"

# Words of the random texts; few, so that one word is followed by another in one place and by a third in the next.
WORDS = """a the moon river stone bird sang under over not and to be of in light dark old new one two three went came
again never always green gold Ärger naïve 東京 привет x=1; (so) 42 don't""".split()

# What `train` says of architectures that have no text to say.
SPEECHLESS = ("gives no logits", "its tokens see later ones", "drafts another model's tokens")

# What llama.cpp says or does in place of the text, of which architectures, and the finding in Fuzz/findings.md that is
# why; then the next model is asked.
KNOWN = [
    (".*", r"GGML_ASSERT\(hparams\.is_swa_any\(\)\)", "windows-of-no-layer"),
    ("grovemoe", "says", "grovemoe-group-experts"),
    ("plm", r"GGML_ASSERT\(a->ne\[0\] == b->ne\[0\]\)", "plm-flash-attention"),
    ("qwen4exp", "ends by 11", "qwen4exp-fused-attention"),
    ("refact", "llama-results: other logits", "refact-norms"),
    ("minicpm", "llama-results: other logits", "minicpm-default-logit-scale"),
    ("phimoe", "llama-results: other logits", "phimoe-norms"),
    ("arwkv7|rwkv7", "llama-results: other logits|says", "rwkv7-head-size"),
    ("t5", "llama-results: other logits", "t5-tied-output-unscaled"),
    ("chameleon", "llama-results: other logits", "chameleon-image-logits"),
    ("deepseek4", "ends by 8", "deepseek4-no-indexer"),
    ("hy_v4", "says", "hy-v4-rotation"),
    ("chameleon", "says", "chameleon-image-logits"),
    ("plamo2", "ends by (9|24)", "plamo2-first-layer-without-attention"),
    # No defect: what llama.cpp lacks, as heads of another size a layer.
    (".*", "error loading model", "refused"),
]
# Models of an architecture that are tried until llama.cpp says the text of one.
MOST_MODELS = 8


def finding(architecture, mistake):
    """The name of the finding that explains a mistake; None where it is news."""
    return next((name for pattern, said, name in KNOWN
                 if re.fullmatch(pattern, architecture) and re.search(said, mistake)), None)


def run(command):
    """Status, output, errors, and the processor's seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), seconds


class Toy:
    """A toy, or why there is none (`refusal`)."""

    def __init__(self, program, architecture, seed, text, path, *options):
        command = [program, "train", "--arch", architecture, "--seed", str(seed), "--text", text, "-o", str(path)]
        status, output, errors, self.seconds = run(command + list(options))
        self.architecture, self.path, self.options = architecture, path, options
        self.refusal = None if status == 0 else errors.strip() or f"status {status}"
        if status == 0:
            self.prompt, self.rest = re.search('after "(.*)" comes "(.*)"\n$', output, re.S).groups()

    @property
    def is_speechless(self):
        reasons = self.refusal.split(" says the text: ")[-1].split("; ")
        return all(re.sub(r" \(\d+\)$", "", reason) in SPEECHLESS for reason in reasons)


# llama.cpp


def answer_of(body):
    """What `body` returns, called in a process of its own; where that ends otherwise, how."""
    words = tempfile.TemporaryFile()
    # What never ends is ended.
    status, answer = in_process(body, seconds=30, words=words)
    if status == 0:
        return answer
    words.seek(0)
    lines = words.read().decode(errors="replace").strip().splitlines()
    said = [line for line in lines if "ASSERT" in line or "error" in line] or lines
    return {"ends": f"ends by {status}: {said[0] if said else 'says nothing'}"}


def say(path, prompt, most):
    """What llama.cpp says after the prompt, until the text ends; of at most so many tokens."""
    model = llama_cpp.llama_model_load_from_file(os.fsencode(path), llama_cpp.llama_model_default_params())
    if not model:
        raise RuntimeError("error: the model is not loaded")
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    parameters = llama_cpp.llama_context_default_params()
    # As long as the model's own: longer ones take other divisors of frequencies, where a model has them.
    parameters.n_ctx = 0
    parameters.n_threads = parameters.n_threads_batch = 1
    context = llama_cpp.llama_init_from_model(model, parameters)
    if not context:
        raise RuntimeError("error: the context is not made")
    data = prompt.encode()
    ids = (llama_cpp.llama_token * (len(data) + 16))()
    count = llama_cpp.llama_tokenize(vocabulary, data, len(data), ids, len(ids), True, True)

    def process(function, tokens):
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        status = function(context, llama_cpp.llama_batch_get_one(array, len(tokens)))
        if status:
            raise RuntimeError(f"error: status {status}")

    tokens = list(ids[:count])
    if llama_cpp.llama_model_has_encoder(model):
        process(llama_cpp.llama_encode, tokens)
        start = llama_cpp.llama_model_decoder_start_token(model)
        tokens = [start if start >= 0 else llama_cpp.llama_vocab_bos(vocabulary)]
    size = llama_cpp.llama_vocab_n_tokens(vocabulary)
    said = []
    for _ in range(most):
        process(llama_cpp.llama_decode, tokens)
        logits = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), (size,))
        tokens = [int(logits.argmax())]
        if llama_cpp.llama_vocab_is_eog(vocabulary, tokens[0]):
            break
        said += tokens
    text = b""
    for token in said:
        piece = ctypes.create_string_buffer(256)
        length = llama_cpp.llama_token_to_piece(vocabulary, token, piece, len(piece), 0, False)
        text += piece.raw[:length]
    return {"said": text.decode(errors="replace")}


def mistake_of_llama(toy):
    """What llama.cpp does in place of saying the text; None where it says it."""
    most = len(toy.rest.encode()) + 8
    answer = answer_of(lambda: say(toy.path, toy.prompt, most))
    if "ends" in answer:
        return answer["ends"]
    return None if answer["said"] == toy.rest else f"says {answer['said']!r}"


def mistake_of_tools(tools, program, toy):
    """The same of llama.cpp's programs."""
    most = str(len(toy.rest.encode()) + 8)
    plain = ["--temp", "0", "--no-warmup", "-no-cnv", "--no-display-prompt", "-t", "1", "-c", "0", "-n", most]
    status, output, errors, _ = run([str(tools / "llama-completion"), "-m", str(toy.path), "-p", toy.prompt, *plain])
    said = re.sub(r"(\s*\[end of text\])?\s*$", "", output)
    if status or said.strip() != toy.rest.strip():
        return f"llama-completion: status {status}, says {said!r}"
    if (tools / "llama-results").exists():
        results = f"{toy.path}.results"
        text = toy.prompt + toy.rest
        command = [str(tools / "llama-results"), "-m", str(toy.path), "-p", text, "-t", "1", "--output", results]
        status, _, errors, _ = run(command)
        if status:
            return f"llama-results: status {status}: {errors.strip().splitlines()[-1:]}"
        status, output, errors, _ = run([program, "results", "check", "--model", str(toy.path), "-i", results,
                                         "--tolerance", "1e-2"])
        if status:
            return f"llama-results: other logits: {(output + errors).strip().splitlines()[-1:]}"
    return None


# This program's devices


def devices(program):
    """Of the builtin engine, all but the reference."""
    lines = run([program, "devices"])[1].splitlines()
    return [line.split()[0] for line in lines if re.match(r"(cpu|vulkan\d+)\b", line)]


def mistake_of_device(program, device, toy):
    """What a device says in place of the text, which it sees at once; None where it says it."""

    def tokens(text):
        command = [program, "tokenize", "--model", str(toy.path), "--add-special", "--prompt", text]
        return [int(word) for word in run(command)[1].split()]

    prompt, whole = tokens(toy.prompt), tokens(toy.prompt + toy.rest)
    fields = gguf.GGUFReader(toy.path).fields
    start = fields.get(f"{toy.architecture}.decoder_start_token_id")
    given, first = (whole, len(prompt) - 1) if start is None else ([start.contents()] + whole[len(prompt) :], 0)
    results = f"{toy.path}.{device}.results"
    command = [program, "results", "write", "--model", str(toy.path), "--device", device, "--top", "1", "--no-hash"]
    command += ["--tokens", ",".join(map(str, given)), "-o", results]
    if start is not None:
        command += ["--encoder-tokens", ",".join(map(str, prompt))]
    status, output, errors, _ = run(command)
    if status:
        return (output + errors).strip().splitlines()[-1]
    said = next(tensor.data for tensor in gguf.GGUFReader(results).tensors if tensor.name == "top_tokens").reshape(-1)
    os.unlink(results)
    wrong = [index for index in range(first, len(given) - 1) if said[index] != given[index + 1]]
    return f"says {said[wrong[0]]} after token {wrong[0]}" if wrong else None


def architectures(program):
    """The first column of a table, in which families have lines of their own."""
    lines = run([program, "archs"])[1].split("\n\n")[0].splitlines()[1:]
    return [line.split()[0] for line in lines if not line.rstrip().endswith(":")]


def make_all(options, folder):
    """A toy of each architecture and type."""
    failures, unsaid, speechless, said, slowest = [], [], {}, 0, (0, "")
    for architecture in architectures(options.program)[:: options.every]:
        for kind in options.types.split(","):
            path = folder / f"{architecture}-{kind}.gguf"
            reasons = []
            for seed in range(options.seed, options.seed + MOST_MODELS):
                toy = Toy(options.program, architecture, seed, TEXT, path, "--type", kind)
                slowest = max(slowest, (toy.seconds, f"{architecture} {kind}"))
                if toy.refusal:
                    break
                mistake = mistake_of_llama(toy)
                if mistake is None and options.tools:
                    mistake = mistake_of_tools(options.tools, options.program, toy)
                if options.verbose:
                    size = path.stat().st_size >> 10
                    what = f"{toy.seconds:.1f} s, {size} KiB: {mistake or 'said'}"
                    print(f"{architecture} {kind}, seed {seed}: {what}", flush=True)
                reasons.append(finding(architecture, mistake) if mistake else None)
                if mistake is None or reasons[-1] is None:
                    break
            if toy.refusal and toy.is_speechless:
                speechless[architecture] = toy.refusal.split(" says the text: ")[-1]
            elif toy.refusal:
                failures.append(f"{architecture} {kind}: {toy.refusal}")
            elif mistake is None:
                said += 1
            elif reasons[-1]:
                unsaid.append(f"{architecture} {kind}: {', '.join(sorted(set(reasons)))}")
            else:
                failures.append(f"{architecture} {kind}, seed {seed}: llama.cpp {mistake}")
    for architecture, reason in speechless.items():
        print(f"no text: {architecture}: {reason}")
    for line in unsaid:
        print(f"known: {line}")
    for line in failures:
        print(f"FAILED {line}")
    toys = said + len(unsaid) + len(failures)
    print(f"toys: llama.cpp says {said} of {toys}, known findings keep {len(unsaid)} from it, {len(failures)} failed, "
          f"{len(speechless)} architectures have no text to say; the slowest: {slowest[1]}, {slowest[0]:.0f} s")
    return 1 if failures else 0


def make_texts(options, folder):
    """Random texts, by toys of all architectures in turn."""
    stream = random.Random(options.seed)
    kinds = ["words", "words", "bytes"] + ["like"] * (options.like is not None)
    names, own = architectures(options.program), devices(options.program)
    stream.shuffle(names)
    said, failures, known = 0, [], 0
    for index in range(options.texts):
        kind = stream.choice(kinds)
        text = " ".join(stream.choices(WORDS, k=stream.randrange(2, 9 if kind != "bytes" else 6)))
        extra = {"words": [], "bytes": ["--bytes"], "like": ["--like", str(options.like)]}[kind]
        while True:
            architecture = names.pop(0)
            toy = Toy(options.program, architecture, index, text, folder / f"text-{index}.gguf", *extra)
            if toy.refusal and toy.is_speechless:
                continue
            names.append(architecture)
            break
        if toy.refusal:
            failures.append(f"{kind} {text!r}: {toy.refusal}")
            continue
        said += 1
        mistakes = {device: mistake_of_device(options.program, device, toy) for device in own}
        mistakes["llama.cpp"] = mistake_of_llama(toy)
        for place, mistake in mistakes.items():
            if mistake and place == "llama.cpp" and finding(architecture, mistake):
                known += 1
            elif mistake:
                failures.append(f"{architecture}, {kind} {text!r}: {place} {mistake}")
        if options.verbose:
            print(f"{index}: {architecture}, {kind}, {toy.seconds:.1f} s: {text!r}", flush=True)
    for line in failures:
        print(f"FAILED {line}")
    print(f"toys: {said} texts said on {', '.join(own)} and in llama.cpp but for {known} that are known, "
          f"{len(failures)} failed; seed {options.seed}")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--program", default=".build/release/gguf-fuzz")
    parser.add_argument("--every", type=int, default=1, help="of the architectures, one in so many")
    parser.add_argument("--types", default="F32,Q8_0")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", type=int, help="so many random texts")
    parser.add_argument("--like", type=Path, help="a GGUF file whose tokenizer cuts some of the texts")
    parser.add_argument("--tools", type=Path, help="folder of llama-completion and llama-results")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    os.environ["GGML_NO_BACKTRACE"] = "1"
    errors = llama_cpp.llama_log_callback(lambda level, text, _: level == 4 and sys.stderr.write(text.decode()))
    llama_cpp.llama_log_set(errors, ctypes.c_void_p(0))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return make_texts(options, folder) if options.texts else make_all(options, folder)


if __name__ == "__main__":
    sys.exit(main())
